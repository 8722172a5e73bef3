"""What steering of jobs shares: telling the live run, and running jobs again."""

from __future__ import annotations

from collections.abc import Sequence

from workflows import bell, lifecycle
from workflows.actor import Actor
from workflows.models import Workflow, WorkflowRun
from workflows.scope import Scope
from workflows.state_machine import RunStatus


def find_live_run(workflow_id: int) -> WorkflowRun | None:
    return WorkflowRun.objects.filter(workflow_id=workflow_id, status=RunStatus.RUNNING.value).first()


def ring_live_run(workflow_id: int) -> int | None:
    """The live run's id, if there is one; it has been rung for."""
    run = find_live_run(workflow_id)
    if run is not None:
        bell.ring(run.pk)
    return None if run is None else run.pk


def restart(workflow: Workflow, job_ids: Sequence[int], actor: Actor) -> int:
    """Run these jobs again: in the live run, else in a new one for just them. Raises Refused."""
    run = find_live_run(workflow.pk)
    if run is not None and run.stopping:
        raise lifecycle.Refused("run-stopping", f"Run {run.pk} is being stopped. Try again when it has stopped.")
    lifecycle.reset_jobs(workflow.pk, job_ids, actor)
    if run is None:
        run = lifecycle.start_run(workflow.pk, actor, lifecycle.RunOptions(scope=Scope(job_ids=tuple(job_ids))))
    bell.ring(run.pk)
    return int(run.pk)
