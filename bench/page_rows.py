"""The times of the pages as lines of a table, those that people open most by name and the slowest of all."""

from __future__ import annotations

import argparse

from pages import MOST_MS, PageCost, run_in_child
from services import Result

NAMED = (
    "workflow-list", "workflow", "workflow-jobs", "workflow-errors", "workflow-graph", "workflow-timeline",
    "workflow-resources", "workflow-run", "job",
)  # fmt: skip
SMALL = "the same with 1,000 jobs"


def measure_pages(jobs: int, rounds: int, database: str) -> list[Result]:
    """Server time at the 95th percentile beside a workflow of so many jobs."""
    costs = run_in_child(database, argparse.Namespace(jobs=jobs, rounds=rounds, home=None))
    by_name = {cost.name: cost for cost in costs}
    slowest, least_flat = max(costs, key=lambda cost: cost.large_ms), max(costs, key=lambda cost: cost.ratio)
    broken = [cost.name for cost in costs if cost.overruns]
    what = f"pages, {database}, {jobs:,} jobs"
    told = f"over a budget: {', '.join(broken)}" if broken else f"none of {len(costs)} over a budget"
    return [
        *(_describe(f"{what}: {name}", by_name[name]) for name in NAMED),
        _describe(f"{what}: the slowest, {slowest.name}", slowest, f"at most {MOST_MS:.0f} ms; {told}"),
        _describe(f"{what}: grows most, {least_flat.name}", least_flat, f"ratio of the medians {least_flat.ratio:.2f}"),
        Result(f"{what}: polls, the slowest", max(cost.poll_ms or 0.0 for cost in costs), "ms"),
    ]


def _describe(name: str, cost: PageCost, told: str = "") -> Result:
    poll = "" if cost.poll_ms is None else f"poll {cost.poll_ms:.0f} ms, "
    words = f"{poll}{cost.queries} queries, {cost.kilobytes:.0f} KB"
    return Result(name, cost.large_ms, "ms", cost.small_ms, SMALL, f"{words}; {told}" if told else words)
