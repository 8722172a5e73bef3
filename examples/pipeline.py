#!/usr/bin/env python3
"""A pipeline of five phases, about 3,000 jobs by default; the commands only print a line.

    python examples/pipeline.py [--locations 212] [--executor dummy] [--workflow-args pipeline]

Of `locations` L: prepare L jobs, fit 10 L (two sexes, five age groups), combine 2 L, check L, and one report per ten
locations with a last one for all: 14 L + ⌈L/10⌉ + 1 jobs.
"""

from __future__ import annotations

import argparse
import sys

from jobmon import BashTask, Workflow

SEXES = ("female", "male")
AGES = (0, 15, 30, 45, 60)
LOCATIONS_PER_REGION = 10


def make_prepare(locations: int) -> list[BashTask]:
    """One job per location: nothing to wait for."""
    return [
        BashTask(f"echo prepare --location {n}", name=f"prepare_{n}", tag="prepare", mem_free=1)
        for n in range(locations)
    ]


def make_fit(prepare: list[BashTask]) -> dict[tuple[int, str], list[BashTask]]:
    """Per location and sex, one job for each age group; they wait for their location's data."""
    return {
        (n, sex): [
            BashTask(
                f"echo fit --location {n} --sex {sex} --age {age}",
                name=f"fit_{n}_{sex}_{age}",
                tag="fit",
                slots=2,
                mem_free=4,
                max_runtime=3600,
                upstream_tasks=[prepared],
            )
            for age in AGES
        ]
        for n, prepared in enumerate(prepare)
        for sex in SEXES
    }


def make_combine(fit: dict[tuple[int, str], list[BashTask]]) -> dict[tuple[int, str], BashTask]:
    """Per location and sex, one job that waits for all age groups."""
    return {
        (n, sex): BashTask(
            f"echo combine --location {n} --sex {sex}", name=f"combine_{n}_{sex}", tag="combine", upstream_tasks=fits
        )
        for (n, sex), fits in fit.items()
    }


def make_check(prepare: list[BashTask], combine: dict[tuple[int, str], BashTask]) -> list[BashTask]:
    """Per location, compare both sexes with the data: waits across two phases."""
    return [
        BashTask(
            f"echo check --location {n}",
            name=f"check_{n}",
            tag="check",
            max_attempts=1,
            upstream_tasks=[prepared, *(combine[n, sex] for sex in SEXES)],
        )
        for n, prepared in enumerate(prepare)
    ]


def make_report(check: list[BashTask]) -> list[BashTask]:
    """One job per region of ten locations, and one that gathers the regions."""
    regions = [
        BashTask(
            f"echo report --region {start // LOCATIONS_PER_REGION}",
            name=f"report_{start // LOCATIONS_PER_REGION}",
            tag="report",
            upstream_tasks=check[start : start + LOCATIONS_PER_REGION],
        )
        for start in range(0, len(check), LOCATIONS_PER_REGION)
    ]
    return [
        *regions,
        BashTask("echo report --all", name="report_all", tag="report", mem_free=8, upstream_tasks=regions),
    ]


def build_workflow(locations: int = 212, workflow_args: str = "pipeline", executor: str | None = None) -> Workflow:
    """The workflow, not yet on any server."""
    prepare = make_prepare(locations)
    fit = make_fit(prepare)
    combine = make_combine(fit)
    check = make_check(prepare, combine)
    workflow = Workflow(workflow_args=f"{workflow_args}-{locations}", name="pipeline", executor=executor)
    workflow.add_tasks(prepare)
    for fits in fit.values():
        workflow.add_tasks(fits)
    workflow.add_tasks(combine.values())
    workflow.add_tasks(check)
    workflow.add_tasks(make_report(check))
    return workflow


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locations", type=int, default=212)
    parser.add_argument("--executor")
    parser.add_argument("--workflow-args", default="pipeline")
    options = parser.parse_args()
    return 0 if build_workflow(options.locations, options.workflow_args, options.executor).run() else 1


if __name__ == "__main__":
    sys.exit(main())
