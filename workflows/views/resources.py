"""Asked and used: memory and run time by tag, a suggestion, and a map."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from workflows import axes, outliers, use_map, words
from workflows.models import Workflow, WorkflowRun
from workflows.permissions import is_owner
from workflows.queries import resources as queries
from workflows.queries.counting import Total
from workflows.queries.counts import groups_of
from workflows.queries.workflows import find_workflow
from workflows.views.asked_run import read_asked
from workflows.views.base import Crumb, found, is_unchanged, nothing_new, page, poll, show, user_of
from workflows.views.export import TYPES
from workflows.views.list_exports import export_use
from workflows.views.terminal import page_terminal
from workflows.views.workflows import POLL_LIVE, POLL_SWEPT, TABS, crumbs_of

CELL_WIDTH, CELL_HEIGHT = 36, 18
TAGS_SHOWN = 25


@dataclass(frozen=True, slots=True)
class Field:
    """A cell of the map as drawn; `strength` 1 to 5 says how many of all attempts are in it, `query` finds its jobs in
    the job table."""

    x: int
    y: int
    strength: int
    label: str
    query: str


@page
@require_safe
def resources(request: HttpRequest, workflow_id: int) -> HttpResponseBase:
    workflow = found(find_workflow(user_of(request), workflow_id))
    if is_unchanged(request, workflow.change_no):
        return nothing_new()
    groups = groups_of(workflow.dag_id)
    runs = queries.runs_with_ends(workflow.pk)
    asked = read_asked(request.GET, runs, lambda run_id: queries.find_run(workflow.pk, run_id), groups)
    run = asked.run
    jobs = sum(group.jobs for group in groups)
    use = queries.use_of_run(run.pk, asked.tag_ids, jobs) if run else queries.RunUse(0, [], [], is_cut=False)
    if run and (kind := request.GET.get("export")) in TYPES:
        return export_use(request, use.uses, kind, f"resources-of-run-{run.pk}")
    cells = use.cells
    context = {
        "workflow": workflow,
        "filters": asked,
        "groups": groups,
        "runs": runs if run in runs or run is None else [*runs, run],
        "run": run,
        "use": use,
        "uses": use.uses if request.GET.get("groups") == "all" else use.uses[:TAGS_SHOWN],
        "total": Total(len(use.uses)),
        "far": outliers.FAR,
        "listed": outliers.LISTED,
        "fewest": outliers.FEWEST,
        "left": {group.name: group.jobs - group.count_d for group in groups},
        "may_change": is_owner(user_of(request), workflow),
        "once": uuid.uuid4().hex,
        "fields": _fields(cells, [("run", run.pk if run else ""), *(("tag", tag.name) for tag in asked.tags)]),
        "width": use_map.COLUMNS * CELL_WIDTH,
        "height": use_map.ROWS * CELL_HEIGHT,
        "memory_ticks": _memory_ticks(cells),
        "time_ticks": _time_ticks(cells),
        "live": poll(request, workflow.change_no, _poll_seconds(workflow, run, use)),
        "tab": "resources",
        "tabs": TABS,
        "crumbs": crumbs_of(workflow, Crumb("Resources")),
        "section": "workflows",
        "terminal": page_terminal(request.GET, "tag", f"/api/v1/workflow-runs/{run.pk}/resources/") if run else None,
    }
    return show(request, "workflows/resources.html", context)


def _poll_seconds(workflow: Workflow, run: WorkflowRun | None, use: queries.RunUse) -> int:
    """As often as there may be something new; 0 for a run that has ended."""
    if workflow.status != "R" or (run and run.status != "R"):
        return 0
    return POLL_SWEPT if use.made_at else POLL_LIVE


def _memory_ticks(cells: Sequence[use_map.Cell]) -> list[tuple[float, str]]:
    """Where round numbers of GB stand under the map."""
    top = max((cell.memory[1] / (cell.column + 1) for cell in cells), default=0.0) * use_map.COLUMNS
    width = use_map.COLUMNS * CELL_WIDTH
    return [(round(tick.share * width, 1), tick.label) for tick in axes.number_ticks(top, 6, " GB")]


def _time_ticks(cells: Sequence[use_map.Cell]) -> list[tuple[float, str]]:
    """Where round run times stand beside it."""
    top = max((cell.time[1] / (cell.row + 1) for cell in cells), default=0.0) * use_map.ROWS
    height = use_map.ROWS * CELL_HEIGHT
    return [(round((1 - tick.share) * height, 1), tick.label) for tick in axes.duration_ticks(top)]


def _fields(cells: Sequence[use_map.Cell], kept: Sequence[tuple[str, object]]) -> list[Field]:
    """`kept`: what the links say beside the cell, as the attempts of the map are those of one run, and maybe of some tags."""
    most = max((cell.jobs for cell in cells), default=1)
    return [
        Field(
            cell.column * CELL_WIDTH,
            (use_map.ROWS - 1 - cell.row) * CELL_HEIGHT,
            1 + min(4, int(cell.jobs / most * 4.999)),
            f"{cell.words}, {words.plural(cell.jobs, 'attempt')}",
            urlencode([*kept, *cell.query.items()]),
        )
        for cell in cells
    ]
