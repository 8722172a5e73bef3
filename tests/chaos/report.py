"""What a chaos session found, as a table for people and JSON for programs."""

from __future__ import annotations

import collections
import statistics
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Report:
    """`problems` has one line for each violation, with the seed that brings it back."""

    seed: int
    database: str
    rounds: int = 0
    jobs: int = 0
    starts: int = 0
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

    def _rows(self) -> list[tuple[str, str]]:
        times = [seconds for seconds, _ in self.recoveries]
        slowest = max(self.recoveries, default=(0.0, ""))
        rows = [
            ("rounds", f"{self.rounds}"),
            ("jobs", f"{self.jobs:,} ({self.starts:,} starts)"),
            ("faults", f"{sum(self.faults.values())}"),
            *((f"  {name}", f"{count}") for name, count in sorted(self.faults.items())),
            ("fault points that fired", f"{len(self.points)}: {', '.join(sorted(self.points))}"),
            ("server starts spoiled by a point", f"{self.failed_starts}"),
            ("jobs lost", f"{self.kinds['lost']}"),
            ("jobs doubled", f"{self.kinds['doubled']}"),
            ("other breaches in the ledger", f"{self._others()}"),
            ("invariants broken (fsck)", f"{self.broken}"),
        ]
        if times:
            rows.append(("recovery, median", f"{statistics.median(times):.1f} s of {len(times)}"))
            rows.append(("recovery, worst", f"{slowest[0]:.1f} s after {slowest[1]}"))
        return [*rows, ("took", f"{self.seconds:.0f} s")]

    def _others(self) -> int:
        return sum(count for kind, count in self.kinds.items() if kind not in ("lost", "doubled", "fsck"))

    def as_text(self) -> str:
        rows = self._rows()
        width = max(len(name) for name, _ in rows)
        lines = [f"chaos on {self.database}, seed {self.seed}"]
        lines += [f"  {name:<{width}}  {value}" for name, value in rows]
        lines += self.problems[:50]
        for wave in sorted(self.failing_waves):
            lines.append(f"again: python -m tests.chaos --seed {self.seed} --first-wave {wave} --waves 1")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        times = [seconds for seconds, _ in self.recoveries]
        return {
            "seed": self.seed, "database": self.database, "rounds": self.rounds, "jobs": self.jobs,
            "starts": self.starts, "faults": dict(self.faults), "points_fired": sorted(self.points),
            "failed_starts": self.failed_starts, "lost": self.kinds["lost"], "doubled": self.kinds["doubled"],
            "breaches": dict(self.kinds), "invariants_broken": self.broken,
            "recovery_median_s": statistics.median(times) if times else None,
            "recovery_worst_s": max(times, default=None), "recoveries": self.recoveries,
            "failing_waves": sorted(self.failing_waves), "problems": self.problems, "seconds": self.seconds,
        }  # fmt: skip
