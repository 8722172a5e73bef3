"""Which group a workflow is shared with, and whether its members may operate it."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.db.models import F

from workflows.actor import Actor
from workflows.audit import write_audit
from workflows.models import Workflow
from workflows.transactions import write_transaction


def _describe(group: Group | None, may_operate: bool) -> dict[str, object]:
    return {"group": group.name if group else None, "group_may_operate": may_operate}


@write_transaction
def share(workflow_id: int, group: Group | None, may_operate: bool, actor: Actor) -> bool:
    """Whether anything changed. Without a group nobody but the owner operates it."""
    workflow = Workflow.objects.select_for_update().get(pk=workflow_id)
    old_group = None if workflow.group_id is None else Group.objects.filter(pk=workflow.group_id).first()
    before, after = (
        _describe(old_group, workflow.group_may_operate),
        _describe(group, may_operate and group is not None),
    )
    if before == after:
        return False
    Workflow.objects.filter(pk=workflow_id).update(
        group=group, group_may_operate=after["group_may_operate"], change_no=F("change_no") + 1
    )
    write_audit(actor, "share", f"workflow {workflow_id}", workflow_id=workflow_id, before=before, after=after)
    return True
