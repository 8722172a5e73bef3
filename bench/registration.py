"""Memory and time of registering N jobs with 3 N edges that arrive in pieces, as the web process does it.

    python bench/registration.py [JOBS ...]        default: 100000 500000

Prints, for each size in a process of its own: seconds and peak memory after the pieces are stored, after the graph is
assembled and checked, and after it is bound to rows.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from large_script import read_own_peak

ROOT = Path(__file__).resolve().parent.parent
PIECE = 5000
VARIABLES = {
    "JOBMON_SCALE_CHILD": "1",
    "JOBMON_EXECUTORS": "dummy",
    "JOBMON_LOG_LEVEL": "ERROR",
    "DJANGO_SETTINGS_MODULE": "jobmon_site.settings",
    "PYTHONPATH": str(ROOT),
}


def make_pieces(jobs: int) -> Iterator[tuple[bytes, int]]:
    """Each the JSON list of jobs that a client sends, and how many they are; upstreams are positions, three for nearly
    all."""
    import msgspec

    rng = random.Random(1)
    for first in range(0, jobs, PIECE):
        piece = [
            {
                "name": f"fit_location_{number}",
                "command": f"python /srv/model/fit.py --location {number} --year 2019 --draws 1000",
                "tag": f"stage_{number * 10 // jobs}",
                "upstreams": sorted(rng.sample(range(max(0, number - 1000), number), min(number, 3))),
            }
            for number in range(first, min(first + PIECE, jobs))
        ]
        yield msgspec.json.encode(piece), len(piece)


def measure(jobs: int) -> None:
    """One size, in this process."""
    import django

    django.setup()
    from django.core.management import call_command

    from workflows import binding, drafts
    from workflows.access import ensure_local_user
    from workflows.actor import Actor

    call_command("migrate", verbosity=0)
    user = ensure_local_user()
    draft = drafts.create_draft(user, {"workflow_args": "registration", "executor": "dummy", "job_count": jobs})
    began = time.perf_counter()
    marks = [("start", 0.0, read_own_peak())]
    for number, (piece, count) in enumerate(make_pieces(jobs)):
        drafts.store_chunk(draft, number, piece, count)
    marks.append(("stored", time.perf_counter() - began, read_own_peak()))
    graph = drafts.assemble(draft)
    marks.append(("assembled", time.perf_counter() - began, read_own_peak()))
    workflow = binding.bind(graph, Actor(user, "api")).workflow
    marks.append(("bound", time.perf_counter() - began, read_own_peak()))
    told = "  ".join(f"{name} {seconds:6.1f} s {memory:5.0f} MB" for name, seconds, memory in marks)
    print(f"{workflow.dag.job_count:>8} jobs {workflow.dag.edge_count:>9} edges  {told}", flush=True)


def main() -> None:
    sizes = [int(text) for text in sys.argv[1:]] or [100_000, 500_000]
    if len(sizes) == 1 and os.environ.get("JOBMON_SCALE_CHILD"):
        measure(sizes[0])
        return
    for size in sizes:
        with tempfile.TemporaryDirectory() as home:
            child = [sys.executable, __file__, str(size)]
            subprocess.run(child, env={**os.environ, **VARIABLES, "JOBMON_HOME": home}, check=True)


if __name__ == "__main__":
    main()
