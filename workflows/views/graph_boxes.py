"""Tags as boxes: of the picture of a graph and of the table beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpResponse

from workflows import dot, explain, graph_layout, words
from workflows.graph_folding import Edges, Folded
from workflows.graph_thinning import MOST_LINES
from workflows.models import JobGroup
from workflows.queries.counts import Counts, shown_counts

MOST_LABELLED = 100
MOST_NAMED = 3  # of what each waits for, in a dense graph


@dataclass(frozen=True, slots=True)
class Box:
    """One tag, or several of like names. `tags`: how many. `more_upstreams`: how many are not named. `seconds`: what one job of it usually takes."""

    group: JobGroup
    tags: int
    counts: Counts
    place: graph_layout.Place | None
    upstreams: list[tuple[str, int]]
    more_upstreams: int
    why: list[str]
    url: str
    seconds: float | None

    @property
    def label(self) -> str:
        return self.group.name if self.tags == 1 else f"{self.group.name}… ({self.tags:,} tags)"


@dataclass(frozen=True, slots=True)
class EdgeLabel:
    """How many dependencies a line stands for, beside it."""

    x: float
    y: float
    text: str


def box_seconds(folded: Folded, times: Mapping[str, float]) -> dict[int, float]:
    """What one job of each box takes; of several tags, of that which takes longest."""
    members = {group.pk: folded.members.get(group.pk, [group]) for group in folded.groups}
    known = {pk: [times[tag.name] for tag in tags if tag.name in times] for pk, tags in members.items()}
    return {pk: max(found) for pk, found in known.items() if found}


def make_boxes(
    workflow_id: int, folded: Folded, places: Mapping[int, graph_layout.Place], seconds: Mapping[int, float]
) -> list[Box]:
    by_id = {group.pk: group for group in folded.groups}
    named = MOST_NAMED if len(folded.edges) > MOST_LINES else len(folded.groups)
    before: dict[int, list[tuple[JobGroup, int]]] = defaultdict(list)
    for (up, down), number in folded.edges.items():
        before[down].append((by_id[up], number))
    return [
        Box(
            group, len(folded.members.get(group.pk, [group])), shown_counts(group), places.get(group.pk),
            _name_upstreams(before[group.pk], named), max(0, len(before[group.pk]) - named),
            explain.why_tag(group, [up for up, _ in before[group.pk] if up.pk != group.pk]),
            _url(workflow_id, group, is_folded=group.pk in folded.members), seconds.get(group.pk),
        )
        for group in folded.groups
    ]  # fmt: skip


def _name_upstreams(before: Sequence[tuple[JobGroup, int]], most: int) -> list[tuple[str, int]]:
    """All of few, of many those it has most dependencies on."""
    named = before if len(before) <= most else sorted(before, key=lambda pair: -pair[1])[:most]
    return [(up.name, number) for up, number in named]


def _url(workflow_id: int, group: JobGroup, *, is_folded: bool) -> str:
    """A tag leads to its jobs, several tags to a picture of them alone."""
    if is_folded:
        return f"/workflows/{workflow_id}/graph/?{urlencode({'under': group.name})}"
    return f"/workflows/{workflow_id}/jobs/?{urlencode({'tag': group.name})}"


def edge_labels(lines: Sequence[graph_layout.Line], edges: Edges) -> list[EdgeLabel]:
    """None where there are so many lines that nobody could tell which is meant; the table has them all."""
    if len(lines) > MOST_LABELLED:
        return []
    return [
        EdgeLabel(line.middle.x, line.middle.y, words.number(edges[line.start, line.end]))
        for line in lines
        if edges[line.start, line.end] > 1
    ]


def chain_words(drawing: graph_layout.Drawing, boxes: Sequence[Box]) -> str:
    """The longest chain by run time, or by its number of tags while nothing has run; '' where nothing waits."""
    by_id = {box.group.pk: box for box in boxes}
    chain = [by_id[pk] for pk in drawing.chain]
    if len(chain) < 2:
        return ""
    told = " → ".join(box.label for box in chain)
    timed = [box.seconds for box in chain if box.seconds is not None]
    if not timed:
        return f"longest chain: {told}"
    unknown = (
        f", not counting {words.plural(len(chain) - len(timed), 'tag')} that never ran"
        if len(timed) < len(chain)
        else ""
    )
    return f"longest by run time: {told}, about {words.duration(sum(timed))} for one job of each{unknown}"


def dot_file(name: str, text: str) -> HttpResponse:
    disposition = {"Content-Disposition": f'attachment; filename="{name}.dot"'}
    return HttpResponse(text, content_type="text/vnd.graphviz; charset=utf-8", headers=disposition)


def write_tags(groups: Sequence[JobGroup], edges: Edges) -> str:
    """The graph by tag, never folded, with the numbers of jobs and of dependencies."""
    texts = {group.pk: f"{group.name}\n{words.plural(group.jobs, 'job')}" for group in groups}
    return dot.write_dot(texts, [(up, down, words.number(number)) for (up, down), number in sorted(edges.items())])
