"""Hostile text where it leaves the pages: exports, drawings, lines for the terminal, addresses, and the command itself."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from tests.client.test_terminal import read_to_end
from tests.factories import Made, make_user
from tests.pages.browsers import sign_in
from tests.pages.conftest import OpenPage, visit_all
from tests.pages.hostile_fields import END, START, Words
from tests.pages.hostile_world import World, build_world, make_hostile
from tests.pages.test_hostile_fields import KINDS, look, problems_of
from workflows.access import create_token
from workflows.models import Operation
from workflows.shell_words import quote_word
from workflows.views.export import safe_cell

pytestmark = pytest.mark.django_db
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# What a line may hold that is typed or pasted: nothing that a terminal takes for a key, or draws elsewhere
KEYS = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069]")
PASTED = "x\x1b[201~;touch pwned\n\ttouch pwned;$(touch pwned)`touch pwned`'\";touch pwned;\u202e\x9b!!\x03#"
FORMULA = Words(
    lambda room, number: ("=1+1", "+1", "-1", "@x", "\t=1", " \u200b=1", "\uff1d1", "\n=1")[number % 8][:room]
)
NUL_FREE = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), max_size=30)
EXPORTED = ("workflow-list, all", "workflow-jobs", "workflow-runs", "workflow-errors", "workflow-activity", "workflow-timeline",
            "workflow-resources", "operations", "audit")  # fmt: skip


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice", is_admin=True)


@pytest.fixture
def world(owner: User, tmp_path: Path, settings: Any) -> World:
    settings.SPOOL = tmp_path / "spool"
    return build_world(owner)


def export(client: Client, url: str, kind: str) -> str:
    answer = client.get(f"{url}{'&' if '?' in url else '?'}export={kind}")
    assert answer.status_code == 200, url
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
    return content.decode()


@pytest.fixture
def formulas(monkeypatch: pytest.MonkeyPatch) -> Words:
    """Texts that begin with what a spreadsheet would work out, instead of with the mark of their field."""
    bare = FORMULA.body
    monkeypatch.setattr(Words, "bare", lambda _self, mark, most, number=0: f"{bare(most, number)}{mark}"[:most])
    return FORMULA


def test_no_cell_of_an_export_is_a_formula(client: Client, world: World, formulas: Words) -> None:
    urls, quoted = world.urls, 0
    make_hostile(world, formulas)
    for name in EXPORTED:
        for row in csv.reader(io.StringIO(export(client, urls[name], "csv"))):
            for cell in row:
                is_number = re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", cell)
                assert is_number or not re.match(r"[\s\u200b]*[=+\-@\uff1d]", cell), (name, cell)
                quoted += cell.startswith("'")
    assert quoted > len(EXPORTED)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\u00a0+", "\ufeff@", "\uff1d", "\x00="])
def test_what_a_spreadsheet_would_work_out_is_quoted(start: str) -> None:
    assert safe_cell(f"{start}1") == f"'{start}1"
    assert [safe_cell(value) for value in ("a=1", "", 1, -1, None, "fit-1")] == ["a=1", "", 1, -1, None, "fit-1"]


@pytest.mark.parametrize("kind", KINDS)
def test_exports_say_what_is_stored(client: Client, world: World, kind: str) -> None:
    """A line is an object, a row has as many cells as the first: no text ends its own."""
    urls = world.urls
    make_hostile(world, KINDS[kind])
    for name in EXPORTED:
        rows = list(csv.reader(io.StringIO(export(client, urls[name], "csv"))))
        assert len(rows) > 1, name
        assert {len(row) for row in rows} == {len(rows[0])}, name
        lines = [json.loads(line) for line in export(client, urls[name], "jsonl").split("\n") if line]
        assert len(lines) == len(rows) - 1, name
        assert any(START in str(line) for line in lines), name


@pytest.mark.parametrize("kind", KINDS)
def test_drawings_stay_drawings(client: Client, world: World, kind: str) -> None:
    """Each text is one string of the language, on a line of its own and without an unseen character."""
    urls = world.urls
    make_hostile(world, KINDS[kind])
    for name in ("workflow-graph", "job-graph"):
        lines = export(client, urls[name], "dot").rstrip("\n").split("\n")
        assert lines[0] == "digraph jobs {"
        assert lines[-1] == "}"
        texts = [line for line in lines if "label=" in line]
        assert texts, name
        for line in texts:
            assert re.fullmatch(r'  n_?\d+( -> n_?\d+)? \[label="([^"\\]|\\.)*"\];', line), line
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", line), line


@given(NUL_FREE)
def test_a_quoted_word_is_one_word(text: str) -> None:
    """A shell reads the text as it was, and nothing in it is a key of a terminal."""
    word = quote_word(text)
    assert not KEYS.search(word)
    said = subprocess.run(["bash", "-c", f"printf '%s' {word}"], capture_output=True, check=True)
    assert said.stdout.decode() == text


def test_lines_for_the_terminal_can_be_pasted(client: Client, world: World, tmp_path: Path) -> None:
    """Typed into a shell, key by key, they run nothing but what they name."""
    program = tmp_path / "jobmon"
    program.write_text('#!/bin/sh\nfor word; do printf "%s|" "$word"; done >> "$0.said"\necho >> "$0.said"\n')
    program.chmod(0o755)
    workflow, text = world.first.workflow.pk, quote(PASTED)
    typed = []
    for path in ("/workflows/", *(f"/workflows/{workflow}/{part}/" for part in ("jobs", "runs", "errors"))):
        page = client.get(f"{path}?q={text}&name={text}&user={text}&tag={text}&attr.{text}={text}&{text}=1").content
        lines = [html.unescape(found) for found in re.findall(r"<pre[^>]*>([^<]*)</pre></dd>", page.decode())]
        lines = [line for line in lines if line.startswith(("jobmon", "curl", "http"))]
        assert len(lines) == 3, path
        for line in lines:
            assert not KEYS.search(line), line
        typed += lines
    paste(typed, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} <= {"jobmon", "jobmon.said", "spool"}
    assert PASTED.rpartition("#")[0] in (tmp_path / "jobmon.said").read_text(encoding="utf-8")


def paste(lines: list[str], folder: Path) -> None:
    """Into an interactive bash on a terminal, without bracketed paste; `curl` is away, and an address is no command."""
    ours, theirs = pty.openpty()
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "TERM": "dumb", "HOME": str(folder), "HISTFILE": ""}
    shell = ["bash", "--norc", "-i", "-o", "history", "-o", "histexpand"]
    process = subprocess.Popen(
        shell, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment, start_new_session=True
    )
    os.close(theirs)
    try:
        os.write(ours, b"curl() { :; }\n")
        for line in [*lines, "exit"]:
            os.write(ours, line.encode() + b"\n")
        read_to_end(ours)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


# Addresses and headers: what comes with a request and is said again


HOSTILE_VALUE = (
    START + "\"'><u data-pwned><script>pwned=1</script>{{7|add:1}}\x1b[2J\u05d0\u202e 3 \u05d1" + "\u05d0" * 60 + END
)
ASKED = (
    "status", "tag", "q", "reason", "host", "attempts", "since", "name", "user", "executor", "actor", "action", "via", "result",
    "operation", "workflow", "scope", "owner", "prefix", "used", "mine", "failures", "created", "changed", "run", "from", "to",
    "by", "cols", "sort", "after", "before", "find", "offset", "wrap", "up", "down", "under", "error", "upstream_of", "id",
    "blocked", "per_page", "outcome", "code", "next", "x", "attr.x", HOSTILE_VALUE,
)  # fmt: skip
ASKED_PAGES = (
    "workflow-list, all", "workflow-jobs", "workflow-runs", "workflow-errors", "workflow-activity", "workflow-timeline",
    "workflow-resources", "workflow-graph", "operations", "tokens-of-others", "audit", "search, text", "once",
)  # fmt: skip


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_addresses_and_headers_are_text(open_page: OpenPage, world: World, watched: Any) -> None:
    """Every parameter of every list at once, unknown ones too; what a browser calls itself; a page that does not exist."""
    watched.expected = ("404 (Not Found)",)
    pairs = "&".join(f"{quote(name)}={quote(HOSTILE_VALUE)}" for name in ASKED)
    asked = {name: f"{world.urls[name].partition('?')[0]}?{pairs}" for name in ASKED_PAGES}
    sign_in(world.owner.username, HOSTILE_VALUE, HOSTILE_VALUE[:64])
    log = f"{world.urls['log-stdout']}?find={quote(HOSTILE_VALUE)}"
    others = {"log": log, "nothing": f"/{quote(HOSTILE_VALUE[:60])}/", "sessions": "/account/sessions/"}
    problems: dict[str, list[str]] = {}
    shown = set()
    for name, page in visit_all(open_page, {**asked, **others}, width=390):
        seen = look(page)
        shown |= {name} if START in seen["html"] else set()
        if found := problems_of(seen, 390):
            problems[name] = found
    assert problems == {}, problems
    assert shown == {*ASKED_PAGES, "log", "sessions"}


# The command, on a terminal, about a site in which everything is hostile


def commands(world: World) -> Iterator[list[str]]:
    first, second = world.first, world.second
    assert first.run is not None
    for made in (first, second):
        number = str(made.workflow.pk)
        for words in ("show", "jobs", "errors", "runs", "graph"):
            yield ["workflow", words, number]
        yield ["workflow", "graph", number, "--dot"]
        yield ["workflow", "resume", number, "--dry-run"]
        for letter in "DFRIEG":
            for words in ("show", "why", "tree"):
                yield ["job", words, str(made.job(letter).pk)]
    yield ["job", "log", str(job_with_output(first)), "--attempt", "1", "--stderr"]
    yield ["workflow", "list", "--all"]
    yield ["workflow", "show", str(first.workflow.pk), "--run", str(first.run.pk)]
    yield ["workflow", "limit", str(first.workflow.pk), "--tag", f"{PASTED}=3"]  # refused, with its name in the words
    yield ["operation", "list"]
    yield from (["operation", "show", str(key), "--jobs"] for key in Operation.objects.values_list("uuid", flat=True))


def job_with_output(made: Made) -> int:
    return made.instance("E").job_id


PROGRAM = """
import json, sys
from jobmon.cli import cli
for words in json.loads(sys.argv[1]):
    for more in ([], ["--json"]):
        if "--dot" in words and more: continue
        try: cli([*words, *more], standalone_mode=False)
        except SystemExit: pass
        except BaseException as error: getattr(error, "show", lambda: None)()
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", KINDS)
def test_the_command_steers_no_terminal(world: World, live_server: Any, tmp_path: Path, kind: str) -> None:
    make_hostile(world, KINDS[kind])
    environment = {**os.environ, "JOBMON_SERVER": live_server.url, "JOBMON_TOKEN": create_token(world.owner, "x"),
                   "HOME": str(tmp_path), "TERM": "dumb", "COLUMNS": "400"}  # fmt: skip
    said = on_terminal([sys.executable, "-c", PROGRAM, json.dumps([*commands(world)])], environment)
    assert said.count(START) > 100
    assert "Traceback" not in said
    shown = re.sub(r"\x1b\[[0-9;]*m", "", said.replace("\r\n", "\n"))  # the colours of a log
    found = STEERING.search(shown)
    assert found is None, ascii(shown[max(0, found.start() - 200) : found.end() + 50])


def on_terminal(argv: list[str], environment: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        return read_to_end(ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
