"""What a workflow has to do, told once more and apart from the product: nothing of it is imported here.

The model hears what persons ask for, what really happens on the executor, and which moves of attempts the product has
written down, in their order. It refuses a move that must not be (a `Breach`), and says after each what every job's
status and count of attempts has to be. `tests.reference.forecast` says how it all has to end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

WAITING, STARTED = frozenset("GQE"), frozenset("IR")
CODES = {"ok": 0, "exit": 3, "signal": 137, "memory": 137, "runtime": 143}
TERMINATED = 143
COUNTS = frozenset({"ok", "exit", "signal", "memory", "runtime", "lost"})


class Breach(AssertionError):
    """The product did what it must not do. Hypothesis plays a failure again and may report only that it went otherwise
    the second time: `said` keeps the first words."""

    said: ClassVar[list[str]] = []

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.said.append(words)


def demand(is_right: bool, words: str) -> None:
    if not is_right:
        raise Breach(words)


@dataclass(frozen=True)
class Plan:
    """What becomes of each start of a job's command: `kind`, and success from the start number `until` on."""

    kind: str = "ok"
    until: int | None = None
    runs: int = 0
    waits: int = 0

    def outcome(self, start: int) -> str:
        return "ok" if self.until is not None and start >= self.until else self.kind

    def as_command(self) -> str:
        """In the words of the dummy executor."""
        words = [{"exit": "exit=3", "signal": "signal=9"}.get(self.kind, self.kind)]
        words += [f"{key}={value}" for key in ("until", "runs", "waits") if (value := getattr(self, key))]
        return " ".join(words)


@dataclass
class Job:
    name: str
    plan: Plan
    ups: tuple[str, ...]
    max_attempts: int
    status: str = "G"
    used: int = 0
    starts: int = 0


@dataclass
class Attempt:
    """One attempt and what is known of it outside the product. `end`: how it really ended ("cancelled" and "lost" among
    the ways), seen from `visible_at` on; `missed`: listings in a row that lacked it; `verdict`: what the product says."""

    number: int
    job: Job
    verdict: str = ""
    is_handed_over: bool = False
    start: int = 0
    end: str = ""
    visible_at: float = 0.0
    missed: int = 0
    is_kill_asked: bool = False
    then: str = ""

    @property
    def is_live(self) -> bool:
        return not self.verdict

    def is_seen_to_end(self, now: float) -> bool:
        return self.end not in ("", "lost") and self.visible_at <= now

    def may_still_succeed(self) -> bool:
        """Given up for lost, but its success may come to light."""
        return self.start > 0 and (self.end or self.job.plan.outcome(self.start)) == "ok"


def judge(attempt: Attempt, end: str) -> str:
    """The verdict on an attempt that ended so. A kill explains any failure but that of a limit."""
    if end in ("ok", "memory", "runtime"):
        return end
    if attempt.is_kill_asked:
        return "killed"
    return "signal" if end == "cancelled" else end


@dataclass
class Model:
    jobs: dict[str, Job]
    limit: int | None = None
    is_fail_fast: bool = False
    attempts: dict[int, Attempt] = field(default_factory=dict)
    run: str = ""
    workflow: str = "C"
    stopping: str = ""
    is_held: bool = False
    is_owner_active: bool = True
    now: float = 0.0

    # what it has to be

    def states(self) -> dict[str, tuple[str, int]]:
        return {job.name: (job.status, job.used) for job in self.jobs.values()}

    def live(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts.values() if attempt.is_live]

    def live_of(self, job: Job) -> Attempt | None:
        found = [attempt for attempt in self.live() if attempt.job is job]
        demand(len(found) <= 1, f"{job.name} has {len(found)} live attempts at once")
        return found[0] if found else None

    def is_ready(self, job: Job) -> bool:
        return job.status in WAITING and all(self.jobs[up].status == "D" for up in job.ups)

    def is_complete(self) -> bool:
        return all(job.status == "D" for job in self.jobs.values())

    def has_failed(self) -> bool:
        return any(job.status == "F" for job in self.jobs.values())

    def refusal_of_start(self, resume: str) -> str:
        """The code with which a start must be refused; "" if it must be done."""
        if not self.is_owner_active:
            return "owner-disabled"
        if self.run == "R" and not self.stopping:
            return "workflow-running"
        if self.run == "R" and (resume != "hot" or (self.stopping == "kill" and self.live())):
            return "leftovers"
        return "workflow-already-complete" if self.is_complete() else ""

    # what persons do

    def start(self) -> None:
        """A new run: what is neither done nor live is tried again with all its attempts; what is live is adopted."""
        self.run, self.workflow, self.stopping, self.is_held = "R", "R", "", False
        for attempt in self.live():
            attempt.is_kill_asked, attempt.then = False, ""
        for job in self.jobs.values():
            if job.status in WAITING or job.status == "F":
                job.status, job.used = "G", 0

    def stop(self, mode: str) -> None:
        demand(self.run == "R", "a run that is over was stopped")
        if self.stopping != "kill":
            self.stopping = mode
        for attempt in self.live() if mode == "kill" else ():
            attempt.is_kill_asked = True

    def kill(self, names: Iterable[str], then: str) -> None:
        for attempt in self.live():
            if attempt.job.name in set(names):
                attempt.is_kill_asked, attempt.then = True, then

    def reset(self, names: Iterable[str]) -> None:
        for job in (self.jobs[name] for name in names):
            if job.status not in STARTED:
                job.status, job.used = "G", 0
        if self.workflow == "D" and names:
            self.workflow = "S"

    def mark_done(self, names: Iterable[str]) -> None:
        for job in (self.jobs[name] for name in names):
            if job.status not in STARTED:
                job.status = "D"

    # what really happens on the executor

    def hand_over(self, number: int, name: str) -> None:
        attempt = self.attempts.get(number)
        demand(attempt is not None, f"attempt {number} of {name} was submitted and its intent is not written down")
        assert attempt is not None
        job = attempt.job
        demand(job.name == name, f"attempt {number} of {job.name} was submitted as one of {name}")
        demand(attempt.is_live and not attempt.is_handed_over, f"attempt {number} was submitted again")
        attempt.is_handed_over = True

    def begin(self, number: int) -> None:
        attempt = self.attempts[number]
        demand(attempt.is_handed_over and not attempt.start, f"attempt {number} has started, and not only once")
        demand(attempt.is_live, f"attempt {number} has started after it was given up as {attempt.verdict}")
        others = [one for one in self.attempts.values() if one.job is attempt.job and one.number < number]
        demand(not any(one.is_live for one in others), f"two attempts of {attempt.job.name} run at once")
        attempt.job.starts += 1
        attempt.start = attempt.job.starts

    def finish(self, number: int, code: int, visible_at: float, is_cancelled: bool) -> None:
        """Its exit: the one that was planned, or that of a kill."""
        attempt = self.attempts[number]
        planned = "cancelled" if is_cancelled else attempt.job.plan.outcome(attempt.start)
        wanted = TERMINATED if is_cancelled else CODES[planned]
        demand(code == wanted, f"attempt {number} was to end with {wanted}, not {code}")
        attempt.end, attempt.visible_at = planned, visible_at

    def lose(self, number: int) -> None:
        self.attempts[number].end = "lost"

    def cancel(self, number: int) -> None:
        demand(self.attempts[number].is_kill_asked, f"attempt {number} was cancelled and nobody has asked for it")

    def list(self, numbers: frozenset[int]) -> None:
        for attempt in self.live():
            attempt.missed = 0 if attempt.number in numbers else attempt.missed + 1

    # what the product writes down

    def intend(self, number: int, name: str, ordinal: int) -> None:
        job = self.jobs[name]
        demand(self.run == "R" and not self.stopping, f"{name} was started in a run that is over or stopping")
        demand(not self.is_held and self.is_owner_active, f"{name} was started though the run is held")
        demand(job.status in WAITING, f"{name} was started in status {job.status}")
        demand(self.is_ready(job), f"{name} was started before all its upstreams were done")
        demand(job.used < job.max_attempts, f"{name} was started with all its attempts used")
        demand(self.live_of(job) is None, f"{name} was started beside a live attempt of it")
        demand(not (self.is_fail_fast and self.has_failed()), f"{name} was started after a failure, in fail-fast")
        demand(self.limit is None or len(self.live()) < self.limit, f"{name} was started over the limit")
        demand(ordinal == job.used + 1, f"{name}: this is attempt {job.used + 1}, not {ordinal}")
        self.attempts[number] = Attempt(number, job)
        job.status = "I"

    def see_running(self, number: int) -> None:
        attempt = self.attempts[number]
        demand(attempt.start > 0, f"attempt {number} is said to run and has not started")
        if attempt.job.status == "I":
            attempt.job.status = "R"

    def end(self, number: int, verdict: str) -> None:
        """`verdict`: "ok" or the reason."""
        attempt = self.attempts[number]
        if not attempt.is_live:
            return self._succeed_late(attempt, verdict)
        allowed = self.verdicts(attempt)
        demand(verdict in allowed, f"attempt {number} of {attempt.job.name} ended as {verdict}, not {sorted(allowed)}")
        attempt.verdict = verdict
        job = attempt.job
        job.used += verdict in COUNTS
        job.status = self._status_after(attempt)
        return None

    def _status_after(self, attempt: Attempt) -> str:
        fixed = {"ok": "D", "refused": "F", "void": "Q", "killed": "F" if attempt.then == "fail" else "G"}
        return fixed.get(attempt.verdict) or ("F" if attempt.job.used >= attempt.job.max_attempts else "E")

    def _succeed_late(self, attempt: Attempt, verdict: str) -> None:
        demand(verdict == "ok", f"attempt {attempt.number} ended as {attempt.verdict} and then as {verdict}")
        demand(attempt.end == "ok" and attempt.is_seen_to_end(self.now), f"attempt {attempt.number} has not succeeded")
        demand(attempt.job.status in WAITING | {"F"}, f"a late success moved {attempt.job.name} from its status")
        attempt.verdict, attempt.job.status = "ok", "D"
        if self.run != "R" and self.is_complete():
            self.workflow = "D"

    def verdicts(self, attempt: Attempt) -> set[str]:
        """What may be said of it now, by what has really happened."""
        if attempt.is_seen_to_end(self.now):
            return {judge(attempt, attempt.end)}
        if attempt.start:
            return {judge(attempt, "lost")} if attempt.missed >= 2 else set()
        if attempt.is_handed_over and attempt.job.plan.kind == "refused":
            return {"refused", "killed" if attempt.is_kill_asked else "void"}
        older = (one for one in self.attempts.values() if one.job is attempt.job and one.number < attempt.number)
        if attempt.is_kill_asked and not any(one.end == "ok" for one in older):
            return {"killed"}
        return {"killed", "void"} if attempt.is_kill_asked else {"void"}

    def close(self, status: str) -> None:
        """The run is said to be over."""
        demand(self.run == "R", "a run that is over has ended again")
        demand(not self.live(), "the run has ended with live attempts")
        wanted = self._closes_as()
        demand(status == wanted, f"the run has ended as {status}, not as {wanted or 'anything: jobs can still start'}")
        self.run = self.workflow = status
        for job in self.jobs.values():
            job.status = "G" if job.status in WAITING else job.status

    def _closes_as(self) -> str:
        if self.is_complete():
            return "D"
        if self.stopping:
            return "S"
        if self.is_fail_fast and self.has_failed():
            return "E"
        if self.is_held or any(self.is_ready(job) for job in self.jobs.values()):
            return ""
        return "E"


def make_model(jobs: Iterable[Job], **options: int | bool | None) -> Model:
    return Model({job.name: job for job in jobs}, **options)  # type: ignore[arg-type]


def difference(wanted: Mapping[str, object], found: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """Name → what it has to be and what it is, where they differ."""
    return {
        name: (wanted.get(name), found.get(name)) for name in {**wanted, **found} if wanted.get(name) != found.get(name)
    }
