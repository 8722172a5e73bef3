"""Intent first, then the executor, outside any transaction; then what it answered."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from django.conf import settings

from executors import faults
from executors.base import Executor, ExecutorUnavailable, JobSpec, Resources, SubmitRejected, SubmitResult
from workflows import lifecycle, running_sums
from workflows.executor_control import read_excluded
from workflows.lifecycle import Ending, Intended, IntentPlan
from workflows.models import WorkflowRun
from workflows.scheduling import back_ends, owners
from workflows.scheduling.intents import write_journal
from workflows.scheduling.judge import with_fingerprint
from workflows.scheduling.ready import ReadyJob
from workflows.secret_files import split_command
from workflows.state_machine import Reason

logger = logging.getLogger(__name__)


def start_jobs(
    run: WorkflowRun, jobs: Sequence[ReadyJob], fence: int | None = None, most_live: Mapping[str, int] | None = None
) -> int:
    """Make one attempt for each of these jobs; the number of intents. For `fence` and `most_live` see
    `record_intents`."""
    plans = _plan(run, jobs)
    intended = lifecycle.record_intents(run.pk, plans, settings.DEPLOYMENT, fence, most_live)
    faults.point("after_intent_commit")
    if intended and not _is_written_down(run, intended):
        return len(intended)
    by_job = {job.job_id: job for job in jobs}
    by_executor: dict[str, list[Intended]] = defaultdict(list)
    for item in intended:
        by_executor[item.plan.executor].append(item)
    for name, items in by_executor.items():
        _hand_over(run, name, items, by_job)
    return len(intended)


def _is_written_down(run: WorkflowRun, intended: Sequence[Intended]) -> bool:
    """Nothing is submitted that the spool does not know of: the reconciler takes these intents back."""
    try:
        write_journal(run, intended, owners.account_for(run) or "")
    except OSError as error:
        logger.warning("run %s: the spool takes no intents: %s", run.pk, error)
        lifecycle.note_submit_failure(run.pk, f"the spool cannot be written: {error.strerror or error}")
        return False
    return True


def _plan(run: WorkflowRun, jobs: Sequence[ReadyJob]) -> list[IntentPlan]:
    """Plans, members of a batch next to each other."""
    by_executor: dict[str, list[ReadyJob]] = defaultdict(list)
    for job in jobs:
        by_executor[job.executor or run.executor].append(job)
    plans: list[IntentPlan] = []
    excluded = read_excluded()
    for name, members in by_executor.items():
        requests = [_request(run, job, excluded.get(name, ())) for job in members]
        for positions in _batches(name, requests, run.working_dir):
            key = len(plans)
            plans.extend(_plan_one(run, members[p], name, requests[p], key, len(positions) == 1) for p in positions)
    return plans


def _batches(name: str, requests: Sequence[Resources], working_dir: str) -> list[list[int]]:
    try:
        return back_ends.get(name).plan_batches([(request, working_dir) for request in requests])
    except back_ends.UnknownExecutor:
        return [[position] for position in range(len(requests))]


def _request(run: WorkflowRun, job: ReadyJob, excluded_hosts: tuple[str, ...]) -> Resources:
    return Resources(
        slots=job.slots,
        mem_free=job.mem_free,
        max_runtime=job.max_runtime,
        project=run.project or None,
        excluded_hosts=excluded_hosts,
    )


def _plan_one(
    run: WorkflowRun, job: ReadyJob, executor: str, request: Resources, key: int, is_single: bool
) -> IntentPlan:
    return IntentPlan(
        job_id=job.job_id,
        job_name=job.name,
        executor=executor,
        batch_key=key,
        is_single=is_single,
        resources=request,
        stdout_folder=run.stdout,
        stderr_folder=run.stderr,
    )


def _specify(run: WorkflowRun, item: Intended, job: ReadyJob, account: str | None) -> JobSpec:
    environment = [("JOBMON_WORKFLOW_ID", str(run.workflow_id)), ("JOBMON_WORKFLOW_RUN_ID", str(run.pk))]
    environment += [("JOBMON_JOB_ID", str(job.job_id)), ("JOBMON_JOB_NAME", job.name)]
    if run.home:
        environment.append(("HOME", run.home))
    if run.path:
        environment.append(("PATH", run.path))
    return JobSpec(
        instance_id=item.instance_id,
        run_id=run.pk,
        name=item.name,
        batch=item.batch,
        index=item.index,
        command=job.command,
        resources=item.plan.resources,
        working_dir=run.working_dir or None,
        stdout_path=item.stdout_path or None,
        stderr_path=item.stderr_path or None,
        environment=tuple(environment),
        account=account,
        secret_files=split_command(job.command)[0],
    )


def _hand_over(run: WorkflowRun, name: str, items: Sequence[Intended], jobs: dict[int, ReadyJob]) -> None:
    by_name = {item.name: item for item in items}
    try:
        executor = back_ends.get(name)
    except back_ends.UnknownExecutor as error:
        _refuse(run, {item_name: str(error) for item_name in by_name}, by_name)
        return
    impossible = {item.name: words for item in items if (words := executor.refuse(item.plan.resources)) is not None}
    _refuse(run, {key: f"{by_name[key].plan.job_name} {words}" for key, words in impossible.items()}, by_name)
    account = owners.account_for(run)
    specs = [_specify(run, item, jobs[item.plan.job_id], account) for item in items if item.name not in impossible]
    if specs:
        _submit(run, executor, specs, by_name)


def _submit(run: WorkflowRun, executor: Executor, specs: Sequence[JobSpec], by_name: dict[str, Intended]) -> None:
    """Unknown is not refused: what was not answered stays I, and the reconciler looks for its name."""
    begun, labels = time.monotonic(), f'executor="{executor.name}"'
    try:
        result = executor.submit(specs)
    except SubmitRejected as error:
        result = SubmitResult(rejected={spec.name: str(error) for spec in specs})
    except ExecutorUnavailable as error:
        logger.warning("run %s: executor %s: %s", run.pk, executor.name, error)
        _accept(run, error.accepted, by_name)
        lifecycle.note_submit_failure(run.pk, str(error))
        running_sums.add("jobmon_submit_failures_total", labels)
        return
    finally:
        running_sums.add("jobmon_submit_seconds_sum", labels, time.monotonic() - begun)
        running_sums.add("jobmon_submit_seconds_count", labels)
    _accept(run, result.accepted, by_name)
    _refuse(run, result.rejected, by_name)
    if run.submit_failures:
        lifecycle.note_submit_success(run.pk)


def _accept(run: WorkflowRun, accepted: Mapping[str, str], by_name: dict[str, Intended]) -> None:
    if accepted:
        lifecycle.record_submitted(
            run.pk, {by_name[name].instance_id: executor_id for name, executor_id in accepted.items()}
        )
        faults.point("after_id_stored")


def _refuse(run: WorkflowRun, rejected: Mapping[str, str], by_name: dict[str, Intended]) -> None:
    if rejected:
        endings = [
            with_fingerprint(
                Ending(by_name[name].instance_id, Reason.REFUSED, f"Refused: {words}", description=f"Refused: {words}")
            )
            for name, words in rejected.items()
        ]
        lifecycle.record_ended(run.pk, endings)
