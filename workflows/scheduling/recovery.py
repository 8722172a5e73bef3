"""After the database was restored from a backup: find every attempt that was made since, and give it back its row.

The journal of intents says which attempts there were, and for which jobs; tokens and exit records say what became of
them. Attempts that still run are live again and the reconciler goes on with them; those that are over end as they
would have ended. Everything here may be repeated. Nothing is submitted, and nothing is cancelled unless told.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from executors.base import AttemptRef, AttemptStore, Evidence, Executor, ExecutorUnavailable, Resources, TokenKind
from executors.spool import LOCAL
from workflows import lifecycle
from workflows.actor import Actor
from workflows.bulk import allocate_ids, chunked
from workflows.digits import read_digits
from workflows.lifecycle import Ending, Intended, IntentPlan, Refused, RunOptions
from workflows.models import IdSequence, Job, JobEdge, JobInstance, Workflow, WorkflowRun
from workflows.models.execution import LIVE_LETTERS
from workflows.scheduling import back_ends, recovered_accounts
from workflows.scheduling.collect import judge, read_attempts
from workflows.scheduling.intents import Entry, read_journal
from workflows.scheduling.judge import Asked, judge_void
from workflows.scheduling.live_attempts import read_live
from workflows.state_machine import Reason, RunStatus
from workflows.transactions import write_transaction

logger = logging.getLogger(__name__)
HOLD = "The database was restored from a backup and this run is not in it: look at its jobs, then release it."
OF_THIS_MACHINE = ("local", "sequential")
_NAME = re.compile(r"jm(?P<deployment>.+)-b?(?P<number>[0-9]{1,18})(?:\.[0-9]+)?")


@dataclass(slots=True)
class Report:
    """What was found. `foreign`: attempts of workflows that this database does not have, with what they are called."""

    taken_up: int = 0
    ended: int = 0
    live: int = 0
    opened_runs: list[int] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    cancelled: int = 0


def recover(is_cancelling: bool = False) -> Report:
    """Do all of it. Raises OSError when the spool cannot be read."""
    report = Report()
    entries = read_journal()
    listed = _list_all(report)
    raise_ids([entry.id for entry in entries], listed)
    settle_known()
    known = _known_ids([entry.id for entry in entries])
    missing = [entry for entry in entries if entry.id not in known]
    unknown = _take_up_all(report, missing)
    _note_unlisted(report, entries, listed)
    if is_cancelling:
        report.cancelled = _cancel(unknown)
    return report


def _list_all(report: Report) -> dict[str, set[str]]:
    """Batch system → names of ours that it has now. Of this machine's own attempts the spool tells all."""
    found: dict[str, set[str]] = {}
    for name in back_ends.executor_names():
        try:
            executor = back_ends.get(name)
            if executor.kind not in OF_THIS_MACHINE:
                found[name] = set(executor.poll())
        except (ExecutorUnavailable, back_ends.UnknownExecutor) as error:
            report.problems.append(f"executor {name}: {error}")
    return found


def number_of(name: str) -> int:
    """The id in the name of an attempt or batch of this deployment; 0 for any other name."""
    match = _NAME.fullmatch(name)
    return int(match["number"]) if match is not None and match["deployment"] == settings.DEPLOYMENT else 0


def raise_ids(ids: Iterable[int], listed: dict[str, set[str]]) -> int:
    """No id that was given before the restore is given again. The next free one."""
    highest = max(
        max(ids, default=0), highest_in_spool(Path(settings.SPOOL)),
        max((number_of(name) for names in listed.values() for name in names), default=0),
    )  # fmt: skip
    return _raise_sequence("job_instance", highest)


@write_transaction
def _raise_sequence(name: str, highest: int) -> int:
    first = allocate_ids(name, 0)
    if first <= highest:
        IdSequence.objects.filter(name=name).update(next_id=highest + 1)
    return max(first, highest + 1)


def highest_in_spool(root: Path) -> int:
    """The highest attempt that has files, in either layout."""
    return max((_highest_in(folder) for folder in (root, root / LOCAL)), default=0)


def _highest_in(folder: Path) -> int:
    shards = sorted((shard for name in _names(folder) if (shard := read_digits(name)) is not None), reverse=True)
    for shard in shards:
        stems = (read_digits(name.partition(".")[0]) for name in _names(folder / str(shard)))
        numbers = [number for number in stems if number is not None]
        if numbers:
            return max(numbers)
    return 0


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def settle_known() -> int:
    """Attempts that the database believes to be live and that have ended meanwhile; how many."""
    settled = 0
    for name in back_ends.executor_names():
        try:
            store = back_ends.get(name).store
        except back_ends.UnknownExecutor:
            continue
        settled += _settle(store, [one.attempt.instance_id for one in read_live(name)])
    return settled


def _settle(store: AttemptStore, ids: Sequence[int], is_over: frozenset[int] = frozenset()) -> int:
    """Apply what the records of these attempts say; those in `is_over` end whatever they say."""
    evidence = store.read(ids)
    attempts = read_attempts(ids)
    endings: dict[int, list[Ending]] = defaultdict(list)
    for pk, attempt in attempts.items():
        found = evidence.get(pk)
        if found is not None and found.exit is not None:
            endings[attempt.run_id].append(judge(store, attempt, found))
        elif found is not None and found.token is not None and found.token.kind is TokenKind.VOID:
            endings[attempt.run_id].append(judge_void(attempt.asked))
        elif pk in is_over and (ending := _judge_overtaken(store, pk, found)) is not None:
            endings[attempt.run_id].append(ending)
    return sum(len(lifecycle.record_ended(run_id, _at_their_time(found))) for run_id, found in endings.items())


def _at_their_time(endings: Iterable[Ending]) -> list[Ending]:
    """The timeline shall not say that a job began before the one that it waited for was known to be done."""
    return [replace(ending, known_at=ending.ended_at) for ending in endings]


def _judge_overtaken(store: AttemptStore, pk: int, found: Evidence | None) -> Ending | None:
    """A newer attempt of the job exists, so this one was judged before the restore: void, or lost. None: its token can
    neither be read nor made, so that the poller has to tell."""
    token = found.token if found is not None else store.void([pk], "recover").get(pk)
    if token is None:
        return None
    if token.kind is TokenKind.VOID:
        return judge_void(Asked(pk))
    words = "No exit record, and a newer attempt was made before the database was restored."
    return Ending(pk, Reason.LOST, words, description=words)


def _known_ids(ids: Sequence[int]) -> set[int]:
    known: set[int] = set()
    for chunk in chunked(ids):
        known.update(JobInstance.objects.filter(pk__in=chunk).values_list("pk", flat=True))
    return known


def _take_up_all(report: Report, entries: Sequence[Entry]) -> list[Entry]:
    """Workflow by workflow; those of workflows that are not in this database."""
    by_workflow: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_workflow[entry.workflow].append(entry)
    foreign: list[Entry] = []
    for workflow_hash, found in by_workflow.items():
        workflow = Workflow.objects.select_related("owner").filter(workflow_hash=workflow_hash).first()
        if workflow is None:
            foreign += found
        else:
            _take_up(report, workflow, found)
    report.foreign += [f"{entry.name} (job {entry.job}, {entry.executor})" for entry in foreign]
    report.problems += recovered_accounts.name_out_of_reach(foreign)
    return foreign


def _take_up(report: Report, workflow: Workflow, entries: Sequence[Entry]) -> None:
    job_ids = dict(Job.objects.filter(dag_id=workflow.dag_id).values_list("name", "pk"))
    found = [(job_ids[entry.job], entry) for entry in entries if entry.job in job_ids]
    run = _live_run(report, workflow)
    if run is None:
        report.left_alone += [f"{entry.name} (job {entry.job})" for entry in entries]
        return
    if fault := recovered_accounts.bind_again(run, entries):
        report.problems.append(fault)
        return
    last = {job_id: entry.id for job_id, entry in found}
    _settle_overtaken(list(last))
    for wave in in_waves(found, _upstreams_of(list(last))):
        _take_up_wave(report, run, wave, frozenset(entry.id for job_id, entry in wave if entry.id != last[job_id]))


def _upstreams_of(job_ids: Sequence[int]) -> dict[int, list[int]]:
    upstreams: dict[int, list[int]] = defaultdict(list)
    for chunk in chunked(sorted(job_ids)):
        for up, down in JobEdge.objects.filter(downstream_id__in=chunk).values_list("upstream_id", "downstream_id"):
            upstreams[down].append(up)
    return upstreams


def in_waves(
    found: Sequence[tuple[int, Entry]], upstreams: Mapping[int, Sequence[int]]
) -> Iterator[list[tuple[int, Entry]]]:
    """Attempts in the order of their ids, as few at a time as their history wants: after the one before of the same
    job, and after those of the jobs that it waited for."""
    level: dict[int, int] = {}
    waves: dict[int, list[tuple[int, Entry]]] = defaultdict(list)
    for job_id, entry in found:
        level[job_id] = 1 + max((level.get(before, 0) for before in (job_id, *upstreams.get(job_id, ()))), default=0)
        waves[level[job_id]].append((job_id, entry))
    yield from (waves[number] for number in sorted(waves))


def _settle_overtaken(job_ids: Sequence[int]) -> None:
    """Attempts that the database believes to be live although their jobs have had newer ones."""
    by_executor: dict[str, list[int]] = defaultdict(list)
    for chunk in chunked(job_ids):
        live = JobInstance.objects.filter(job_id__in=chunk, status__in=LIVE_LETTERS)
        for pk, name in live.values_list("pk", "executor_type"):
            by_executor[name].append(pk)
    for name, ids in by_executor.items():
        _settle(back_ends.get(name).store, ids, frozenset(ids))


def _live_run(report: Report, workflow: Workflow) -> WorkflowRun | None:
    """The run that goes on; or a new one, on hold, where the database knows of none. None: nothing is left to do."""
    live = WorkflowRun.objects.filter(workflow=workflow, status=RunStatus.RUNNING.value).first()
    if live is not None:
        return live
    actor = Actor(workflow.owner, "system")
    try:
        run = lifecycle.start_run(workflow.pk, actor, RunOptions())
    except Refused as refusal:
        report.problems.append(f"workflow {workflow.pk}: {refusal.message}")
        return None
    lifecycle.hold_run(run.pk, HOLD, actor)
    report.opened_runs.append(run.pk)
    return run


def _take_up_wave(
    report: Report, run: WorkflowRun, wave: Sequence[tuple[int, Entry]], overtaken: frozenset[int]
) -> None:
    """As intents first, then as what their records say."""
    intended = [_intended(job_id, entry) for job_id, entry in wave]
    times = {entry.id: datetime.fromtimestamp(entry.at, UTC) for _, entry in wave}
    taken: list[int] = []
    for chunk in chunked(intended):
        taken += lifecycle.record_recovered(run.pk, chunk, times)
    report.taken_up += len(taken)
    report.left_alone += [item.name for item in intended if item.instance_id not in set(taken)]
    by_executor: dict[str, list[int]] = defaultdict(list)
    executor_of = {entry.id: entry.executor for _, entry in wave}
    for pk in taken:
        by_executor[executor_of[pk]].append(pk)
    ended = 0
    for name, ids in by_executor.items():
        try:
            ended += _settle(back_ends.get(name).store, ids, overtaken)
        except back_ends.UnknownExecutor as error:
            report.problems.append(str(error))
    report.ended += ended
    report.live += len(taken) - ended


def _intended(job_id: int, entry: Entry) -> Intended:
    request = Resources(slots=entry.slots, mem_free=entry.mem_free, max_runtime=entry.max_runtime)
    plan = IntentPlan(job_id, entry.job, entry.executor, 0, entry.index == 0, request, "", "")
    return Intended(plan, entry.id, entry.name, entry.batch, entry.index, entry.stdout, entry.stderr)


def _note_unlisted(report: Report, entries: Sequence[Entry], listed: dict[str, set[str]]) -> None:
    """Names of ours in a batch system that neither the journal nor the database explains."""
    journaled = {entry.name for entry in entries}
    for executor, names in listed.items():
        ours = {name for name in names if number_of(name) and name not in journaled}
        rows = JobInstance.objects.filter(name__in=sorted(ours)).values_list("name", flat=True)
        report.foreign += [f"{name} ({executor})" for name in sorted(ours - set(rows))]


def _cancel(entries: Sequence[Entry]) -> int:
    """End what belongs to workflows that are lost; what has not started never will."""
    by_executor: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if not entry.account:  # those that ran as somebody are out of our reach: `recover` names them
            by_executor[entry.executor].append(entry)
    cancelled = 0
    for name, found in by_executor.items():
        try:
            cancelled += _cancel_at(back_ends.get(name), found)
        except (ExecutorUnavailable, back_ends.UnknownExecutor) as error:
            logger.warning("executor %s: %s", name, error)
    return cancelled


def _cancel_at(executor: Executor, entries: Sequence[Entry]) -> int:
    executor.store.void((entry.id for entry in entries), "recover")
    refs = [AttemptRef(entry.id, entry.name, None, entry.at) for entry in entries]
    there = executor.find(refs)
    running = [
        AttemptRef(ref.instance_id, ref.name, there[ref.name], ref.intended_at) for ref in refs if ref.name in there
    ]
    if running:
        executor.cancel(running)
    return len(running)
