"""What a page says under "In your terminal", taken as it stands there and run against a live server, names the same things
as the page, in the same order."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from click.testing import CliRunner
from django.contrib.auth.models import User
from django.test import Client

from jobmon.cli import cli
from tests.factories import Made, Tag, make_audit, make_user, make_workflow
from tests.pages.test_smoke import urls_of
from tests.seed import write_log
from workflows.access import create_token
from workflows.models import Job, JobGroup

pytestmark = pytest.mark.django_db(transaction=True)
Ids = list[Any]
OfPage, OfAnswer = Callable[[Any, str], Ids], Callable[[Any], Ids]


def listed(context: Any, _url: str) -> Ids:
    return [row.pk for row in context["page"].rows]


def from_url(_context: Any, url: str) -> Ids:
    """What the page is about: the number in its address."""
    return [re.findall(r"/([0-9a-f-]{36}|\d+)/", url)[0]]


def rows(key: str) -> OfAnswer:
    """The ids of a list of the API, and of the same list from the command."""
    return lambda found: [row[key] for row in (found["results"] if isinstance(found, dict) else found)]


def one(key: str) -> OfAnswer:
    return lambda found: [str(found[key])]


def names(context_name: str, of_row: Callable[[Any], str]) -> OfPage:
    return lambda context, _url: sorted(of_row(row) for row in context[context_name])


def sorted_rows(key: str) -> OfAnswer:
    return lambda found: sorted(rows(key)(found))


JOB, WORKFLOW = (from_url, one("job_id")), (from_url, one("id"))
OF_WORKFLOW, ATTEMPT = (from_url, one("workflow_id")), (from_url, one("job_instance_id"))
COMPARED: dict[str, tuple[OfPage, OfAnswer]] = {
    "workflow-list": (listed, rows("id")),
    "workflow-jobs": (listed, rows("job_id")),
    "workflow-runs": (listed, rows("id")),
    "workflow-errors": (listed, rows("job_instance_id")),
    "workflow-activity": (listed, rows("id")),
    "audit": (listed, rows("id")),
    "operations": (lambda context, _url: [str(row.uuid) for row in context["page"].rows], rows("id")),
    **dict.fromkeys(["job", "job-retry", "job-rerun", "job-done", "job-kill", "job-requests"], JOB),
    **dict.fromkeys(["workflow", "workflow-resume", "workflow-limits", "workflow-note", "workflow-sharing"], WORKFLOW),
    **dict.fromkeys(["workflow-stop", "workflow-hold"], OF_WORKFLOW),
    **dict.fromkeys(["workflow-run", "error-group", "operation"], (from_url, one("id"))),
    "job-instance": ATTEMPT,
    "workflow-graph": (
        lambda _context, url: sorted(JobGroup.objects.filter(dag__workflow=from_url(None, url)[0]).values_list("name", flat=True)),
        lambda found: sorted(node["name"] for node in found["nodes"]),
    ),
    "job-graph": (from_url, lambda found: [str(node["job_id"]) for node in found["nodes"] if not node["distance"]]),
    "workflow-timeline": (lambda context, _url: [context["run"].pk], lambda found: [found["run_id"]]),
    "workflow-resources": (
        lambda context, _url: [context["run"].pk, *(use.tag for use in context["uses"])],
        lambda found: [found["run_id"], *(tag["tag"] for tag in found["tags"])],
    ),
    "tokens": (names("rows", lambda row: row[0].prefix), sorted_rows("prefix")),
    "executors": (names("executors", lambda row: row.state.name), sorted_rows("name")),
    "executor": (lambda _context, url: [url.strip("/").rpartition("/")[2]], rows("name")),
    "host": (lambda _context, url: [url.strip("/").rpartition("/")[2]], rows("name")),
    "hosts": (lambda context, _url: [row.host.name for row in context["hosts"]], rows("name")),
    "search": (
        lambda context, _url: [row.pk for row in context["hits"].workflows],
        lambda found: [row["id"] for row in found["workflows"]],
    ),
}  # fmt: skip
"""How the ids of a page and those of an answer are found, by the first word of the page's name"""
WITHOUT = frozenset(
    {"account", "filters", "mail", "sessions", "tokens-of-others", "executor-hold", "executor-limit", "host-exclude"}
)
"""Pages with nothing that the terminal knows: their link stands alone"""
LISTS = frozenset(
    {"workflow-list", "workflow-jobs", "workflow-runs", "workflow-errors", "workflow-activity", "audit", "operations"}
)
AMONG = frozenset({"host", "executor"})
TEXTS = frozenset({"log-stdout", "log-stderr"})
PLANS = frozenset({"workflow-resume", "workflow-stop", "workflow-graph", "job-graph", "job-instance", *TEXTS})
"""Pages whose command answers with something else than an id: a plan, a drawing, a log"""


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice", is_admin=True)


@pytest.fixture
def made(owner: User, settings: Any) -> Made:
    """Some of everything, with output of every attempt that has begun; and one executor."""
    settings.EXECUTORS = ["sge"]
    tags = [
        Tag("clean", {"D": 4}),
        Tag("fit", {"F": 3, "R": 2, "D": 2, "E": 1, "G": 2}, ("clean",), ("memory", "exit")),
    ]
    made = make_workflow(owner, [*tags, Tag("end", {"G": 2}, ("fit",))], runs=3, name="Mortality estimates")
    for number in range(3):
        make_workflow(owner, [Tag("one", {"D": 1})], status="D", name=f"earlier {number}")
        make_audit(made.workflow)
    for instance in made.instances:
        write_log(instance)
    return made


class Terminal:
    """A shell and the `jobmon` command of a person with a token of their own, in an empty home."""

    def __init__(self, server: str, token: str, home: Path) -> None:
        self.host = urlsplit(server).netloc
        self._known = {
            "JOBMON_SERVER": server, "JOBMON_TOKEN": token, "HOME": str(home), "JOBMON_HOME": str(home / ".jobmon"),
            "PATH": "/usr/bin:/bin",
        }  # fmt: skip

    def paste(self, line: str) -> str:
        """A line of a page, into a shell; one that fails is said."""
        told = line.replace("curl ", "curl --silent --show-error --fail-with-body --max-time 30 ", 1)
        done = subprocess.run(
            ["sh", "-c", told], capture_output=True, text=True, env=self._known, check=False, timeout=60
        )
        assert done.returncode == 0, (line, done.stdout[:500], done.stderr)
        return done.stdout

    def call(self, line: str) -> str:
        """A `jobmon` line, without the second that a new process of Python takes."""
        program, *words = shlex.split(line)
        assert program == "jobmon"
        done = CliRunner().invoke(cli, words, env=self._known, catch_exceptions=False)
        assert done.exit_code == 0, (line, done.output)
        return done.output


@pytest.fixture
def terminal(live_server: Any, owner: User, tmp_path: Path) -> Terminal:
    return Terminal(live_server.url, create_token(owner, "terminal"), tmp_path)


def lines_of(page: str) -> Iterator[str]:
    """The lines that the page offers to copy."""
    (part,) = re.findall(r'<details class="terminal">.*?</details>', page, re.S)
    for text in re.findall(r"<pre[^>]*>(.*?)</pre>", part, re.S):
        yield html.unescape(text)


def compare(client: Client, terminal: Terminal, name: str, url: str) -> int:
    """How many lines beside the link were run. Lists are as long as a page on a page, and longer elsewhere."""
    response = client.get(url, HTTP_HOST=terminal.host)
    assert response.status_code == 200, url
    *lines, link = lines_of(response.content.decode())
    assert link == f"http://{terminal.host}{url}", url
    key = name.partition(",")[0]
    assert bool(lines) is (key not in WITHOUT), (name, lines)
    for line in lines:
        check(terminal, key, line, url, response.context)
    return len(lines)


def check(terminal: Terminal, key: str, line: str, url: str, context: Any) -> None:
    is_curl = line.startswith("curl ")
    if key in (TEXTS if is_curl else PLANS):
        assert (terminal.paste(line) if is_curl else terminal.call(line)).strip(), line
        return
    answer = json.loads(terminal.paste(line) if is_curl else terminal.call(f"{line} --json"))
    of_page, of_answer = COMPARED[key]
    expected, told = of_page(context, url), of_answer(answer)
    if key in LISTS:  # their pages differ in length
        assert bool(told) is bool(expected), line
        told, expected = told[: len(expected)], expected[: len(told)]
    if key in AMONG:
        assert set(expected) <= set(told), line
    else:
        assert told == expected, line


def test_every_page_says_what_finds_the_same_things(client: Client, terminal: Terminal, made: Made) -> None:
    urls = urls_of(made)
    ran = {name: compare(client, terminal, name, url) for name, url in urls.items()}
    assert {name.partition(",")[0] for name in urls} == COMPARED.keys() | WITHOUT | TEXTS
    assert sum(ran.values()) > len(ran)


def test_a_filtered_list_says_its_filters(client: Client, terminal: Terminal, made: Made) -> None:
    """Also values that a shell would take apart."""
    Job.objects.filter(status="F").update(attributes={"cause": "it's $HOME; `id`"})
    path, hard = f"/workflows/{made.workflow.pk}", quote("it's $HOME; `id`")
    asked = {
        "workflow-list": ["mine=1&status=R&status=D", "q=Mort", "failures=1", "name=Mortality%20estimates&per_page=2"],
        f"{path}/jobs/": [
            "status=F&tag=fit&tag=clean",
            "q=*fit&sort=-name",
            "blocked=1",
            "tag__n=fit",
            f"attr.cause={hard}",
        ],
        f"{path}/runs/": ["status=R", "user=alice"],
        f"{path}/errors/": ["reason=memory&tag=fit", "since=30d"],
    }
    names = {"/jobs/": "workflow-jobs", "/runs/": "workflow-runs", "/errors/": "workflow-errors"}
    for start, queries in asked.items():
        base = "/workflows/" if start == "workflow-list" else start
        name = next((name for end, name in names.items() if base.endswith(end)), "workflow-list")
        for query in queries:
            assert compare(client, terminal, name, f"{base}?{query}") == 2, query


def test_what_finds_nothing_finds_nothing_there_either(client: Client, terminal: Terminal, made: Made) -> None:
    url = f"/workflows/{made.workflow.pk}/jobs/?tag={quote('-x; $(id)')}"
    assert compare(client, terminal, "workflow-jobs", url) == 2
