"""Measures the server beside baselines in the same run, since absolute times on shared machines mean little.

    make bench                                        all of it, as one table: about ten minutes
    make bench BENCH="--only script --database mariadb"
    make bench BENCH="--only server --sizes 10000 100000 500000"

    throughput   no-op jobs on the local executor, against xargs          chain    the delay from one job to the next
    script       from a control script to a running workflow, against executemany of the same rows
    server       whole workflows through a real server with the dashboard open (see server_scale.py)
    shapes       the engine alone: what a job costs in graphs of many sizes and shapes
    fairness     how long a busy run waits beside nineteen others
    idle         a server to which nobody comes

Each measurement has a fresh temporary server (SQLite unless said otherwise). Ratios are what to compare between runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from control_script import measure_script
from fairness import measure_fairness
from local_jobs import measure_chain, measure_idle, measure_throughput
from server_scale import measure_server
from services import DATABASES, SLOTS, Result
from shapes import DEFAULT, measure_shapes
from table import show


def read_options() -> tuple[argparse.Namespace, dict[str, Callable[[], list[Result]]]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    parser.add_argument("--jobs", type=int, default=10_000, help="of the throughput")
    parser.add_argument("--chain", type=int, default=200, help="its length")
    parser.add_argument("--register", type=int, default=100_000, help="jobs of the control script")
    parser.add_argument("--rounds", type=int, default=3, help="of the control script")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000], help="of the workflows on a server")
    parser.add_argument("--shapes", nargs="+", default=list(DEFAULT), help="SHAPE:JOBS")
    parser.add_argument("--runs", type=int, default=20, help="of the fairness")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds")
    parser.add_argument("--database", choices=DATABASES, default="sqlite", help="of script and server")
    measurements: dict[str, Callable[[], list[Result]]] = {
        "throughput": lambda: measure_throughput(options.jobs),
        "chain": lambda: measure_chain(options.chain),
        "script": lambda: measure_script(options.register, options.rounds, options.database),
        "server": lambda: measure_server(options.sizes, options.database),
        "shapes": lambda: measure_shapes(options.shapes),
        "fairness": lambda: measure_fairness(options.runs),
        "idle": lambda: measure_idle(options.idle),
    }
    parser.add_argument("--only", choices=list(measurements), nargs="+", help="some of the measurements")
    options = parser.parse_args()
    return options, {name: measurements[name] for name in options.only or measurements}


def main() -> None:
    options, chosen = read_options()
    results: list[Result] = []
    for name, measure in chosen.items():
        print(f"measuring: {name} (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)
        results += measure()
    if options.json:
        print(json.dumps([{**asdict(result), "ratio": result.ratio} for result in results], indent=2))
    else:
        print(f"{SLOTS} cores and slots, load {os.getloadavg()[0]:.1f}; ours, baseline, ratio")
        show(results)


if __name__ == "__main__":
    main()
