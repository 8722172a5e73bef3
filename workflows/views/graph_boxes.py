"""Tags as boxes: of the picture of a graph and of the table beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpResponse

from workflows import dot, explain, graph_layout, looks, words
from workflows.digits import read_digits
from workflows.directions import fenced
from workflows.graph_folding import Edges, Folded
from workflows.graph_strokes import Joints
from workflows.graph_thinning import MOST_LINES
from workflows.models import JobGroup
from workflows.name_room import shorten_all
from workflows.queries.counts import Counts, shown_counts

MOST_TOLD = 30  # boxes; of more, the page tells in few words what it tells twice
MOST_NAMED = 3  # of what each waits for, in a dense graph
MOST_URL = 60  # bytes of a tag in an address; more go by its number
CHAIN_NAMED, CHAIN_ENDS = 8, 2
# Bytes for all names: in the table, on the boxes, of what is waited for
TABLE_ROOM, LABEL_ROOM, UPSTREAM_ROOM = 3_300, 2_100, 1_080
LABEL_COLUMNS = 24
BAR_X, BAR_Y, BAR_WIDTH = 10, 47, 170
NO_PLACES: Mapping[int, graph_layout.Place] = {}
NO_JOINTS: Mapping[int, Joints] = {}


@dataclass(frozen=True, slots=True)
class Rows:
    """A part of a table that is too long for one page. Parts are counted from 1."""

    part: int
    parts: int
    most: int

    @property
    def before(self) -> int | None:
        return self.part - 1 if self.part > 1 else None

    @property
    def after(self) -> int | None:
        return self.part + 1 if self.part < self.parts else None

    def of(self, groups: Sequence[JobGroup]) -> Sequence[JobGroup]:
        return groups[(self.part - 1) * self.most : self.part * self.most]


@dataclass(frozen=True, slots=True)
class Names:
    """Of each box by the id of its group: whole, or as far as there is room in the table, on the box, in a sentence."""

    in_table: Mapping[int, str]
    on_box: Mapping[int, str]
    in_words: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Box:
    """One tag, or several of like names. `tags`: how many. `more_upstreams`: how many are not named. `seconds`: what one
    job of it usually takes. `name`, `label`, `word`: in the table, on the box, in a sentence. `title`: what the pointer is
    told."""

    group: JobGroup
    tags: int
    counts: Counts
    place: graph_layout.Place | None
    joints: Joints
    name: str
    label: str
    word: str
    title: str
    upstreams: list[tuple[str, int]]
    more_upstreams: int
    why: list[str]
    url: str
    seconds: float | None

    @property
    def summary(self) -> str:
        """What stands in the box."""
        failed = f", {words.number(self.counts['F'])} failed" if self.counts["F"] else ""
        return f"{words.number(self.counts['D'])} of {words.number(self.group.jobs)} done{failed}"


@dataclass(frozen=True, slots=True)
class EdgeLabel:
    """How many dependencies a line stands for, beside it."""

    x: int
    y: int
    text: str


def box_seconds(folded: Folded, times: Mapping[str, float]) -> dict[int, float]:
    """What one job of each box takes; of several tags, of that which takes longest."""
    members = {group.pk: folded.members.get(group.pk, [group]) for group in folded.groups}
    known = {pk: [times[tag.name] for tag in tags if tag.name in times] for pk, tags in members.items()}
    return {pk: max(found) for pk, found in known.items() if found}


def slice_rows(total: int, most: int, asked: str) -> Rows:
    parts = max(1, -(-total // most))
    return Rows(min(max(1, read_digits(asked) or 1), parts), parts, most)


def name_boxes(folded: Folded, shown: Sequence[JobGroup]) -> Names:
    """Of those that are shown, and in sentences of all, which may name any of them."""
    every = {group.pk: _label(group, folded) for group in folded.groups}
    labels = [every[group.pk] for group in shown]
    in_table, on_box = shorten_all(labels, TABLE_ROOM), shorten_all(labels, LABEL_ROOM, LABEL_COLUMNS)
    in_words = shorten_all(every.values(), UPSTREAM_ROOM * len(every) // max(1, len(shown)))
    return Names(
        {group.pk: in_table[every[group.pk]] for group in shown},
        {group.pk: on_box[every[group.pk]] for group in shown},
        {pk: in_words[label] for pk, label in every.items()},
    )


def _label(group: JobGroup, folded: Folded) -> str:
    tags = len(folded.members.get(group.pk, [group]))
    return group.name if tags == 1 else f"{group.name}… ({tags:,} tags)"


def make_boxes(
    workflow_id: int,
    folded: Folded,
    shown: Sequence[JobGroup],
    seconds: Mapping[int, float],
    ready: Mapping[int, int] | None = None,
    places: Mapping[int, graph_layout.Place] = NO_PLACES,
    joints: Mapping[int, Joints] = NO_JOINTS,
) -> list[Box]:
    """Of these groups of all. Without places they are rows of the table alone."""
    names = name_boxes(folded, shown)
    in_words = {group.name: names.in_words[group.pk] for group in folded.groups}
    is_brief = len(folded.groups) > MOST_TOLD
    before = _upstreams_of(folded)
    named = MOST_NAMED if len(folded.edges) > MOST_LINES else len(folded.groups)
    boxes = []
    for group in shown:
        counts, took = shown_counts(group), seconds.get(group.pk)
        ups = [up for up, _ in before[group.pk] if up.pk != group.pk]
        title = "" if is_brief else _title(names.in_table[group.pk], counts, took)
        boxes.append(Box(
            group, len(folded.members.get(group.pk, [group])), counts, places.get(group.pk),
            joints.get(group.pk, Joints()), names.in_table[group.pk], names.on_box[group.pk],
            names.in_words[group.pk], title,
            _name_upstreams(before[group.pk], named, names.in_words), max(0, len(before[group.pk]) - named),
            explain.why_tag(group, ups, in_words, _sum_ready(group, folded, ready), is_brief=is_brief),
            short_url(workflow_id, group, folded), took,
        ))  # fmt: skip
    return boxes


def _sum_ready(group: JobGroup, folded: Folded, ready: Mapping[int, int] | None) -> int | None:
    """Of all tags of a box; None where nobody has counted."""
    return None if ready is None else sum(ready.get(tag.pk, 0) for tag in folded.members.get(group.pk, [group]))


def _title(name: str, counts: Counts, seconds: float | None) -> str:
    took = "" if seconds is None else f"; one job takes about {words.duration(seconds)}"
    return f"{fenced(name)}: {words.counts_sentence(counts)}{took}"


def _upstreams_of(folded: Folded) -> dict[int, list[tuple[JobGroup, int]]]:
    by_id = {group.pk: group for group in folded.groups}
    before: dict[int, list[tuple[JobGroup, int]]] = defaultdict(list)
    for (up, down), number in folded.edges.items():
        before[down].append((by_id[up], number))
    return before


def _name_upstreams(
    before: Sequence[tuple[JobGroup, int]], most: int, names: Mapping[int, str]
) -> list[tuple[str, int]]:
    """All of few, of many those it has most dependencies on."""
    named = before if len(before) <= most else sorted(before, key=lambda pair: -pair[1])[:most]
    return [(names[up.pk], number) for up, number in named]


def long_url(workflow_id: int, group: JobGroup, *, is_folded: bool) -> str:
    """A tag leads to its jobs, several tags to a picture of them alone."""
    if is_folded:
        return f"/workflows/{workflow_id}/graph/?{urlencode({'under': group.name})}"
    return f"/workflows/{workflow_id}/jobs/?{urlencode({'tag': group.name})}"


def short_url(workflow_id: int, group: JobGroup, folded: Folded) -> str:
    """The same; by the number of the tag in its graph where names are long or many. Of several tags, with the length of
    what they have in common."""
    is_folded = group.pk in folded.members
    url = long_url(workflow_id, group, is_folded=is_folded)
    if len(folded.groups) <= MOST_TOLD and len(url) <= MOST_URL:
        return url
    first = folded.members[group.pk][0] if is_folded else group
    return f"?to={first.rank}-{len(group.name)}" if is_folded else f"?to={first.rank}"


def find_url(workflow_id: int, groups: Iterable[JobGroup], to: str) -> str:
    """Where a short address leads; '' where it leads nowhere."""
    rank, _, length = to.partition("-")
    found = next((group for group in groups if str(group.rank) == rank), None)
    size = read_digits(length)
    if found is None or (length and size is None):
        return ""
    if size is not None:
        found = JobGroup(name=found.name[:size])
    return long_url(workflow_id, found, is_folded=size is not None)


def edge_labels(lines: Iterable[graph_layout.Line], edges: Edges) -> list[EdgeLabel]:
    return [
        EdgeLabel(round(line.middle.x), round(line.middle.y), words.number(edges[line.start, line.end]))
        for line in lines
        if edges[line.start, line.end] > 1
    ]


def draw_bars(boxes: Iterable[Box]) -> list[tuple[str, str]]:
    """The bars of all boxes: of each status its name and one path, since a rectangle for each would be half of the page."""
    pieces: dict[str, list[str]] = {looks.SHOWN[letter].key: [] for letter in looks.BAR_ORDER}
    ended: dict[str, tuple[int, int]] = dict.fromkeys(pieces, (0, 0))
    for place, counts in ((box.place, box.counts) for box in boxes):
        if place is None:
            continue
        for part in looks.bar_segments(counts, BAR_WIDTH):
            x, end = (round(place.x + BAR_X + edge) for edge in (part.x, part.x + part.width))
            y, key = round(place.y) + BAR_Y, part.look.key
            pieces[key].append(f"m{graph_layout.steps(x - ended[key][0], y - ended[key][1])}h{end - x}")
            ended[key] = (end, y)
    return [(key, "".join(paths)) for key, paths in pieces.items() if paths]


def chain_words(drawing: graph_layout.Drawing, boxes: Sequence[Box]) -> str:
    """The longest chain by run time, or by its number of tags while nothing has run; '' where nothing waits."""
    by_id = {box.group.pk: box for box in boxes}
    chain = [by_id[pk] for pk in drawing.chain]
    if len(chain) < 2:
        return ""
    told = " → ".join(_ends([fenced(box.word) for box in chain]))
    timed = [box.seconds for box in chain if box.seconds is not None]
    if not timed:
        return f"longest chain: {told}"
    unknown = (
        f", not counting {words.plural(len(chain) - len(timed), 'tag')} that never ran"
        if len(timed) < len(chain)
        else ""
    )
    return f"longest by run time: {told}, about {words.duration(sum(timed))} for one job of each{unknown}"


def _ends(names: Sequence[str]) -> list[str]:
    """All of few; of many the first and the last. All of them are drawn bold."""
    if len(names) <= CHAIN_NAMED:
        return list(names)
    left_out = words.plural(len(names) - 2 * CHAIN_ENDS, "more tag")
    return [*names[:CHAIN_ENDS], left_out, *names[-CHAIN_ENDS:]]


def dot_file(name: str, text: str) -> HttpResponse:
    disposition = {"Content-Disposition": f'attachment; filename="{name}.dot"'}
    return HttpResponse(text, content_type="text/vnd.graphviz; charset=utf-8", headers=disposition)


def write_tags(groups: Sequence[JobGroup], edges: Edges) -> str:
    """The graph by tag, never folded, with the numbers of jobs and of dependencies."""
    texts = {group.pk: f"{group.name}\n{words.plural(group.jobs, 'job')}" for group in groups}
    return dot.write_dot(texts, [(up, down, words.number(number)) for (up, down), number in sorted(edges.items())])
