"""What submitting a graph would do, before anything is stored: make a workflow, go on with a known one, or nothing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from workflows import binding, planning
from workflows.actor import Actor
from workflows.graph import Graph
from workflows.grouping import group_jobs
from workflows.models import Workflow
from workflows.permissions import is_owner
from workflows.planning import FIRST, NEVER_RAN, SAMPLES, Plan, PlanRow, make_plan, plural
from workflows.scope import Scope
from workflows.state_machine import WorkflowStatus


@dataclass(frozen=True, slots=True)
class SubmissionPlan:
    """`outcome`: new, resumed (what is done is kept), complete (nothing is left to run)."""

    outcome: str
    plan: Plan
    workflow: Workflow | None = None

    def as_json(self) -> dict[str, Any]:
        workflow_id = self.workflow.pk if self.workflow else None
        return {**self.plan.as_json(), "outcome": self.outcome, "workflow_id": workflow_id}


def plan_submission(graph: Graph, actor: Actor) -> SubmissionPlan:
    """What `bind` and a cold start would do with this graph. Raises what `bind` would."""
    known = binding.find_bound(graph, actor)
    if known is None:
        return SubmissionPlan("new", _plan_new(graph))
    changed = len(binding.find_changed_requests(known, graph)) if is_owner(actor.user, known) else 0
    return plan_known(known, changed)


def plan_known(workflow: Workflow, changed: int = 0) -> SubmissionPlan:
    """Of a workflow that is stored; `changed` of its jobs ask for something else now."""
    plan = planning.plan_start(workflow, Scope(), "cold")
    is_complete = workflow.status == WorkflowStatus.DONE.value
    warnings = list(plan.warnings)
    if changed:
        warnings.append(f"{plural(changed)} that are not done would ask for what this submission says.")
    sentence = f"Workflow {workflow.pk} is known. {plan.sentence}"
    return SubmissionPlan("complete" if is_complete else "resumed", make_plan(sentence, plan.rows, warnings), workflow)


def _plan_new(graph: Graph) -> Plan:
    names: dict[str, list[str]] = defaultdict(list)
    groups = group_jobs([(job.name, job.tag) for job in graph.jobs])
    for group, job in zip(groups, graph.jobs, strict=True):
        names[group.name].append(job.name)
    rows = [
        PlanRow(tag, FIRST, len(members), NEVER_RAN, tuple(members[:SAMPLES])) for tag, members in sorted(names.items())
    ]
    sentence = f"A new workflow of {plural(len(graph.jobs))} with {plural(graph.edge_count, 'edge')}."
    return make_plan(sentence, rows, [])
