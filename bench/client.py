"""Describing a large graph in the control script: `python bench/client.py [tasks]`. Each task waits for three."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from jobmon import BashTask, Workflow
from jobmon.workflow.submission import iterate_chunks

PIECE = 5_000


def build(count: int) -> Workflow:
    tasks: list[BashTask] = []
    for number in range(count):
        upstreams = tasks[-3:]
        tasks.append(BashTask(f"fit --draw {number}", name=f"fit_{number}", tag="fit", upstream_tasks=upstreams))
    workflow = Workflow(workflow_args="bench")
    workflow.add_tasks(tasks)
    return workflow


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", type=int, nargs="?", default=100_000)
    count = parser.parse_args().tasks
    before, start, cpu = peak_mb(), time.perf_counter(), time.process_time()
    workflow = build(count)
    built, built_cpu, memory = time.perf_counter() - start, time.process_time() - cpu, peak_mb()
    workflow.task_dag.validate()
    checked = time.perf_counter() - start
    size = sum(len(json.dumps({"jobs": chunk})) for chunk in iterate_chunks(workflow.task_dag, PIECE))
    print(
        json.dumps(
            {
                "tasks": count,
                "built_s": round(built, 2),
                "built_cpu_s": round(built_cpu, 2),
                "and_checked_s": round(checked, 2),
                "and_serialised_s": round(time.perf_counter() - start, 2),
                "json_mb": round(size / 1e6, 1),
                "before_mb": round(before),
                "built_mb": round(memory),
                "peak_mb": round(peak_mb()),
            }
        )
    )


if __name__ == "__main__":
    main()
