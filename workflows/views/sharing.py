"""With whom a workflow is shared: the owner's choice among the owner's groups."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_http_methods

from workflows.directions import fenced
from workflows.models import Workflow
from workflows.permissions import groups_of, is_owner
from workflows.queries.workflows import find_workflow
from workflows.sharing import share
from workflows.views.base import Crumb, Terminal, actor_of, found, page, user_of
from workflows.views.confirm import Confirm, only_owner, show_confirm
from workflows.views.workflows import crumbs_of

NOBODY = ""


@page
@require_http_methods(["GET", "HEAD", "POST"])
def sharing(request: HttpRequest, workflow_id: int) -> HttpResponse:
    workflow = found(find_workflow(user_of(request), workflow_id))
    may_act = is_owner(user_of(request), workflow)
    problem = ""
    if request.method == "POST":
        if not may_act:
            raise PermissionDenied(only_owner(workflow))
        problem = _share(request, workflow)
        if not problem:
            return HttpResponseRedirect(f"/workflows/{workflow.pk}/")
    return _show(request, workflow, problem, "" if may_act else only_owner(workflow))


def _share(request: HttpRequest, workflow: Workflow) -> str:
    """What is wrong with the form; '' if it was carried out."""
    name = request.POST.get("group", NOBODY)
    group = groups_of(user_of(request)).filter(name=name).first() if name else None
    if name and group is None:
        return f"You are not in a group “{fenced(name[:60])}”; nothing was changed."
    if share(workflow.pk, group, request.POST.get("may_operate") == "on", actor_of(request)):
        said = f"Shared with the group {fenced(group.name)}." if group else "It is yours alone now."
        messages.success(request, said)
    return ""


def _show(request: HttpRequest, workflow: Workflow, problem: str, refusal: str) -> HttpResponse:
    now = workflow.group.name if workflow.group else NOBODY
    groups = [] if refusal else list(groups_of(user_of(request)).values_list("name", flat=True))
    confirm = Confirm(
        f"Who shares {fenced(workflow)}",
        "Members of the group read everything of this workflow. Operators also start, stop, resume it and set its limits; "
        "its jobs remain yours, with your commands.",
        "Save", f"/workflows/{workflow.pk}/", problem=problem, refusal=refusal, form="actions/sharing.html",
        values={"groups": sorted({*groups, now} - {NOBODY}), "now": now, "may_operate": workflow.group_may_operate},
    )  # fmt: skip
    terminal = Terminal("", f"/api/v1/workflows/{workflow.pk}/")
    return show_confirm(request, confirm, crumbs_of(workflow, Crumb("Sharing")), terminal)
