"""What an action would do, before it is done: counts, reasons and samples per tag. The actions use the same scope and
the same rules, so that a preview and the act that follows it agree."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.db.models import Count, OuterRef, Subquery, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from workflows.bulk import chunked
from workflows.directions import fenced
from workflows.lifecycle import MoreAsked
from workflows.lifecycle.asking import GROWTH
from workflows.lifecycle.steering import refuse_unknown_tags
from workflows.models import Job, JobGroup, JobInstance, Workflow, WorkflowRun
from workflows.models.definition import COUNT_FIELDS
from workflows.models.execution import LIVE_LETTERS
from workflows.scope import Scope, find_downstream
from workflows.state_machine import JobStatus, Reason, RunStatus, WorkflowStatus

SAMPLES, SAMPLED = 3, 1_000
DOWNSTREAMS_READ = 2_000
KEPT, AGAIN, FIRST, OPEN, ADOPTED = "kept", "tried again", "first try", "not done yet", "still live"
WHAT_OF: dict[str, tuple[str, str]] = {
    JobStatus.DONE: (KEPT, "done; it is not run again"),
    JobStatus.ERROR_FATAL: (AGAIN, "failed; gets all its attempts anew"),
    JobStatus.ERROR_RECOVERABLE: (AGAIN, "failed, attempts were left"),
    JobStatus.QUEUED: (OPEN, "was queued"),
    JobStatus.REGISTERED: (OPEN, "has not run, or was ended before it was done"),
    JobStatus.INSTANTIATED: (ADOPTED, "an attempt is live: cold ends it first, hot lets it finish"),
    JobStatus.RUNNING: (ADOPTED, "an attempt is live: cold ends it first, hot lets it finish"),
}
SHOWN_ORDER = (AGAIN, FIRST, OPEN, ADOPTED, KEPT)
UNFINISHED = (JobStatus.ERROR_RECOVERABLE, JobStatus.ERROR_FATAL, JobStatus.REGISTERED, JobStatus.QUEUED)
KEPT_OR_LIVE = (JobStatus.DONE, JobStatus.INSTANTIATED, JobStatus.RUNNING)

NEVER_RAN = "has not run yet"
RUN_AGAIN, TRIED, SKIPPED = "run again", "tried", "skipped"
RERUN_WHY = {
    RUN_AGAIN: "done; the output is written over",
    TRIED: "not done",
    SKIPPED: "an attempt is live; stop that first",
}
RERUN_OF = {JobStatus.DONE: RUN_AGAIN, JobStatus.INSTANTIATED: SKIPPED, JobStatus.RUNNING: SKIPPED}
ROWS_SHOWN = 60


@dataclass(frozen=True, slots=True)
class PlanRow:
    tag: str
    what: str
    jobs: int
    reason: str
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """`digest` changes when the counts do: an act may carry it to be refused when they have changed meanwhile. `obstacle`:
    the warning that speaks of what forbids the act for now."""

    sentence: str
    rows: tuple[PlanRow, ...] = ()
    warnings: tuple[str, ...] = ()
    digest: str = field(default="")
    obstacle: str = ""

    def as_json(self) -> dict[str, Any]:
        groups = [{**asdict(row), "samples": list(row.samples)} for row in self.rows]
        return {"sentence": self.sentence, "groups": groups, "warnings": list(self.warnings), "digest": self.digest}


@dataclass(frozen=True, slots=True)
class LastRun:
    """`left`: its attempts that are not over."""

    pk: int
    status: str
    stopping: str
    left: int


def make_plan(sentence: str, rows: Sequence[PlanRow], warnings: Sequence[str]) -> Plan:
    counted = json.dumps([[row.tag, row.what, row.jobs] for row in rows])
    return Plan(sentence, tuple(rows), tuple(warnings), hashlib.sha256(counted.encode()).hexdigest()[:16])


def sum_up_rest(rows: Sequence[PlanRow], most: int = ROWS_SHOWN) -> list[PlanRow]:
    """The first rows as they are; of the others a row for each thing that happens."""
    rest: dict[str, list[PlanRow]] = {}
    for row in rows[most:]:
        rest.setdefault(row.what, []).append(row)
    sums = [
        PlanRow(plural(len(others), "more tag"), what, sum(row.jobs for row in others), "")
        for what, others in rest.items()
    ]
    return [*rows[:most], *sums]


def plural(count: int, word: str = "job") -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def plan_start(workflow: Workflow, scope: Scope, resume: str, more: MoreAsked | None = None) -> Plan:
    """What a start or resume would do."""
    rows = _rows(workflow, scope)
    kept = sum(row.jobs for row in rows if row.what == KEPT)
    again = sum(row.jobs for row in rows if row.what == AGAIN)
    first = sum(row.jobs for row in rows if row.what == FIRST)
    unfinished = sum(row.jobs for row in rows if row.what == OPEN)
    live = sum(row.jobs for row in rows if row.what == ADOPTED)
    if not (again or first or unfinished or live):
        return make_plan(f"All {plural(kept)} are done; there is nothing to run.", rows, [])
    rest = f"{first:,} run for the first time" if first else f"{unfinished:,} not done yet"
    parts = [f"{plural(kept)} kept", f"{again:,} tried again", rest]
    if live:
        parts.append(f"{live:,} still live")
    outside = workflow.dag.job_count - sum(row.jobs for row in rows)
    if outside:
        parts.append(f"{plural(outside)} outside the scope stay as they are")
    last_run = _last_run(workflow)
    obstacle = _say_live(last_run)
    warnings = [obstacle] if obstacle else list(_say_left(last_run, resume))
    warnings += _failure_warnings(workflow, scope, more or MoreAsked())
    return replace(make_plan(", ".join(parts) + ".", rows, warnings), obstacle=obstacle)


def _rows(workflow: Workflow, scope: Scope) -> list[PlanRow]:
    """What is run first, what is kept last; by tag."""
    names = _samples(workflow, scope)
    merged: dict[tuple[str, str, str], int] = {}
    samples: dict[tuple[str, str, str], list[str]] = {}
    for tag, status, count, known in _count(workflow, scope):
        what, reason = WHAT_OF[status]
        if what == OPEN and workflow.status == WorkflowStatus.CREATED:
            what, reason = FIRST, NEVER_RAN
        merged[tag, what, reason] = merged.get((tag, what, reason), 0) + count
        samples.setdefault((tag, what, reason), []).extend(known or names.get((tag, status), []))
    rows = [
        PlanRow(tag, what, count, reason, tuple(samples[tag, what, reason][:SAMPLES]))
        for (tag, what, reason), count in merged.items()
    ]
    return sorted(rows, key=lambda row: (SHOWN_ORDER.index(row.what), row.tag, row.reason))


def _is_of_single_jobs(scope: Scope) -> bool:
    return bool(scope.job_ids or scope.error_group)


def _count(workflow: Workflow, scope: Scope) -> Iterator[tuple[str, str, int, list[str]]]:
    """(tag, letter, jobs, names of some of those that are kept or live): from the stored counts, unless single jobs are
    meant."""
    if _is_of_single_jobs(scope):
        jobs = scope.select(workflow.dag_id).order_by()
        for tag, status, count in jobs.values_list("group__name", "status").annotate(n=Count("pk")):
            yield tag, status, count, []
        return
    groups = JobGroup.objects.filter(dag_id=workflow.dag_id).annotate(**_first_names())
    for group in groups.filter(name__in=scope.tags) if scope.tags else groups:
        for status, column in COUNT_FIELDS.items():
            if count := getattr(group, column):
                names = [getattr(group, _name_field(status, number), None) for number in range(SAMPLES)]
                yield group.name, status.value, count, [name for name in names if name]


def _first_names() -> dict[str, Subquery]:
    """Of each tag the first few jobs that are done or live, each found in the index: none of the many is read."""
    jobs = Job.objects.filter(group_id=OuterRef("pk")).order_by("job_id").values("name")
    return {
        _name_field(status, number): Subquery(jobs.filter(status=status.value)[number : number + 1])
        for status in KEPT_OR_LIVE
        for number in range(SAMPLES)
    }


def _name_field(status: JobStatus, number: int) -> str:
    return f"name_{status.value}_{number}"


def _samples(workflow: Workflow, scope: Scope) -> dict[tuple[str, str], list[str]]:
    """A few names per tag and status, as far as one bounded read finds them: failed ones first. The stored counts come
    with names of those that are kept or live."""
    letters = [*UNFINISHED, *(KEPT_OR_LIVE if _is_of_single_jobs(scope) else ())]
    jobs = scope.select(workflow.dag_id).filter(status__in=[letter.value for letter in letters])
    rows = jobs.order_by("status", "job_id")
    # Looked up for each row: joined, MariaDB would sort all unfinished jobs rather than read them in order.
    tag_name = JobGroup.objects.filter(pk=OuterRef("group_id")).values("name")
    found: dict[tuple[str, str], list[str]] = {}
    for tag, status, name in rows.annotate(tag_name=Subquery(tag_name)).values_list("tag_name", "status", "name")[
        :SAMPLED
    ]:
        names = found.setdefault((tag, status), [])
        if len(names) < SAMPLES:
            names.append(name)
    return found


def _count_attempts(letter: str) -> Combinable:
    """Attempts of a run in one status. With several at once MariaDB would read all attempts of the run."""
    attempts = JobInstance.objects.filter(workflow_run_id=OuterRef("pk"), status=letter).order_by()
    return Coalesce(Subquery(attempts.values("workflow_run_id").annotate(n=Count("pk")).values("n")), 0)


def _last_run(workflow: Workflow) -> LastRun | None:
    left: Combinable = Value(0)
    for letter in LIVE_LETTERS:
        left = left + _count_attempts(letter)
    runs = WorkflowRun.objects.filter(workflow=workflow).order_by("-id").annotate(left=left)
    row = runs.values_list("pk", "status", "stopping", "left").first()
    return None if row is None else LastRun(*row)


def _say_live(run: LastRun | None) -> str:
    """'' if no live run forbids a new one."""
    is_live = run is not None and run.status == RunStatus.RUNNING and not run.stopping
    return f"Run {run.pk} is live; stop it first." if run is not None and is_live else ""


def _say_left(run: LastRun | None, resume: str) -> Iterator[str]:
    if run is not None and run.left:
        are, they = ("is", "it") if run.left == 1 else ("are", "they")
        gone = f"a cold resume waits until {they} {are} confirmed gone"
        ending = f"{they} will be adopted" if resume == "hot" else gone
        yield f"{plural(run.left, 'attempt')} of run {run.pk} {are} not gone yet; {ending}."


def _failure_warnings(workflow: Workflow, scope: Scope, more: MoreAsked) -> Iterator[str]:
    failed = scope.select(workflow.dag_id).filter(status=JobStatus.ERROR_FATAL.value).order_by()
    counted = list(failed.values_list("error_group__reason", "error_group__state").annotate(n=Count("pk")))
    total = sum(row[2] for row in counted)
    by_themselves = [row for row in counted if row[0] not in (None, Reason.KILLED.value)]
    for reason, is_raised, what in (
        (Reason.MEMORY, more.memory, "memory"),
        (Reason.RUNTIME, more.runtime, "run time"),
    ):
        short = sum(count for ended, _, count in counted if ended == reason.value)
        if short and is_raised:
            yield f"{short:,} of {plural(total)} failed over {what} and will ask for {GROWTH:g} times as much."
        elif short:
            yield f"{short:,} of {plural(total)} failed over {what} and would ask for the same again."
    if by_themselves and not any(state == "fixed" for _, state, _ in counted):
        yield "No group of these failures is marked fixed: what made them fail may still be there."


def plan_stop(run: WorkflowRun, mode: str, counted: tuple[int, int] | None = None) -> Plan:
    """What a stop would end or wait for. `counted`: the running and the submitted attempts, where they are known."""
    running, queued = counted if counted is not None else _count_live(run)
    if mode == "drain":
        sentence = f"{plural(running)} running and {queued:,} submitted are let finish; nothing more is submitted."
    else:
        sentence = f"{plural(running)} running and {queued:,} submitted are ended; what is done stays done."
    rows = [PlanRow("", "running", running, ""), PlanRow("", "submitted", queued, "")]
    warnings = [] if run.status == RunStatus.RUNNING else [f"Run {run.pk} is over; there is nothing to stop."]
    return make_plan(sentence, rows, warnings)


def _count_live(run: WorkflowRun) -> tuple[int, int]:
    live = JobInstance.objects.filter(workflow_run=run, status__in=LIVE_LETTERS)
    counts = dict(live.values_list("status").annotate(n=Count("pk")).order_by())
    return counts.get("R", 0), counts.get("I", 0) + counts.get("B", 0)


def rerun_ids(job: Job, with_downstream: bool) -> list[int]:
    """The job, and with it those of its downstream that have run: what has not run yet will run anyway."""
    if not with_downstream:
        return [job.pk]
    return sorted({job.pk, *find_downstream([job.pk])})


def plan_rerun(job: Job, with_downstream: bool) -> Plan:
    """What running a job again would do."""
    ids = rerun_ids(job, with_downstream)
    counts: dict[tuple[str, str], int] = {}
    for chunk in chunked(ids):
        jobs = Job.objects.filter(pk__in=chunk).order_by()
        for tag, status, count in jobs.values_list("group__name", "status").annotate(n=Count("pk")):
            what = RERUN_OF.get(JobStatus(status), TRIED)
            counts[tag, what] = counts.get((tag, what), 0) + count
    behind = f", and {plural(len(ids) - 1)} behind it" if with_downstream else ""
    order = list(RERUN_WHY)
    rows = [
        PlanRow(tag, what, number, RERUN_WHY[what])
        for (tag, what), number in sorted(counts.items(), key=lambda item: (order.index(item[0][1]), item[0][0]))
    ]
    return make_plan(f"{fenced(job.name)} runs again{behind}.", rows, [] if with_downstream else _warn_of_stale(job))


def _warn_of_stale(job: Job) -> list[str]:
    """That jobs behind it keep what they made of the old output. Of very many only some are looked at."""
    edges = job.downstream_edges.order_by("downstream_id").values_list("downstream__status", flat=True)
    letters = list(edges[:DOWNSTREAMS_READ])
    if JobStatus.DONE.value in letters:
        return ["Jobs behind it are done and stay done, though what they read is written anew."]
    if len(letters) == DOWNSTREAMS_READ:
        return [f"At least {DOWNSTREAMS_READ:,} jobs wait for it; if any is done, it stays done."]
    return []


def plan_done(job: Job) -> Plan:
    """What marking a job done would do."""
    waiting = job.downstream_edges.count()
    if job.status == JobStatus.DONE:
        return make_plan(f"{fenced(job.name)} is done already.", [], [])
    sentence = f"{fenced(job.name)} counts as done without running, on your word; {plural(waiting)} {'waits' if waiting == 1 else 'wait'} for it."
    live = job.status in (JobStatus.INSTANTIATED, JobStatus.RUNNING)
    return make_plan(sentence, [], ["An attempt of it is live; stop that first."] if live else [])


def plan_limits(workflow: Workflow, run_limit: int | None, tag_limits: Mapping[str, int | None]) -> Plan:
    """What new limits would mean for what is live. Raises Refused for a tag that is not there."""
    groups = {group.name: group for group in JobGroup.objects.filter(dag_id=workflow.dag_id)}
    refuse_unknown_tags(workflow.pk, {name for name, group in groups.items() if group.is_from_tag}, tag_limits)
    live = {name: group.count_i + group.count_r for name, group in groups.items()}
    asked = [("", sum(live.values()), workflow.max_concurrently_running, run_limit)]
    asked += [
        (tag, live[tag], groups[tag].max_concurrently_running, limit) for tag, limit in sorted(tag_limits.items())
    ]
    rows = [PlanRow(tag, "live", now, _say_limit(before, after)) for tag, now, before, after in asked]
    over = [tag or "the workflow" for tag, now, _, after in asked if after is not None and now > after]
    warnings = (
        [f"More are live now in {', '.join(map(fenced, over))}: they go on; nothing more is submitted until fewer are."]
        if over
        else []
    )
    return make_plan("; ".join(f"{fenced(row.tag or 'Workflow')}: {row.reason}" for row in rows) + ".", rows, warnings)


def _say_limit(before: int | None, after: int | None) -> str:
    old, new = (f"{limit:,} at once" if limit is not None else "no limit" for limit in (before, after))
    return f"{new}, as now" if before == after else f"{new} instead of {old}"
