"""Asked and used: memory and run time by tag, a suggestion, and a map."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from workflows import axes, resource_use, words
from workflows.permissions import is_owner
from workflows.queries import resources as queries
from workflows.queries.counts import groups_of
from workflows.queries.workflows import find_workflow
from workflows.views.base import Crumb, Terminal, found, page, show, user_of
from workflows.views.workflows import TABS, crumbs_of

CELL_WIDTH, CELL_HEIGHT = 36, 18


@dataclass(frozen=True, slots=True)
class Field:
    """A cell of the map as drawn; `strength` 1 to 5 says how many of all jobs are in it."""

    x: int
    y: int
    strength: int
    label: str
    jobs: int
    ids: str


@page
@require_safe
def resources(request: HttpRequest, workflow_id: int) -> HttpResponse:
    workflow = found(find_workflow(user_of(request), workflow_id))
    groups = groups_of(workflow.dag_id)
    runs = queries.runs_with_ends(workflow.pk)
    run = next((run for run in runs if str(run.pk) == request.GET.get("run", "")), runs[0] if runs else None)
    tag = next((group for group in groups if group.name == request.GET.get("tag", "")), None)
    jobs = sum(group.jobs for group in groups)
    use = queries.use_of_run(run.pk, tag.pk if tag else None, jobs) if run else queries.RunUse(0, [], [], is_cut=False)
    cells = use.cells
    context = {
        "workflow": workflow,
        "groups": groups,
        "runs": runs,
        "run": run,
        "tag": tag,
        "use": use,
        "uses": use.uses,
        "left": {group.name: group.jobs - group.count_d for group in groups},
        "may_change": is_owner(user_of(request), workflow),
        "once": uuid.uuid4().hex,
        "fields": _fields(cells),
        "width": resource_use.COLUMNS * CELL_WIDTH,
        "height": resource_use.ROWS * CELL_HEIGHT,
        "memory_ticks": _memory_ticks(cells),
        "time_ticks": _time_ticks(cells),
        "tab": "resources",
        "tabs": TABS,
        "crumbs": crumbs_of(workflow, Crumb("Resources")),
        "section": "workflows",
        "terminal": Terminal("", f"/api/v1/workflows/{workflow.pk}/jobs/"),
    }
    return show(request, "workflows/resources.html", context)


def _memory_ticks(cells: Sequence[resource_use.Cell]) -> list[tuple[float, str]]:
    """Where round numbers of GB stand under the map."""
    top = max((cell.memory[1] / (cell.column + 1) for cell in cells), default=0.0) * resource_use.COLUMNS
    width = resource_use.COLUMNS * CELL_WIDTH
    return [(round(tick.share * width, 1), tick.label) for tick in axes.number_ticks(top, 6, " GB")]


def _time_ticks(cells: Sequence[resource_use.Cell]) -> list[tuple[float, str]]:
    """Where round run times stand beside it."""
    top = max((cell.time[1] / (cell.row + 1) for cell in cells), default=0.0) * resource_use.ROWS
    height = resource_use.ROWS * CELL_HEIGHT
    return [(round((1 - tick.share) * height, 1), tick.label) for tick in axes.duration_ticks(top)]


def _fields(cells: Sequence[resource_use.Cell]) -> list[Field]:
    most = max((cell.jobs for cell in cells), default=1)
    return [
        Field(
            cell.column * CELL_WIDTH,
            (resource_use.ROWS - 1 - cell.row) * CELL_HEIGHT,
            1 + min(4, int(cell.jobs / most * 4.999)),
            f"{cell.memory[0]:.3g} to {cell.memory[1]:.3g} GB, {words.duration(cell.time[0])} to {words.duration(cell.time[1])}, "
            f"{words.plural(cell.jobs, 'attempt')}",
            cell.jobs,
            ",".join(map(str, cell.ids)),
        )
        for cell in cells
    ]
