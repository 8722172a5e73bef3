"""Waves of rounds on one server: several workflows at once, a killer among them, then the verdict."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.facts import count_voids, measure_recovery, read_attempts, read_statuses, run_fsck
from tests.chaos.graphs import LEDGER, Graph, make_graph, prepare_folder
from tests.chaos.killer import Fault, Killer, plan_faults, share_points
from tests.chaos.ledger import check, parse
from tests.chaos.report import Report
from tests.chaos.servers import Target
from tests.chaos.users import Habit, User, choose_habit, choose_kill

DEADLINE = 180.0  # seconds after the last fault, for as many rounds as usual
USUAL_TOGETHER = 4
SECONDS_PER_JOB = {"sge": 3.0, "slurm": 3.0}  # a batch system takes its time between one job and the next
PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a session is. A wave is `together` rounds at once, with `faults` faults."""

    jobs: int = 60
    waves: int = 5
    together: int = USUAL_TOGETHER
    faults: int = 8
    first_wave: int = 0
    point_waves: int = 5


@dataclass(slots=True)
class Round:
    """One workflow, its ledger and its user."""

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


@dataclass(slots=True)
class Session:
    """`folder` is for what the session remembers of itself; `keep` is called after each wave."""

    target: Target
    folder: Path
    report: Report
    shape: Shape = field(default_factory=Shape)
    say: Callable[[str], None] = lambda text: None
    keep: Callable[[Report], None] = lambda report: None

    def run(self) -> Report:
        killer = Killer(self.target.server, self.folder / "fired", self.target.troubles)
        shares = share_points(self.shape.point_waves, self.target.points)
        failed_starts, voids = self.report.failed_starts, self.report.voids
        for wave in range(self.shape.first_wave, self.shape.first_wave + self.shape.waves):
            began = time.monotonic()
            self._run_wave(wave, killer, shares[wave] if wave < len(shares) else ())
            self.report.points.update(killer.fired_points())
            self.report.failed_starts = failed_starts + killer.failed_starts
            self.report.voids = voids + count_voids(self.target.server)
            self.report.seconds += time.monotonic() - began
            self.report.next_wave = wave + 1
            self.say(f"wave {wave}: {self.report.rounds} rounds, {len(self.report.problems)} problems")
            self.keep(self.report)
        return self.report

    def _run_wave(self, wave: int, killer: Killer, points: Sequence[str]) -> None:
        rng = random.Random(f"{self.report.seed}/{wave}")
        rounds = [self._make_round(rng, wave, number) for number in range(self.shape.together)]
        kinds = sorted(kind for trouble in self.target.troubles for kind in trouble.kinds)
        faults = plan_faults(rng, self.shape.faults, points, kinds)
        with acting(rounds):
            last, fault_at = self._kill(killer, faults, rounds)
            self._wait(wave, rounds)
        for one in rounds:
            self._judge(wave, one, last, fault_at)
        for broken in run_fsck(self.target.server):
            self.report.broken += 1
            self.report.note_problem(wave, "fsck", broken)

    def _make_round(self, rng: random.Random, wave: int, number: int) -> Round:
        name = f"{self.report.seed}-{wave}-{number}"
        graph, folder = make_graph(rng, self.shape.jobs), self.target.work.folder / name
        habit = choose_habit(rng) if number else choose_kill(rng)  # one kill in each wave
        prepare_folder(folder)
        target = self.target
        user = User(target.server, name, graph, folder, target.work, target.second_token)
        return Round(name, graph, folder, user, habit)

    def _kill(self, killer: Killer, faults: Sequence[Fault], rounds: Sequence[Round]) -> tuple[str, float]:
        """Until all faults are done or all rounds are over; the last fault's name and time."""
        last, at = "nothing", time.time()
        for fault in faults:
            time.sleep(fault.after)
            if all(one.is_over() for one in rounds):
                break
            at = killer.do(fault)
            last = fault.name
            self.report.faults[last] += 1
        return last, at

    def _wait(self, wave: int, rounds: Sequence[Round]) -> None:
        """By itself: nobody helps any more. Rounds of a large wave share one machine."""
        share = max(1.0, self.shape.together / USUAL_TOGETHER)
        patience = (DEADLINE + SECONDS_PER_JOB.get(self.target.work.executor, 0.0) * self.shape.jobs) * share
        deadline = time.monotonic() + patience
        while not all(one.is_over() for one in rounds):
            if time.monotonic() > deadline:
                late = [one.name for one in rounds if not one.is_over()]
                self.report.note_problem(wave, "late", f"not over after {patience:g} s: {late}")
                self.report.humans += len(late)
                return
            time.sleep(PAUSE)

    def _judge(self, wave: int, one: Round, last: str, fault_at: float) -> None:
        assert one.acting is not None
        if one.acting.done() and (error := one.acting.exception()) is not None:
            self.report.note_problem(wave, "user", f"round {one.name}: {error!r}")
            self.report.humans += 1
        self.report.rounds += 1
        if not one.user.workflow_id:
            return
        self.report.jobs += len(one.graph.jobs)
        self._check_jobs(wave, one)
        recovery = measure_recovery(self.target.server, one.user.workflow_id, fault_at)
        if recovery is not None:
            self.report.recoveries.append((round(recovery, 2), last))

    def _check_jobs(self, wave: int, one: Round) -> None:
        """The ledger against the promise; where there is none, that everything is done."""
        server, workflow_id = self.target.server, one.user.workflow_id
        statuses = read_statuses(server, workflow_id)
        if not self.target.work.keeps_ledger:
            for name in sorted(name for name, status in statuses.items() if status != "D"):
                self.report.note_problem(wave, "unfinished", f"round {one.name}: {name} is {statuses[name]}")
            return
        lines, problems = parse((one.folder / LEDGER).read_text())
        self.report.starts += sum(line.code is None for line in lines)
        for problem in [*problems, *check(lines, one.graph.upstreams, statuses, read_attempts(server, workflow_id))]:
            self.report.note_problem(wave, problem.kind, f"round {one.name}: {problem.text}")


@contextmanager
def acting(rounds: Sequence[Round]) -> Iterator[None]:
    """The users of these rounds act, each in a thread."""
    pool = ThreadPoolExecutor(len(rounds))
    for one in rounds:
        one.acting = pool.submit(one.user.act, one.habit)
    try:
        yield
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
