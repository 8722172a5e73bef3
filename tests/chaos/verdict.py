"""The verdict on a wave: what the ledgers, the database, the processes and the logs show when all should be over."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.facts import measure_recovery, read_attempts, read_statuses, run_fsck, wait_for_leftovers
from tests.chaos.graphs import LEDGER, Graph
from tests.chaos.killer import Strike
from tests.chaos.ledger import Excuses, check, parse
from tests.chaos.logs import LogWatch, find_accidents
from tests.chaos.report import Report
from tests.chaos.servers import COMMANDS, Target
from tests.chaos.users import Habit, User


@dataclass(slots=True)
class Round:
    """One workflow, its ledger and its users."""

    name: str
    graph: Graph
    folder: Path
    user: User
    habit: Habit
    acting: Future[None] | None = None

    def is_over(self) -> bool:
        """A user who failed is a finding, not something to wait for."""
        assert self.acting is not None
        if self.acting.done() and self.acting.exception() is not None:
            return True
        return self.user.is_done()


def find_last(strikes: Sequence[Strike]) -> tuple[str, float]:
    """The fault whose repair could begin last, and when. From the beginning of all things if nothing has struck."""
    found = max((strike for strike in strikes if strike.has_struck), key=lambda strike: strike.at, default=None)
    return (found.name, found.at) if found is not None else ("nothing", 0.0)


@dataclass(slots=True)
class Judge:
    """Notes in the report whatever contradicts the promise."""

    target: Target
    report: Report
    logs: LogWatch

    def judge_wave(self, wave: int, rounds: Sequence[Round], strikes: Sequence[Strike]) -> None:
        last, fault_at = find_last(strikes)
        for one in rounds:
            self._judge_round(wave, one, last, fault_at)
        ledgers = [one.folder / LEDGER for one in rounds] if self.target.work.keeps_ledger else []
        for broken in run_fsck(self.target.server, ledgers):
            self.report.broken += 1
            self.report.note_problem(wave, "fsck", broken)
        for leftover in wait_for_leftovers(self.target.mark):
            self.report.note_problem(wave, "leftover", leftover)
        self._read_logs(wave, {strike.name for strike in strikes})

    def _judge_round(self, wave: int, one: Round, last: str, fault_at: float) -> None:
        assert one.acting is not None
        if one.acting.done() and (error := one.acting.exception()) is not None:
            self.report.note_problem(wave, "user", f"round {one.name}: {error!r}")
            self.report.humans += 1
        for answer in one.user.broken:
            self.report.note_problem(wave, "answer", f"round {one.name}: {answer}")
        self.report.rounds += 1
        if not one.user.workflow_id:
            self.report.note_problem(wave, "lost", f"round {one.name}: its workflow was never submitted")
            return
        self.report.jobs += len(one.graph.jobs)
        self._check_jobs(wave, one)
        recovery = measure_recovery(self.target.server, one.user.workflow_id, fault_at) if fault_at else None
        if recovery is not None:
            self.report.recoveries.append((round(recovery, 2), last))

    def _check_jobs(self, wave: int, one: Round) -> None:
        """The ledger against the promise; where there is none, that everything is done."""
        server, workflow_id = self.target.server, one.user.workflow_id
        statuses = read_statuses(server, workflow_id)
        if not self.target.work.keeps_ledger:
            for name in sorted(name for name in one.graph.jobs if statuses.get(name) != "D"):
                self.report.note_problem(wave, "unfinished", f"round {one.name}: {name} is {statuses.get(name)}")
            return
        lines, problems = parse((one.folder / LEDGER).read_text())
        self.report.starts += sum(line.code is None for line in lines)
        found = check(lines, one.graph.upstreams, statuses, read_attempts(server, workflow_id), self._excuse(one.habit))
        for problem in [*problems, *found]:
            self.report.note_problem(wave, problem.kind, f"round {one.name}: {problem.text}")

    def _excuse(self, habit: Habit) -> Excuses:
        """A run that was killed and resumed hot adopts attempts that have got their signal already: then nobody's wish is
        left to explain it, and where a batch system ends the wrapper too, no exit record."""
        harmed = self.target.jobs.harmed if self.target.jobs is not None else set()
        reasons = {"killed"} if habit.stop == "kill" else set()
        if reasons and habit.hot:
            reasons |= {"signal", "lost"} if self.target.work.executor in COMMANDS else {"signal"}
        return Excuses(harmed, reasons)

    def _read_logs(self, wave: int, faults: set[str]) -> None:
        for name, text in self.logs.read_new():
            for accident in find_accidents(text, faults):
                self.report.note_problem(wave, "log", f"{name}: {accident[:500]}")
