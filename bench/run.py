"""Measures the server beside baselines in the same run, since absolute times on shared machines mean little.

    make bench                                        all of it, as one table: less than half an hour on 2 quiet cores
    make bench BENCH="--only script server --database mariadb"
    make bench BENCH="--only server --sizes 10000 100000 500000"
    make bench BENCH="--small"                        all of it with small numbers, to see that it works: some minutes

    throughput   no-op jobs on the local executor beside xargs, on the dummy one beside bare rows; memory of each process
    chain        the delay from one job to the next on either, beside shells and beside bare transactions
    client       describing a graph in a control script, beside bare dictionaries
    script       from a control script to a running workflow, beside executemany of the same rows
    server       whole workflows through a real server with the dashboard open (see server_scale.py)
    shapes       the engine alone: what a job costs in graphs of many sizes and shapes
    pages        every page beside a workflow of 500,000 jobs (see pages.py)
    fairness     how long a busy run waits beside nineteen others
    idle         a server to which nobody comes, beside a bare project

Each measurement has a fresh temporary server (SQLite unless said otherwise). Ratios are what to compare between runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from client import measure_client
from control_script import measure_script
from fairness import measure_fairness
from idle import measure_idle
from local_jobs import measure_chain, measure_throughput
from page_rows import measure_pages
from server_rows import measure_server
from services import DATABASES, SLOTS, Result
from shapes import DEFAULT, measure_shapes
from table import show

# (option, usual, small, what it is): the numbers of the measurements
SIZES: tuple[tuple[str, int, int, str], ...] = (
    ("jobs", 10_000, 500, "of the throughput"),
    ("chain", 200, 20, "its length"),
    ("tasks", 100_000, 5_000, "of the description in a script"),
    ("register", 100_000, 3_000, "jobs of the control script"),
    ("rounds", 3, 1, "of the control script"),
    ("page-jobs", 500_000, 2_000, "of the workflow whose pages are asked for"),
    ("page-rounds", 10, 2, "how often each page is asked for"),
    ("runs", 20, 3, "of the fairness"),
    ("idle", 60, 10, "seconds"),
)
SERVER, SMALL_SERVER = (10_000, 500_000), (1_000, 3_000)
SMALL_SHAPES = ("layers:1000", "layers:3000", "fan-in:1000", "fan-out:1000", "chain:100")


def read_options() -> tuple[argparse.Namespace, list[str]]:
    """The options, and the names of the measurements that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    parser.add_argument("--small", action="store_true", help="other usual numbers: small ones")
    for name, usual, small, words in SIZES:
        parser.add_argument(f"--{name}", type=int, help=f"{words} (usually {usual:,}, --small {small:,})")
    parser.add_argument("--sizes", type=int, nargs="+", help="of the workflows on a server (usually 10000 500000)")
    parser.add_argument("--shapes", nargs="+", help="SHAPE:JOBS")
    parser.add_argument("--database", choices=DATABASES, default="sqlite", help="of script, server and pages")
    parser.add_argument("--only", choices=list(MEASUREMENTS), nargs="+", help="some of the measurements")
    options = parser.parse_args()
    for name, usual, small, _ in SIZES:
        field = name.replace("-", "_")
        if getattr(options, field) is None:
            setattr(options, field, small if options.small else usual)
    options.sizes = options.sizes or (SMALL_SERVER if options.small else SERVER)
    options.shapes = options.shapes or (SMALL_SHAPES if options.small else DEFAULT)
    return options, options.only or list(MEASUREMENTS)


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], list[Result]]] = {
    "throughput": lambda options: measure_throughput(options.jobs),
    "chain": lambda options: measure_chain(options.chain),
    "client": lambda options: measure_client(options.tasks),
    "script": lambda options: measure_script(options.register, options.rounds, options.database),
    "server": lambda options: measure_server(options.sizes, options.database),
    "shapes": lambda options: measure_shapes(options.shapes),
    "pages": lambda options: measure_pages(options.page_jobs, options.page_rounds, options.database),
    "fairness": lambda options: measure_fairness(options.runs),
    "idle": lambda options: measure_idle(options.idle),
}


def main() -> int:
    """Each part is shown when it is there; one that fails is told of, and the others go on."""
    options, chosen = read_options()
    results: list[Result] = []
    broken: list[str] = []
    if not options.json:
        print(f"{SLOTS} cores and slots; ours, baseline, ratio", flush=True)
    for name in chosen:
        begun = time.monotonic()
        print(f"measuring: {name} (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)
        try:
            found = MEASUREMENTS[name](options)
        except (Exception, SystemExit):  # noqa: BLE001 - whatever it is, it is told
            traceback.print_exc()
            broken.append(name)
            continue
        print(f"measured: {name}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        results += found
        if not options.json:
            show(found)
    if options.json:
        print(json.dumps([{**asdict(result), "ratio": result.ratio} for result in results], indent=2))
    if broken:
        print(f"not measured: {', '.join(broken)}; the reason is above", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
