"""What whole workflows on a real server come to, as lines of a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bare_processes import measure_bare
from processes import memory_rows
from server_scale import Outcome, measure
from services import Result

INSERTS = "executemany of the same rows"


def measure_server(sizes: Sequence[int], database: str, visitors: int = 3) -> list[Result]:
    """A server for each size."""
    outcomes = [measure(jobs, database, visitors) for jobs in sizes]
    for one in outcomes:
        if one.broken:
            raise SystemExit(f"bench: {one.jobs:,} jobs: {'; '.join(one.broken)}")
    return [row for one in outcomes for row in describe(one, outcomes[0])]


def describe(one: Outcome, first: Outcome) -> list[Result]:
    what = f"server, {one.database}: {one.jobs:,} jobs"
    return [
        *_describe_costs(what, one, first),
        *_describe_company(what, one),
        *memory_rows(what, one.peaks, measure_bare(one.database)),
    ]


def _describe_costs(what: str, one: Outcome, first: Outcome) -> list[Result]:
    against, each, first_each = f"{first.jobs:,} jobs", 1e6 / one.jobs, 1e6 / first.jobs
    log = f"the log of SQLite at most {one.run.largest_log:.0f} MB" if one.database == "sqlite" else ""
    rate, bare_rate = one.jobs / one.run.seconds, one.jobs / one.rows.run
    run, first_run = each * one.run.seconds, first_each * first.run.seconds
    return [
        Result(f"{what}, {one.edges:,} edges: script to running", one.script.seconds, "s", one.rows.graph, INSERTS),
        Result(f"{what}, script to running", each * one.script.seconds, "us/job",
               first_each * first.script.seconds, against),
        Result(f"{what}, jobs that end", rate, "1/s", bare_rate, f"{INSERTS}, attempts and moves"),
        Result(f"{what}, run to the end", run, "us/job", first_run, against),
        Result(f"{what}, CPU of the run", each * one.cpu, "us/job", first_each * first.cpu, against, _tell(one)),
        Result(f"{what}, CPU of the run beside bare rows", each * one.cpu, "us/job", each * one.rows.run_cpu, INSERTS),
        Result(f"{what}, database", one.bytes / one.jobs, "B/job", one.rows.bytes / one.jobs, INSERTS, log),
    ]  # fmt: skip


def _tell(one: Outcome) -> str:
    dear = sorted(one.run.cpu.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {1e6 * spent / one.jobs:.0f}" for name, spent in dear if 1e6 * spent / one.jobs >= 1)


def _describe_company(what: str, one: Outcome) -> list[Result]:
    """Pages and the neighbour, as far as the run was long enough to meet them."""
    rows = [Result(f"{what}, requests that failed", len(one.failures), "", told="; ".join(one.failures[:3]))]
    if one.pages:
        at_rest = "the same pages when all is done"
        for words, share in (("median", 0.5), ("95 %", 0.95), ("longest", 1.0)):
            ours, rest = percentile(one.pages, share), percentile(one.pages_at_rest, share)
            told = f"of {len(one.pages)}"
            rows.append(Result(f"{what}, pages meanwhile, {words}", 1000 * ours, "ms", 1000 * rest, at_rest, told))
    if one.neighbours:
        told = f"longest {max(one.neighbours):.2f} s of {len(one.neighbours)}"
        name, middle = f"{what}, neighbour's chain of ten, median", statistics.median(one.neighbours)
        rows.append(Result(name, middle, "s", one.neighbour_alone, "the first, alone", told))
    return rows


def percentile(times: Sequence[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
