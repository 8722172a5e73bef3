"""Cost per job as the graph grows: register and finish N jobs with 3 N edges on the dummy executor, in this process.

    python bench/scale.py [JOBS ...]        default: 1000 10000 100000

Prints seconds, microseconds per job and the peak memory of the process, and the ratio to the first size.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def measure(jobs: int) -> None:
    """One size, in a process of its own."""
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
    back_ends.use(DummyExecutor("dummy", time.time))
    actor = Actor(ensure_local_user(), "api")
    random.seed(1)
    graph_jobs = [
        JobInput(
            name=f"j{i}",
            command=f"ok {i}",
            tag=f"t{i * 10 // jobs}",
            upstreams=sorted({random.randrange(max(0, i - 1000), i) for _ in range(3)}) if i >= jobs // 10 else [],
        )
        for i in range(jobs)
    ]
    began = time.perf_counter()
    graph = build_graph(Header(workflow_args="scale", executor="dummy"), graph_jobs)
    workflow = binding.bind(graph, actor).workflow
    registered = time.perf_counter()
    edges = graph.edge_count
    del graph, graph_jobs
    run = lifecycle.start_run(workflow.pk, actor, lifecycle.RunOptions())
    while run.status == "R":
        tick.advance(run.pk)
        run.refresh_from_db()
    finished = time.perf_counter()
    done = Job.objects.filter(dag_id=workflow.dag_id, status="D").count()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = Path(os.environ["JOBMON_HOME"], "jobmon.sqlite3").stat().st_size / jobs
    print(
        f"{jobs:>8} jobs {edges:>9} edges  register {registered - began:7.2f} s {1e6 * (registered - began) / jobs:6.0f} us/job"
        f"  finish {finished - registered:7.2f} s {1e6 * (finished - registered) / jobs:6.0f} us/job"
        f"  peak {peak:5.0f} MB  database {size:5.0f} bytes/job  {run.status} {done}",
        flush=True,
    )


def main() -> None:
    sizes = [int(text) for text in sys.argv[1:]] or [1000, 10_000, 100_000]
    if len(sizes) == 1 and os.environ.get("JOBMON_SCALE_CHILD"):
        measure(sizes[0])
        return
    for size in sizes:
        with tempfile.TemporaryDirectory() as home:
            variables = {
                "JOBMON_SCALE_CHILD": "1",
                "JOBMON_HOME": home,
                "JOBMON_EXECUTORS": "dummy",
                "JOBMON_LOG_LEVEL": "ERROR",
            }
            environment = {
                **os.environ,
                **variables,
                "DJANGO_SETTINGS_MODULE": "jobmon_site.settings",
                "PYTHONPATH": str(ROOT),
            }
            subprocess.run([sys.executable, __file__, str(size)], env=environment, check=True)


if __name__ == "__main__":
    main()
