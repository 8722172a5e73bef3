"""The engine alone (no processes, HTTP or Redis) on the dummy executor: what each job costs in graphs of many shapes.

    python bench/shapes.py [SHAPE:JOBS ...]        default: wide and narrow ones, see DEFAULT

Each graph runs in a process of its own, on a fresh SQLite database. Told are microseconds for each job to register, to
finish, and of the latter those spent on finding what may start; bytes of database for each job (beyond an empty one);
the peak of memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from processes import read_peak_rss
from services import ROOT, Result

DEFAULT = (
    "layers:1000", "layers:10000", "layers:100000", "layers:500000", "fan-in:100000", "fan-out:100000", "chain:10000",
)  # fmt: skip
DISTANCES = (1000, 1007, 1101)


@dataclass
class Cost:
    """Of one graph; microseconds and bytes for each job, CPU time of the process. `before_mb`: its peak of memory before
    there was a graph."""

    shape: str
    jobs: int
    edges: int
    register: float
    finish: float
    ready: float
    database: float
    before_mb: float
    peak_mb: float


SHAPES: dict[str, Callable[[int, int], list[int]]] = {
    "layers": lambda number, _: [number - distance for distance in DISTANCES if number >= distance],
    "fan-in": lambda number, jobs: list(range(jobs - 1)) if number == jobs - 1 else [],
    "fan-out": lambda number, _: [0] if number else [],
    "chain": lambda number, _: [number - 1] if number else [],
}


def measure_here(shape: str, jobs: int) -> Cost:
    """In this process, whose database is fresh."""
    import django

    django.setup()
    from django.core.management import call_command

    from executors.dummy import DummyExecutor
    from workflows import binding, lifecycle
    from workflows.access import ensure_local_user
    from workflows.actor import Actor
    from workflows.graph import Header, JobInput, build_graph
    from workflows.models import Job
    from workflows.scheduling import back_ends, tick

    call_command("migrate", verbosity=0)
    empty, before = _measure_database(), read_peak_rss(os.getpid())
    back_ends.use(DummyExecutor("dummy", time.time))
    actor = Actor(ensure_local_user(), "api")
    upstreams = SHAPES[shape]
    inputs = [
        JobInput(
            name=f"j{number}",
            command=f"ok {number}",
            tag=f"t{number * 10 // jobs}",
            upstreams=list(upstreams(number, jobs)),
        )
        for number in range(jobs)
    ]
    finding = _time_calls(tick, "select_ready")
    begun = time.process_time()
    graph = build_graph(Header(workflow_args="shape", executor="dummy"), inputs)
    workflow = binding.bind(graph, actor).workflow
    registered = time.process_time()
    edges = graph.edge_count
    del graph, inputs
    run = lifecycle.start_run(workflow.pk, actor, lifecycle.RunOptions())
    while run.status == "R":
        tick.advance(run.pk)
        run.refresh_from_db()
    finished = time.process_time()
    if Job.objects.filter(dag_id=workflow.dag_id, status="D").count() != jobs:
        raise SystemExit(f"bench: not all jobs of {shape} are done")
    each = 1e6 / jobs
    return Cost(
        shape, jobs, edges, (registered - begun) * each, (finished - registered) * each, finding() * each,
        (_measure_database() - empty) / jobs, before, read_peak_rss(os.getpid()),
    )  # fmt: skip


def _measure_database() -> int:
    """Bytes, when SQLite's log is carried over."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return int(cursor.fetchone()[0])


def _time_calls(module: object, name: str) -> Callable[[], float]:
    """Have the CPU seconds of a function counted; the answer tells how many there were."""
    real, total = getattr(module, name), 0.0

    def timed(*args: object) -> object:
        nonlocal total
        begun = time.process_time()
        try:
            return real(*args)
        finally:
            total += time.process_time() - begun

    setattr(module, name, timed)
    return lambda: total


def measure_apart(shape: str, jobs: int) -> Cost:
    """In a process of its own."""
    with tempfile.TemporaryDirectory(prefix="jobmon-bench-") as home:
        environment = {
            **os.environ,
            "JOBMON_HOME": home,
            "JOBMON_EXECUTORS": "dummy",
            "JOBMON_LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "jobmon_site.settings",
            "PYTHONPATH": str(ROOT),
        }
        child = [sys.executable, __file__, "--child", shape, str(jobs)]
        answer = subprocess.run(child, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    return Cost(**json.loads(answer.splitlines()[-1]))


def measure_shapes(wanted: Sequence[str]) -> list[Result]:
    """The baseline of each is the first one."""
    costs = [measure_apart(shape, int(jobs)) for shape, _, jobs in (text.partition(":") for text in wanted)]
    first = costs[0]
    against = f"{first.shape} of {first.jobs:,}"
    results = []
    for cost in costs:
        what = f"engine: {cost.shape} of {cost.jobs:,}"
        results += [
            Result(f"{what}, register", cost.register, "us/job", first.register, against),
            Result(f"{what}, run to the end", cost.finish, "us/job", first.finish, against),
            Result(f"{what}, of it finding what may start", cost.ready, "us/job", first.ready, against),
            Result(f"{what}, database", cost.database, "B/job", first.database, against),
            Result(f"{what}, peak RSS", cost.peak_mb, "MB", cost.before_mb, "the same process before the graph"),
        ]
    return results


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(asdict(measure_here(sys.argv[2], int(sys.argv[3])))))
    else:
        from table import show

        show(measure_shapes(sys.argv[1:] or list(DEFAULT)))
