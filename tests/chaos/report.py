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
    missed: collections.Counter[str] = field(default_factory=collections.Counter)
    points: collections.Counter[str] = field(default_factory=collections.Counter)
    late_wrappers: int = 0
    sees_late_wrappers: bool = False
    keeps_ledger: bool = True
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

    def note_vacuous(self) -> None:
        """At the end: what was to be done and never met anything."""
        for name in sorted(self.missed.keys() - self.faults.keys()):
            self.note_problem(
                self.next_wave - 1, "vacuous", f"{name} was planned {self.missed[name]} times and met nothing"
            )
        if self.sees_late_wrappers and not self.late_wrappers:
            self.note_problem(self.next_wave - 1, "vacuous", "no wrapper came after its attempt had been given up")

    @property
    def is_clean(self) -> bool:
        return not self.problems and self.jobs > 0

    def rows(self) -> list[tuple[str, str]]:
        times = [seconds for seconds, _ in self.recoveries]
        slowest = max(self.recoveries, default=(0.0, ""))
        rows = [
            ("rounds", f"{self.rounds}"),
            ("jobs", f"{self.jobs:,} ({self.starts:,} starts)"),
            ("faults", f"{sum(self.faults.values())}"),
            *((f"  {name}", f"{count}") for name, count in sorted(self.faults.items())),
            ("faults that met nothing", f"{sum(self.missed.values())}{_list_counts(self.missed)}"),
            ("fault points that fired", f"{len(self.points)}{_list_counts(self.points)}"),
            ("server starts spoiled by a point", f"{self.failed_starts}"),
            ("attempts given up before they started", f"{self.voids}"),
            (
                "of these, submitted all the same",
                f"{self.late_wrappers}" if self.sees_late_wrappers else "not measured",
            ),
            ("jobs lost", f"{self.kinds['lost'] + self.kinds['unfinished']}"),
            ("jobs doubled", f"{self.kinds['doubled']}" if self.keeps_ledger else "not measured"),
            ("other breaches", f"{self._others()}"),
            ("invariants broken (fsck)", f"{self.broken}"),
            ("runs that needed a human", f"{self.humans}"),
        ]
        if times:
            rows.append(("recovery, median", f"{statistics.median(times):.1f} s of {len(times)}"))
            rows.append(("recovery, worst", f"{slowest[0]:.1f} s after {slowest[1]}"))
        return [*rows, ("took", f"{self.seconds:.0f} s")]

    def _others(self) -> int:
        return sum(count for kind, count in self.kinds.items() if kind not in NAMED)

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
            "lost": self.kinds["lost"] + self.kinds["unfinished"],
            "doubled": self.kinds["doubled"] if self.keeps_ledger else None,
            "recovery_median_s": statistics.median(times) if times else None,
            "recovery_worst_s": max(times, default=None),
        }
        plain = {name: getattr(self, name) for name in FIELDS}
        counts = {name: dict(getattr(self, name)) for name in COUNTS}
        return {**derived, **plain, **counts, "failing_waves": sorted(self.failing_waves)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Report:
        """To go on with a session, or to show one of before some of the fields were there."""
        report = cls(**{name: found[name] for name in FIELDS if name in found})
        report.recoveries = [(seconds, name) for seconds, name in found["recoveries"]]
        report.failing_waves = set(found["failing_waves"])
        for name in COUNTS:
            getattr(report, name).update(found.get(name, ()))
        return report


FIELDS = (
    "seed", "title", "rounds", "jobs", "starts", "voids", "humans", "next_wave", "missing", "failed_starts", "broken",
    "recoveries", "problems", "seconds", "late_wrappers", "sees_late_wrappers", "keeps_ledger",
)  # fmt: skip
COUNTS = ("faults", "missed", "points", "kinds")
NAMED = ("lost", "unfinished", "doubled", "fsck")


def _list_counts(counts: Mapping[str, int]) -> str:
    words = [name if count == 1 else f"{name} ({count})" for name, count in sorted(counts.items())]
    return f": {', '.join(words)}" if words else ""


def as_table(reports: Sequence[Report]) -> str:
    """Side by side, as a table for docs/reliability.md."""
    columns = [dict(report.rows()) for report in reports]
    names = [name for name, _ in reports[0].rows() if not name.startswith("  ")] if reports else []
    heads = [f"{report.title}, seed {report.seed}" for report in reports]
    rows = [["", *heads], ["---"] * (len(reports) + 1)]
    rows += [[name, *(column.get(name, "") for column in columns)] for name in names]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
