"""Cost of every page on a database that holds one very large workflow, beside the same workflow at 1,000 jobs.

    python bench/pages.py                                 500,000 jobs on SQLite, then on a private MariaDB
    python bench/pages.py --jobs 50000 --database sqlite --rounds 20 [--json]
    python bench/pages.py --database sqlite --home /var/tmp/pages      seeded once, measured again at the next call

Pages are asked for as a signed-in browser does, small and large in turn, in one process and without a network: the
times are those of the server. The ratio is that of the medians. A poll is the same address with the change number that the page was given. Budgets are
those of the tests: 8 queries, 60 KB (a neighbourhood 120 KB, a time line 240 KB), 200 ms at the 95th percentile, 30 ms for a poll, and at
most 3 times what the page costs at 1,000 jobs.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from django.test import Client

    from tests.factories import Made, Tag

ORDINARY_WORKFLOWS = 200
SMALL = 1000
MOST_MS, MOST_POLL_MS, MOST_QUERIES, MOST_KB, MOST_RATIO = 200.0, 30.0, 8, 60.0, 3.0
LARGER_KB = {"job-graph": 120.0, "job-graph, two hops": 120.0, "workflow-timeline": 240.0}


@dataclass(frozen=True)
class PageCost:
    """What one page costs: 95th percentiles in ms, the poll's too (None: the page has none); the ratio of the medians
    of the large and the small."""

    name: str
    small_ms: float
    large_ms: float
    ratio: float
    queries: int
    kilobytes: float
    poll_ms: float | None

    @property
    def overruns(self) -> list[str]:
        """The budgets that it breaks, in words."""
        checks = {
            "p95": self.large_ms > MOST_MS,
            "queries": self.queries > MOST_QUERIES,
            "size": self.kilobytes > LARGER_KB.get(self.name, MOST_KB),
            "poll": (self.poll_ms or 0) > MOST_POLL_MS,
            "ratio": self.ratio > MOST_RATIO,
        }
        return [name for name, is_over in checks.items() if is_over]


def pipeline(jobs: int) -> list[Tag]:
    """A pipeline of seven tags in mid-run, with failures of several kinds, in any size from 1,000 jobs."""
    from tests.factories import Tag

    part, few = jobs // 100, max(jobs // 500, 2)
    failed = max(few, 110)  # a full page of them, and of each reason, in every size
    busy = {"R": few, "I": few, "Q": few, "E": few}
    fit = {"D": 30 * part - 5 * few - failed, "G": few, "F": failed, **busy}
    return [
        Tag("configure", {"F": 1}, minutes=1, message="KeyError: 'release'"),
        Tag("check", {"G": 6 * part}, ("configure",), minutes=2),
        Tag("extract", {"D": 10 * part - 1}, minutes=4, mem_free=2),
        Tag(
            "clean", {"D": 20 * part - few, "F": few}, ("extract",), message="ValueError: expected 23 values", minutes=9
        ),
        Tag("fit", fit, ("clean",), ("memory", "exit"), minutes=24, mem_free=12),
        Tag("predict", {"D": 20 * part - 10 * few, "G": 5 * few, "F": few, **busy}, ("fit",), minutes=11, mem_free=8),
        Tag("aggregate", {"G": 10 * part}, ("predict",), minutes=6, mem_free=16),
        Tag("plots", {"G": 4 * part - 1}, ("aggregate",), minutes=3, mem_free=2),
        Tag("report", {"G": 1}, ("plots",), minutes=1, mem_free=2),
    ]


def fill(owner: Any, jobs: int) -> None:
    """The rows: 200 ordinary workflows, the pipeline at 1,000 jobs, and at the size that is asked for."""
    from tests.factories import Tag, make_audit, make_workflow
    from tests.seed import write_logs
    from workflows.scheduling import stored_facts

    for number in range(ORDINARY_WORKFLOWS):
        tags = [Tag("count", {"D": 30}), Tag("sum", {"D": 1}, ("count",))]
        make_workflow(owner, tags, args=f"daily {number}", name=f"Word counts {number}", status="D")
    for size in (SMALL, jobs):
        made = make_workflow(owner, pipeline(size), args=name_of(size), name="Estimates", runs=3)
        for _ in range(100):
            make_audit(made.workflow)
        if size == SMALL:
            write_logs(made)
    stored_facts.refresh_facts()


def name_of(jobs: int) -> str:
    return f"estimates {jobs}"


def find_made(jobs: int) -> Made | None:
    """The workflow of this size, with a job and an attempt in each status; None before it is seeded."""
    from tests.factories import Made
    from workflows.models import Job, JobInstance, Workflow

    workflow = Workflow.objects.filter(workflow_args=name_of(jobs)).select_related("owner").first()
    if workflow is None:
        return None
    run = workflow.runs.order_by("-id").first()
    found = (Job.objects.filter(dag_id=workflow.dag_id, status=letter).first() for letter in "GQIREFD")
    attempts = (JobInstance.objects.filter(workflow_run=run, status=letter).first() for letter in "BRED")
    return Made(workflow, run, {"": [job for job in found if job]}, [attempt for attempt in attempts if attempt])


def measure(jobs: int, rounds: int) -> list[PageCost]:
    """Seed the database of this process's settings and measure every page."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.test import Client

    from tests.pages.test_smoke import urls_of
    from workflows.access import ensure_local_user

    settings.ALLOWED_HOSTS = ["testserver"]
    call_command("migrate", verbosity=0)
    owner = ensure_local_user()
    if find_made(jobs) is None:
        begun = time.perf_counter()
        fill(owner, jobs)
        print(f"seeded in {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    _analyze()
    small, large = find_made(SMALL), find_made(jobs)
    assert small is not None
    assert large is not None
    client = Client()
    client.force_login(owner)
    pages = zip(urls_of(small).items(), urls_of(large).values(), strict=True)
    return [_measure_page(client, name, small_url, large_url, rounds) for (name, small_url), large_url in pages]


def _analyze() -> None:
    """Fresh statistics for the planner, as a database has that grew over days: of the newest indexes, too."""
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("ANALYZE")
            return
        tables = ", ".join(f"`{table}`" for table in connection.introspection.table_names(cursor))
        cursor.execute(f"ANALYZE TABLE {tables}")
        cursor.fetchall()


def _measure_page(client: Client, name: str, small_url: str, large_url: str, rounds: int) -> PageCost:
    queries, size, poll_url = _look_closely(client, large_url)
    small, large, polls = [], [], []
    for _ in range(rounds):
        small.append(_timed(lambda: client.get(small_url)))
        large.append(_timed(lambda: client.get(large_url)))
        if poll_url:
            polls.append(_timed(lambda: client.get(poll_url, headers={"HX-Request": "true"})))
    poll_ms = percentile(polls) if polls else None
    ratio = statistics.median(large) / statistics.median(small)
    return PageCost(name, percentile(small), percentile(large), ratio, queries, size / 1024, poll_ms)


def _look_closely(client: Client, url: str) -> tuple[int, int, str]:
    """Queries and bytes of a page, and the address of its poll ('' if it has none)."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        response = client.get(url)
    if response.status_code != 200:
        raise SystemExit(f"bench: {url} answered {response.status_code}")
    poll = re.search(rb'hx-get="([^"]+)"', response.content)
    return len(queries), len(response.content), html.unescape(poll[1].decode()) if poll else ""


def _timed(call: Callable[[], Any]) -> float:
    """Milliseconds of one call."""
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def percentile(values: list[float], share: float = 0.95) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def show(database: str, jobs: int, costs: list[PageCost]) -> None:
    width = max(len(cost.name) for cost in costs)
    print(f"\n{database}, {jobs:,} jobs; milliseconds at the 95th percentile, load {os.getloadavg()[0]:.1f}")
    print(f"{'page':<{width}} {'1,000':>8} {'large':>8} {'ratio':>6} {'poll':>6} {'queries':>8} {'KB':>6}")
    for cost in costs:
        poll = "" if cost.poll_ms is None else f"{cost.poll_ms:.1f}"
        print(
            f"{cost.name:<{width}} {cost.small_ms:8.1f} {cost.large_ms:8.1f} {cost.ratio:6.2f} {poll:>6}"
            f" {cost.queries:8d} {cost.kilobytes:6.1f}  {' '.join(cost.overruns)}"
        )
    broken = sum(bool(cost.overruns) for cost in costs)
    print(f"{len(costs)} pages, {broken} over a budget")


@contextmanager
def database_settings(database: str, folder: Path) -> Iterator[dict[str, str]]:
    """The environment for a fresh database of this kind."""
    if database == "sqlite":
        yield {}
        return
    from tests.services import MariaDB, run_mariadb

    server = MariaDB(folder / "mariadb")
    server.start()
    try:
        run_mariadb(server.socket, "CREATE DATABASE IF NOT EXISTS bench CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        yield {"JOBMON_DB": "mysql", "JOBMON_DB_HOST": str(server.socket), "JOBMON_DB_USER": "root",
               "JOBMON_DB_NAME": "bench"}  # fmt: skip
    finally:
        server.stop()


def run_in_child(database: str, options: argparse.Namespace) -> list[PageCost]:
    """Settings are read once in a process: each database has its own."""
    with (
        tempfile.TemporaryDirectory(prefix="jobmon-bench-") as folder,
        database_settings(database, Path(options.home or folder)) as variables,
    ):
        environment = {
            **os.environ, **variables, "JOBMON_HOME": options.home or f"{folder}/home", "JOBMON_BENCH_CHILD": "1",
            "JOBMON_LOG_LEVEL": "ERROR", "DJANGO_SETTINGS_MODULE": "jobmon_site.settings",
        }  # fmt: skip
        command = [sys.executable, __file__, "--jobs", str(options.jobs), "--rounds", str(options.rounds)]
        answer = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return [PageCost(**cost) for cost in json.loads(answer.stdout.splitlines()[-1])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=500_000, help="jobs of the large workflow (1,000 or more)")
    parser.add_argument("--rounds", type=int, default=30, help="how often each page is asked for")
    parser.add_argument("--database", choices=["sqlite", "mariadb"], action="append", help="default: both")
    parser.add_argument("--home", help="keep the databases in this folder, and use what is there")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    options = parser.parse_args()
    if os.environ.get("JOBMON_BENCH_CHILD"):
        print(json.dumps([asdict(cost) for cost in measure(options.jobs, options.rounds)]))
        return
    found = {name: run_in_child(name, options) for name in options.database or ("sqlite", "mariadb")}
    if options.json:
        print(json.dumps({name: [asdict(cost) for cost in costs] for name, costs in found.items()}, indent=2))
        return
    for name, costs in found.items():
        show(name, options.jobs, costs)


if __name__ == "__main__":
    main()
