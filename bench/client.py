"""Describing a large graph in the control script, beside the same as bare dictionaries: each task waits for three.

python bench/client.py [TASKS]        default: 100000

Either is a process of its own; told are the times of the processor, and the peak of memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from large_script import read_own_peak

from jobmon import BashTask, Workflow
from jobmon.workflow.submission import iterate_chunks

if TYPE_CHECKING:
    from services import Result

PIECE = 5_000


@dataclass
class Cost:
    """CPU seconds so far, bytes of JSON, and MB before there was a graph and at most."""

    built: float
    checked: float
    written: float
    json_bytes: int
    before_mb: float
    peak_mb: float


def build(count: int) -> Workflow:
    tasks: list[BashTask] = []
    for number in range(count):
        upstreams = tasks[-3:]
        tasks.append(BashTask(f"fit --draw {number}", name=f"fit_{number}", tag="fit", upstream_tasks=upstreams))
    workflow = Workflow(workflow_args="bench")
    workflow.add_tasks(tasks)
    return workflow


def build_bare(count: int) -> list[dict[str, Any]]:
    """What the server is sent, written down by hand: positions instead of objects."""
    return [
        {"name": f"fit_{number}", "command": f"fit --draw {number}", "tag": "fit",
         "upstreams": list(range(max(0, number - 3), number))}
        for number in range(count)
    ]  # fmt: skip


def measure_here(kind: str, count: int) -> Cost:
    before, begun = read_own_peak(), time.process_time()
    check: Callable[[], object] = lambda: None  # noqa: E731 - of bare ones nothing is checked
    pieces: Iterable[Iterable[Any]]
    if kind == "ours":
        workflow = build(count)
        check, pieces = workflow.task_dag.validate, iterate_chunks(workflow.task_dag, PIECE)
    else:
        jobs = build_bare(count)
        pieces = (jobs[first : first + PIECE] for first in range(0, count, PIECE))
    built = time.process_time() - begun
    check()
    checked = time.process_time() - begun
    size = sum(len(json.dumps({"jobs": piece})) for piece in pieces)
    return Cost(built, checked, time.process_time() - begun, size, before, read_own_peak())


def measure_apart(kind: str, count: int) -> Cost:
    """In a process of its own."""
    child = [sys.executable, __file__, str(count), "--child", kind]
    return Cost(**json.loads(subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True).stdout))


def measure_client(count: int) -> list[Result]:
    from services import Result  # not at the top: the process that is measured is a control script and nothing more

    ours, bare = measure_apart("ours", count), measure_apart("bare", count)
    what, against = f"script: describing {count:,} tasks", "bare dictionaries"
    each = 1e6 / count
    return [
        Result(f"{what}, CPU to make and add them", each * ours.built, "us/job", each * bare.built, against),
        Result(f"{what}, and to check the graph", each * ours.checked, "us/job", each * bare.checked, against),
        Result(f"{what}, and to write it as JSON", each * ours.written, "us/job", each * bare.written, against,
               f"{ours.json_bytes / 1e6:.0f} MB"),
        Result(f"{what}, peak RSS", ours.peak_mb, "MB", bare.peak_mb, against, f"before {ours.before_mb:.0f} MB"),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", type=int, nargs="?", default=100_000)
    parser.add_argument("--child", choices=("ours", "bare"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(asdict(measure_here(options.child, options.tasks))))
    else:
        from table import show

        show(measure_client(options.tasks))


if __name__ == "__main__":
    main()
