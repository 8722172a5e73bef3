"""The picture of the tags at its largest: most boxes, most lines, longest names, every status; and still a small page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import Made, make_workflow
from tests.pages.test_smoke import MOST_BYTES
from workflows.graph import MAX_JOBS, MAX_NAME
from workflows.models import GroupEdge, JobGroup, RunUsage
from workflows.name_room import ELLIPSIS, bytes_of, columns_of, shorten, shorten_all
from workflows.resource_use import Attempt, by_tag
from workflows.views.pictures import MOST_GROUPS

SHAPES: dict[str, Callable[[int], Iterable[tuple[int, int]]]] = {
    "each waits for all before it": lambda n: ((a, b) for b in range(n) for a in range(b)),
    "two halves": lambda n: ((a, b) for a in range(n // 2) for b in range(n // 2, n)),
    "all wait for each other": lambda n: ((a, b) for a in range(n) for b in range(n) if a != b),
    "crossing": lambda n: ((a, b) for a in range(n) for b in range(a + 1, n) if (a * 7 + b * 3) % 5 < 2),
    "many dots": lambda n: ((a, b) for a in range(n // 2) for b in range(n // 2, n) if a % 8 != (b - n // 2) // 4),
    "as many as are all drawn": lambda n: ((a, b) for a in range(n) for b in (a + 1, a + 7) if b < n),
}
LETTERS = {"plain": "estimates of deaths by cause ", "escaped": "\"'<&>", "of four bytes": "🧬", "wide": "死因別推計",
           "from right to left": "תמותה לפי סיבה "}  # fmt: skip
WORDS = ("done", "running", "submitted", "queued", "waiting", "blocked", "retrying", "failed")


def long_names(number: int, letters: str) -> list[str]:
    """As long as may be, and alike but for the beginning and the end."""
    middle = letters * (MAX_NAME // len(letters) + 1)
    return [f"{place:02d}{middle}"[: MAX_NAME - 3] + f"_{place:02d}" for place in range(number)]


def make_graph(owner: User, names: list[str], pairs: Iterable[tuple[int, int]], *, have_run: bool = False) -> Made:
    """Tags of the largest workflow in mid-run, with jobs in each status, ids of a long life and dependencies. Of the
    jobs only the counts: the page reads no more."""
    made = make_workflow(owner, name="Estimates of everything, " * 4)
    each = MAX_JOBS // len(names) // 9
    counts = {f"count_{letter}": each * (2 if letter == "g" else 1) for letter in "gqirefd"}
    groups = JobGroup.objects.bulk_create(
        JobGroup(pk=90_000_000 + made.workflow.pk * 1_000 + rank, dag=made.workflow.dag, name=name, rank=rank,
                 jobs=sum(counts.values()), count_blocked=each, max_concurrently_running=2 * each, **counts)
        for rank, name in enumerate(names)
    )  # fmt: skip
    GroupEdge.objects.bulk_create(
        GroupEdge(dag=made.workflow.dag, upstream=groups[up], downstream=groups[down], edges=41_234 + up)
        for up, down in pairs
    )
    if have_run:
        uses = by_tag(Attempt(1, name, 4.0, 3.0, None, 200_000.0 + rank * 7_000, "") for rank, name in enumerate(names))
        RunUsage.objects.create(run=made.run, made_at=timezone.now(), uses=[asdict(use) for use in uses])
    return made


def get_page(client: Client, made: Made, query: str = "") -> tuple[int, str]:
    """Its bytes, and its text as a reader has it."""
    answer = client.get(f"/workflows/{made.workflow.pk}/graph/{query}")
    assert answer.status_code == 200
    return len(answer.content), unescape(answer.content.decode())


LARGEST = [*((shape, "plain") for shape in SHAPES), *(("all wait for each other", letters) for letters in LETTERS)]


@pytest.mark.django_db
@pytest.mark.parametrize(("shape", "letters"), list(dict.fromkeys(LARGEST)))
def test_the_largest_picture_is_a_small_page(client: Client, owner: User, shape: str, letters: str) -> None:
    names = long_names(MOST_GROUPS, LETTERS[letters])
    size, text = get_page(client, make_graph(owner, names, SHAPES[shape](MOST_GROUPS), have_run=True))
    assert size <= MOST_BYTES
    assert text.count("data-box=") == MOST_GROUPS
    rows = re.findall(r'<tr><th scope="row"><a href="\?to=(\d+)">(?:<bdi>)?(.*?)(?:</bdi>)?</a><td>([^<]*)', text)
    assert [int(rank) for rank, _, _ in rows] == list(range(MOST_GROUPS))
    for (_, shown, progress), name in zip(rows, names, strict=True):
        begin, end = shown.split(ELLIPSIS)
        assert name.startswith(begin) and name.endswith(end) and min(len(begin), len(end)) >= 3
        assert all(word in progress for word in WORDS)


@pytest.mark.django_db
@pytest.mark.parametrize("shape", SHAPES)
def test_thirty_boxes_are_told_in_full(client: Client, owner: User, shape: str) -> None:
    names = long_names(30, LETTERS["plain"])
    size, text = get_page(client, make_graph(owner, names, SHAPES[shape](30), have_run=True))
    assert size <= MOST_BYTES
    assert text.count("between attempts") == 30
    assert len(re.findall(r"<a data-box=[^>]*><title>[^<]* waiting; one job takes about", text)) == 30


@pytest.mark.django_db
def test_many_tags_in_most_boxes_are_a_small_page(client: Client, owner: User) -> None:
    names = [f"{name[:-2]}.{number}" for name in long_names(MOST_GROUPS, "very long ") for number in (1, 2)]
    made = make_graph(owner, names, SHAPES["crossing"](len(names)), have_run=True)
    size, text = get_page(client, made)
    assert size <= MOST_BYTES
    assert "(2 tags)" in text
    short = re.findall(r'href="(\?to=[\d-]+)"', text)
    assert len(set(short)) == MOST_GROUPS
    opened = client.get(f"/workflows/{made.workflow.pk}/graph/{short[0]}", follow=True)
    assert opened.redirect_chain[0][0].startswith(f"/workflows/{made.workflow.pk}/graph/?under=00very")
    assert opened.content.decode().count("data-box=") == 2


@pytest.mark.django_db
def test_what_is_too_much_to_be_drawn_is_a_table_in_parts(client: Client, owner: User) -> None:
    names = [f"{chr(0x4E00 + number)}stage{chr(0x5E00 + number)}" + "x" * 200 for number in range(2 * MOST_GROUPS + 5)]
    made = make_graph(owner, names, SHAPES["crossing"](len(names)), have_run=True)
    shown: list[str] = []
    for part, rows in ((1, MOST_GROUPS), (2, MOST_GROUPS), (3, 5)):
        size, text = get_page(client, made, f"?part={part}")
        assert size <= MOST_BYTES
        assert f"Part {part} of 3, 125 tags in all" in text
        assert ('rel="prev"' in text, 'rel="next"' in text) == (part > 1, part < 3)
        found = re.findall(r'<th scope="row"><a[^>]*>(..?stage)', text)
        assert len(found) == rows
        shown += found
    assert shown == [name[:6] for name in names]
    assert "Part 3 of 3" in get_page(client, made, "?part=9")[1]
    assert "Part 1 of 3" in get_page(client, made, "?part=x")[1]


@pytest.mark.django_db
def test_a_short_address_leads_to_the_jobs_of_its_tag(client: Client, owner: User) -> None:
    names = long_names(3, "a&b ")
    made = make_graph(owner, names, [(0, 1)])
    url = f"/workflows/{made.workflow.pk}/graph/"
    assert "?to=2" in get_page(client, made)[1]
    opened = client.get(f"{url}?to=2", follow=True)
    assert opened.redirect_chain[0][0].startswith(f"/workflows/{made.workflow.pk}/jobs/?tag=02a%26b+a")
    assert opened.context["filters"].chips[0].label == f"tag: {names[2]}"
    for nowhere in ("3", "x", "0-x", "0-²", ""):
        assert "Tags and what they wait for" in get_page(client, made, f"?to={nowhere}")[1]


@pytest.mark.django_db
def test_names_that_are_short_and_few_stay_whole(client: Client, owner: User) -> None:
    made = make_graph(owner, ["clean", "fit"], [(0, 1)])
    text = get_page(client, made)[1]
    assert text.count(f'href="/workflows/{made.workflow.pk}/jobs/?tag=clean"') == 2
    assert "<text>clean</text>" in text
    assert ELLIPSIS not in text.partition('<svg class="graph"')[2].partition("</table>")[0]


@pytest.mark.parametrize("letters", LETTERS)
def test_a_name_keeps_its_beginning_and_its_end(letters: str) -> None:
    for most in range(4, 120):
        short = shorten(f"begin{LETTERS[letters] * 20}end", most, 30)
        assert bytes_of(short) <= most
        assert columns_of(short) <= 30
    assert (short[:5], short[-3:]) == ("begin", "end")
    assert shorten("fit_2019", 8, 8) == "fit_2019"


def test_the_longest_names_give_way_first() -> None:
    names = ["a", "fit", "x" * 50, "y" * 90]
    shown = shorten_all(names, room=64)
    assert sum(map(bytes_of, shown.values())) <= 64
    assert shown["a"] == "a"
    assert shown["fit"] == "fit"
    assert bytes_of(shown["x" * 50]) == bytes_of(shown["y" * 90]) == 30
    assert shorten_all(names, room=144) == {name: name for name in names}
