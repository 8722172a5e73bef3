"""How a workflow has to end if nothing disturbs it any more: of each job, the statuses and counts of attempts that are
possible. It is one only, unless that depends on who comes first: a kill or the end, a failure or the other jobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.reference.model import COUNTS, WAITING, Attempt, Job, Model, judge

State = tuple[str, int]


@dataclass(frozen=True)
class Way:
    """How the jobs before this one leave it: whether it may start (again), and whether it surely does. `is_cut_short`:
    it may also be left anywhere on its way."""

    may_go: bool
    must_go: bool
    is_cut_short: bool


def forecast(model: Model) -> dict[str, set[State]]:
    found = _forecast(model, is_cut_short=False)
    may_fail = any(status == "F" for states in found.values() for status, _ in states)
    if model.is_fail_fast and may_fail and not model.has_failed():
        return _forecast(model, is_cut_short=True)
    return found


def _forecast(model: Model, is_cut_short: bool) -> dict[str, set[State]]:
    starts = model.run == "R" and not model.stopping and not (model.is_fail_fast and model.has_failed())
    final: dict[str, set[State]] = {}
    for job in model.jobs.values():  # each after its upstreams
        ups = [{status for status, _ in final[up]} for up in job.ups]
        may_go = starts and all("D" in statuses for statuses in ups)
        way = Way(may_go, may_go and all(statuses == {"D"} for statuses in ups), is_cut_short)
        final[job.name] = set(_ends(model, job, way))
    return final


def _ends(model: Model, job: Job, way: Way) -> Iterator[State]:
    live = model.live_of(job)
    if live is None:
        yield from _go_on(job, job.status, job.used, job.starts, way)
    else:
        for status, used, starts in _after(live):
            yield from _go_on(job, status, used, starts, way)
    given_up = (one for one in model.attempts.values() if one.job is job and one.verdict not in ("", "ok"))
    if any(one.may_still_succeed() for one in given_up):
        yield from (("D", used) for used in range(job.max_attempts + 1))


def _go_on(job: Job, status: str, used: int, starts: int, way: Way) -> Iterator[State]:
    """From here to its end: attempt after attempt, as planned."""
    if status not in WAITING:
        yield status, used
        return
    if not way.must_go or way.is_cut_short:
        yield "G", used
    if not way.may_go:
        return
    while True:
        starts += 1
        if job.plan.kind == "refused":
            yield "F", used
            return
        outcome, used = job.plan.outcome(starts), used + 1
        if outcome == "ok" or used >= job.max_attempts:
            yield "D" if outcome == "ok" else "F", used
            return
        if way.is_cut_short:
            yield "G", used


def _after(live: Attempt) -> Iterator[tuple[str, int, int]]:
    """Status, count and starts of the job when this attempt is over."""
    job = live.job
    for verdict, starts in _verdicts(live):
        used = job.used + (verdict in COUNTS)
        fixed = {"ok": "D", "refused": "F", "void": "Q", "killed": "F" if live.then == "fail" else "G"}
        yield fixed.get(verdict) or ("F" if used >= job.max_attempts else "E"), used, starts


def _verdicts(live: Attempt) -> set[tuple[str, int]]:
    """How it may end and how many starts there were then."""
    job, plan = live.job, live.job.plan
    if live.end:
        return {(judge(live, live.end), job.starts)}
    killed = {("killed", job.starts)} if live.is_kill_asked else set()
    if live.start:
        return killed | {(judge(live, plan.outcome(live.start)), job.starts)}
    if plan.kind == "refused":
        return killed | {("refused", job.starts), ("void", job.starts)}
    never = killed or {("void", job.starts)}
    if not live.is_handed_over:
        return never
    ended = {(judge(live, plan.outcome(job.starts + 1)), job.starts + 1)}
    return never | ended | {("killed", starts) for _, starts in ended if live.is_kill_asked}
