"""All at once, on one machine: browsers that poll, people who submit graphs, and a very large workflow that runs.

    python bench/load.py                                      both: SQLite embedded, then MariaDB, gunicorn and nginx
    python bench/load.py --database mariadb --jobs 100000 --browsers 50 --submitters 5 --seconds 60 [--json]
    python bench/load.py --no-op --jobs 300000        jobs that end at once: how fast the scheduler can go is the limit

The large workflow runs alone first; the rate at which its jobs end then is the baseline for its rate under load. Its
jobs sleep for a second on so many slots, so that they leave the processor to those who share it. Budgets: no answer of
5xx, 70 % of the unloaded rate, and pages within 500 ms at the 95th percentile, on 2 cores.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.browsers import Audience, Browser, Site, in_parallel, percentile
from jobmon import BashTask, Workflow
from jobmon.api import Client
from tests.services import EmbeddedServer
from tests.waiting import wait_until

SLOTS = 100
EXECUTORS = {"JOBMON_EXECUTORS": "local,dummy"}
LEAST_RATE, MOST_PAGE_MS = 0.7, 500.0


@dataclass(frozen=True)
class Sizes:
    jobs: int = 100_000
    browsers: int = 50
    submitters: int = 5
    graph: int = 2_000
    seconds: float = 60.0
    poll_seconds: float = 3.0
    think_seconds: float = 5.0
    is_no_op: bool = False


@dataclass
class Served:
    """A server that is up: how browsers and scripts reach it."""

    site: Site
    cookies: dict[str, str]
    client: Client
    folder: Path


@dataclass
class Result:
    database: str
    unloaded_rate: float = 0.0
    loaded_rate: float = 0.0
    answers: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    page_p50_ms: float = 0.0
    page_p95_ms: float = 0.0
    poll_p95_ms: float = 0.0
    submitted: int = 0
    submit_p50_s: float = 0.0
    submit_worst_s: float = 0.0

    @property
    def ratio(self) -> float:
        return self.loaded_rate / self.unloaded_rate if self.unloaded_rate else 0.0

    @property
    def shortcomings(self) -> list[str]:
        found = [] if not self.broken else [f"{len(self.broken)} requests failed: {self.broken[0]}"]
        if self.ratio < LEAST_RATE:
            found.append(f"the rate fell to {self.ratio:.0%} of the unloaded one")
        if self.page_p95_ms > MOST_PAGE_MS:
            found.append(f"pages took {self.page_p95_ms:.0f} ms at the 95th percentile")
        return found


@contextmanager
def embedded() -> Iterator[Served]:
    with tempfile.TemporaryDirectory(prefix="jobmon-load-") as folder:
        server = EmbeddedServer(Path(folder) / "home", JOBMON_LOCAL_SLOTS=str(SLOTS), **EXECUTORS)
        try:
            server.start()
            yield reach(server, Path(folder))
        finally:
            server.close()


def reach(server: EmbeddedServer, folder: Path) -> Served:
    site = Site("127.0.0.1", int(server.server_file["port"]))
    browser = Browser(site)
    code = server.sign_in_link.partition("=")[2]
    assert browser.submit_form(f"/login/once/?code={code}", code=code) == 302
    browser.close()
    return Served(site, browser.cookies, Client(server=server.url, token=server.token), folder)


@contextmanager
def production() -> Iterator[Served]:
    """The shared server of docs/install.md, put up as its guide says, on loopback."""
    from tests.deploy.installation import HOST, PASSWORD, Installation

    with tempfile.TemporaryDirectory(prefix="jobmon-load-") as folder:
        made = Installation(Path(folder))
        try:
            made.set_up(JOBMON_LOCAL_SLOTS=str(SLOTS), GUNICORN_WORKERS="2", **EXECUTORS)
            site = Site(HOST, made.https, str(Path(folder) / "ssl" / "fullchain.pem"))
            browser = Browser(site)
            made.wait_for("nginx", lambda: browser.send("GET", "/healthz")[0] == 200)
            wait_until(lambda: browser.send("GET", "/readyz")[0] == 200, 120, "the site is ready")
            assert browser.submit_form("/login/", username="admin", password=PASSWORD) == 302
            find_here(HOST, site.certificate)
            client = Client(server=site.origin, token=make_token(browser, PASSWORD))
            yield Served(site, browser.cookies, client, Path(folder) / "home")
            browser.close()
        finally:
            made.close()


def make_token(browser: Browser, password: str) -> str:
    csrf = next(value for name, value in browser.cookies.items() if "csrf" in name)
    headers = {"Content-Type": "application/json", "X-CSRFToken": csrf}
    status, text = browser.send(
        "POST", "/api/v1/tokens/", json.dumps({"name": "load", "scope": "operate", "password": password}), **headers
    )
    assert status == 201, text
    return str(json.loads(text)["token"])


def find_here(host: str, certificate: str) -> None:
    """For the rest of this process that name is this machine, and its own certificate is good."""
    real = socket.getaddrinfo

    def look_up(asked: Any, *args: Any, **more: Any) -> Any:
        return real("127.0.0.1" if asked == host else asked, *args, **more)

    socket.getaddrinfo = look_up
    os.environ["SSL_CERT_FILE"] = certificate


def start_large(served: Served, jobs: int, command: str = "sleep 1", executor: str = "local") -> Workflow:
    workflow = Workflow("large", executor=executor, working_dir=str(served.folder), client=served.client)
    workflow.add_tasks(
        BashTask(f"{command} # {number}", name=f"large_{number}", tag=f"part_{number % 10}", mem_free=0.001)
        for number in range(jobs)
    )
    workflow.run(wait=False)
    return workflow


def count_done(served: Served, workflow: Workflow) -> int:
    assert workflow.workflow_id is not None
    return int(served.client.get_workflow(workflow.workflow_id)["counts"]["D"])


def measure_rate(served: Served, workflow: Workflow, seconds: float) -> float:
    """Jobs that end per second, over so long."""
    before, begun = count_done(served, workflow), time.perf_counter()
    wait_until(lambda: time.perf_counter() - begun >= seconds, seconds + 60, "the time is over", pause=0.5)
    return (count_done(served, workflow) - before) / (time.perf_counter() - begun)


def submit_graphs(served: Served, number: int, sizes: Sizes, until: float, took: list[float]) -> None:
    """One graph after the other, each half a fan and half a chain of tens, with a moment to think between them."""
    turn = 0
    while turn == 0 or time.monotonic() < until:
        tasks: list[BashTask] = []
        for index in range(sizes.graph):
            upstreams = tasks[-1:] if index % 10 else []
            name = f"job_{index}"
            tasks.append(BashTask(f"true {number} {turn} {index}", name=name, upstream_tasks=upstreams, mem_free=0.001))
        workflow = Workflow(f"submitter {number} {turn}", working_dir=str(served.folder), client=served.client)
        workflow.add_tasks(tasks)
        begun = time.perf_counter()
        workflow.bind()
        took.append(time.perf_counter() - begun)
        turn += 1
        pause = min(time.monotonic() + sizes.think_seconds, until)
        wait_until(lambda end=pause: time.monotonic() >= end, sizes.think_seconds + 60, pause=0.2)


def measure(served: Served, database: str, sizes: Sizes) -> Result:
    result, took = Result(database), list[float]()
    workflow = start_large(served, sizes.jobs, *(("ok", "dummy") if sizes.is_no_op else ()))
    wait_until(lambda: count_done(served, workflow) > SLOTS, 120, "the large workflow runs", pause=0.5)
    result.unloaded_rate = measure_rate(served, workflow, sizes.seconds / 2)
    assert workflow.workflow_id is not None
    until = time.monotonic() + sizes.seconds
    rates: list[float] = []
    with Audience(served.site, served.cookies, workflow.workflow_id, sizes.browsers, sizes.poll_seconds) as audience:
        raised = in_parallel(
            [
                lambda: rates.append(measure_rate(served, workflow, sizes.seconds)),
                *(
                    lambda number=number: submit_graphs(served, number, sizes, until, took)  # type: ignore[misc]
                    for number in range(sizes.submitters)
                ),
            ]
        )
    fill(result, audience, rates, took, raised)
    return result


def fill(
    result: Result, audience: Audience, rates: list[float], took: list[float], raised: list[BaseException]
) -> None:
    seen = audience.seen
    result.loaded_rate = rates[0] if rates else 0.0
    result.answers = dict(seen.answers)
    result.broken = [*seen.broken, *map(repr, raised)]
    result.page_p50_ms, result.page_p95_ms = (1000 * percentile(seen.pages, share) for share in (0.5, 0.95))
    result.poll_p95_ms = 1000 * percentile(seen.polls, 0.95)
    result.submitted, result.submit_p50_s = len(took), percentile(took, 0.5)
    result.submit_worst_s = max(took, default=0.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "mariadb"], help="only this one")
    for name in ("jobs", "browsers", "submitters", "graph"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Sizes, name))
    parser.add_argument("--seconds", type=float, default=Sizes.seconds, help="under load; half as long without it")
    parser.add_argument("--no-op", action="store_true", help="jobs of the dummy executor, which end at once")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    given = parser.parse_args()
    sizes = Sizes(given.jobs, given.browsers, given.submitters, given.graph, given.seconds, is_no_op=given.no_op)
    results = []
    for database, server in (("sqlite", embedded), ("mariadb", production)):
        if given.database in (None, database):
            with server() as served:
                results.append(measure(served, database, sizes))
            show(results[-1], given.json)
    if given.json:
        print(json.dumps([{**asdict(result), "ratio": result.ratio} for result in results], indent=1))
    return 1 if any(result.shortcomings for result in results) else 0


def show(result: Result, is_quiet: bool) -> None:
    if is_quiet:
        return
    print(
        f"{result.database}: jobs ended {result.unloaded_rate:.1f}/s alone, {result.loaded_rate:.1f}/s under load ({result.ratio:.0%})"
    )
    print(
        f"  answers {result.answers}; pages p50 {result.page_p50_ms:.0f} ms, p95 {result.page_p95_ms:.0f} ms; polls p95 {result.poll_p95_ms:.0f} ms"
    )
    print(
        f"  {result.submitted} graphs submitted, median {result.submit_p50_s:.1f} s, worst {result.submit_worst_s:.1f} s"
    )
    print(f"  {'; '.join(result.shortcomings) or 'within all budgets'}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
