"""Waves of rounds on one server: several workflows at once, a killer among them, then the verdict."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.facts import count_voids, find_late_wrappers
from tests.chaos.graphs import make_graph, open_gate, prepare_folder
from tests.chaos.killer import Killer, Strike
from tests.chaos.logs import LogWatch
from tests.chaos.plan import PAUSE_POINT, Fault, pair, plan_wave
from tests.chaos.report import Report
from tests.chaos.servers import Target
from tests.chaos.users import User, choose_habit, choose_kill
from tests.chaos.verdict import Judge, Round

DEADLINE = 180.0  # seconds after the last fault, for as many rounds as usual
USUAL_TOGETHER = 4
SECONDS_PER_JOB = {"sge": 3.0, "slurm": 3.0}  # a batch system takes its time between one job and the next
PAUSE = 0.2
GATES = 2  # rounds of a wave with a job that waits until the faults are over


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a session is. A wave is `together` rounds at once, with `faults` faults beside the starts with armed
    points; without `points` there are none of these."""

    jobs: int = 60
    waves: int = 5
    together: int = USUAL_TOGETHER
    faults: int = 8
    first_wave: int = 0
    points: tuple[str, ...] | None = None


@dataclass(slots=True)
class Session:
    """`folder` is for what the session remembers of itself; `keep` is called after each wave."""

    target: Target
    folder: Path
    report: Report
    shape: Shape = field(default_factory=Shape)
    say: Callable[[str], None] = lambda text: None
    keep: Callable[[Report], None] = lambda report: None

    @property
    def is_local(self) -> bool:
        return self.target.work.executor == "local"

    def run(self) -> Report:
        find = (lambda: find_late_wrappers(self.target.spool)) if self.is_local else None
        killer = Killer(self.target.server, self.folder / "fired", self.target.troubles, find)
        judge = Judge(self.target, self.report, LogWatch(self.target.server.home / "logs"))
        failed_starts, voids, late = self.report.failed_starts, self.report.voids, self.report.late_wrappers
        for wave in range(self.shape.first_wave, self.shape.first_wave + self.shape.waves):
            began, known = time.monotonic(), len(self.report.problems)
            self._run_wave(wave, killer, judge)
            self.report.failed_starts = failed_starts + killer.failed_starts
            self.report.voids = voids + count_voids(self.target.server)
            self.report.late_wrappers = late + len(killer.late_wrappers)
            self.report.seconds += time.monotonic() - began
            self.report.next_wave = wave + 1
            self.say(f"wave {wave}: {self.report.rounds} rounds, {len(self.report.problems)} problems")
            for problem in self.report.problems[known:]:
                self.say(problem)
            self.keep(self.report)
        self.report.sees_late_wrappers = self.is_local and PAUSE_POINT in self._points
        self.report.note_vacuous()
        self.keep(self.report)
        return self.report

    @property
    def _points(self) -> tuple[str, ...]:
        return self.target.points if self.shape.points is None else self.shape.points

    def _run_wave(self, wave: int, killer: Killer, judge: Judge) -> None:
        rng = random.Random(f"{self.report.seed}/{wave}")
        rounds = [self._make_round(rng, wave, number) for number in range(self.shape.together)]
        families = [trouble.kinds for trouble in self.target.troubles]
        faults = plan_wave(self.report.seed, wave, self.shape.faults, self._points, families)
        killer.begin_wave(wave)
        with acting(rounds):
            strikes = self._kill(wave, killer, faults, rounds)
            for one in rounds:
                open_gate(one.folder)
            self._wait(wave, rounds)
        self._note_points(wave, killer)
        judge.judge_wave(wave, rounds, strikes)

    def _make_round(self, rng: random.Random, wave: int, number: int) -> Round:
        name = f"{self.report.seed}-{wave}-{number}"
        graph, folder = make_graph(rng, self.shape.jobs, number < GATES), self.target.work.folder / name
        habit = choose_habit(rng) if number else choose_kill(rng)  # one kill in each wave
        prepare_folder(folder)
        target = self.target
        user = User(target.server, name, graph, folder, target.work, target.second_token)
        return Round(name, graph, folder, user, habit)

    def _kill(self, wave: int, killer: Killer, faults: Sequence[Fault], rounds: Sequence[Round]) -> list[Strike]:
        """Until all faults are done or all rounds are over."""
        strikes: list[Strike] = []
        for group in pair(faults):
            time.sleep(group[0].after)
            if all(one.is_over() for one in rounds):
                self.report.missed.update(fault.name for fault in group)
            else:
                strikes += killer.do_all(group)
        for strike in strikes:
            (self.report.faults if strike.has_struck else self.report.missed)[strike.name] += 1
        if faults and not any(strike.has_struck for strike in strikes):
            self.report.note_problem(wave, "vacuous", "no fault of this wave has met anything")
        return strikes

    def _note_points(self, wave: int, killer: Killer) -> None:
        fired = killer.fired_points()
        self.report.points.update([*fired, *killer.fired_points("pause")])
        if set(self._points) - {PAUSE_POINT} and not fired:
            self.report.note_problem(wave, "vacuous", "none of the armed fault points has fired")

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
