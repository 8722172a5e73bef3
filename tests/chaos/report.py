"""What a chaos session found, as a table for people and JSON for programs."""

from __future__ import annotations

import collections
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Report:
    """`problems` has one line for each violation, with the seed that brings it back."""

    seed: int
    title: str
    rounds: int = 0
    jobs: int = 0
    starts: int = 0
    voids: int = 0
    humans: int = 0
    next_wave: int = 0
    missing: list[str] = field(default_factory=list)
    faults: collections.Counter[str] = field(default_factory=collections.Counter)
    points: set[str] = field(default_factory=set)
    failed_starts: int = 0
    kinds: collections.Counter[str] = field(default_factory=collections.Counter)
    broken: int = 0
    recoveries: list[tuple[float, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    failing_waves: set[int] = field(default_factory=set)
    seconds: float = 0.0

    def note_problem(self, wave: int, kind: str, text: str) -> None:
        self.kinds[kind] += 1
        self.failing_waves.add(wave)
        self.problems.append(f"seed {self.seed} wave {wave}: {kind}: {text}")

    @property
    def is_clean(self) -> bool:
        return not self.problems

    def rows(self) -> list[tuple[str, str]]:
        times = [seconds for seconds, _ in self.recoveries]
        slowest = max(self.recoveries, default=(0.0, ""))
        rows = [
            ("rounds", f"{self.rounds}"),
            ("jobs", f"{self.jobs:,} ({self.starts:,} starts)"),
            ("faults", f"{sum(self.faults.values())}"),
            *((f"  {name}", f"{count}") for name, count in sorted(self.faults.items())),
            ("fault points that fired", f"{len(self.points)}: {', '.join(sorted(self.points))}"),
            ("server starts spoiled by a point", f"{self.failed_starts}"),
            ("attempts given up before they started", f"{self.voids}"),
            ("jobs lost", f"{self.kinds['lost']}"),
            ("jobs doubled", f"{self.kinds['doubled']}"),
            ("other breaches in the ledger", f"{self._others()}"),
            ("invariants broken (fsck)", f"{self.broken}"),
            ("runs that needed a human", f"{self.humans}"),
        ]
        if times:
            rows.append(("recovery, median", f"{statistics.median(times):.1f} s of {len(times)}"))
            rows.append(("recovery, worst", f"{slowest[0]:.1f} s after {slowest[1]}"))
        return [*rows, ("took", f"{self.seconds:.0f} s")]

    def _others(self) -> int:
        return sum(count for kind, count in self.kinds.items() if kind not in ("lost", "doubled", "fsck"))

    def as_text(self) -> str:
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        lines = [f"chaos: {self.title}, seed {self.seed}"]
        lines += [f"  {name:<{width}}  {value}" for name, value in rows]
        lines += [f"  NOT DONE HERE: {words}" for words in self.missing]
        lines += self.problems[:50]
        for wave in sorted(self.failing_waves):
            lines.append(f"again: python -m tests.chaos --seed {self.seed} --first-wave {wave} --waves 1")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The fields, and what follows from them; `from_json` reads it back."""
        times = [seconds for seconds, _ in self.recoveries]
        derived = {
            "lost": self.kinds["lost"],
            "doubled": self.kinds["doubled"],
            "recovery_median_s": statistics.median(times) if times else None,
            "recovery_worst_s": max(times, default=None),
        }
        plain = {name: getattr(self, name) for name in FIELDS}
        sets = {"points": sorted(self.points), "failing_waves": sorted(self.failing_waves)}
        return {**derived, **plain, **sets, "faults": dict(self.faults), "kinds": dict(self.kinds)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Report:
        """To go on with a session."""
        report = cls(**{name: found[name] for name in FIELDS})
        report.recoveries = [(seconds, name) for seconds, name in found["recoveries"]]
        report.points, report.failing_waves = set(found["points"]), set(found["failing_waves"])
        report.faults.update(found["faults"])
        report.kinds.update(found["kinds"])
        return report


FIELDS = (
    "seed", "title", "rounds", "jobs", "starts", "voids", "humans", "next_wave", "missing", "failed_starts", "broken",
    "recoveries", "problems", "seconds",
)  # fmt: skip


def as_table(reports: Sequence[Report]) -> str:
    """Side by side, as a table for docs/reliability.md."""
    columns = [dict(report.rows()) for report in reports]
    names = [name for name, _ in reports[0].rows() if not name.startswith("  ")] if reports else []
    heads = [f"{report.title}, seed {report.seed}" for report in reports]
    rows = [["", *heads], ["---"] * (len(reports) + 1)]
    rows += [[name, *(column.get(name, "") for column in columns)] for name in names]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
