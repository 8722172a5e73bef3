"""A graph is the same rows however it arrives: cut anywhere, the pieces in any order, any of them again."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.db.engine import make_actor
from workflows import binding, drafts, invariants
from workflows.graph import build_graph
from workflows.graph_text import parse_header, parse_jobs
from workflows.models import DraftChunk, Job, JobEdge, JobGroup, Workflow

pytestmark = pytest.mark.django_db

NAMES = st.text("abAB_ .\u00e9\u0301\u4e2d\U0001f600", max_size=6)
_runs = itertools.count()


@dataclass(frozen=True)
class Delivery:
    """`jobs` as they are posted; `chunks`: how they are cut; `arrivals`: numbers of chunks, each at least once."""

    jobs: list[dict[str, Any]]
    chunks: list[list[dict[str, Any]]]
    arrivals: list[int]


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    """Upstreams are names or positions, and may lie in a later piece."""
    count = draw(st.integers(1, 12))
    order = draw(st.permutations(range(count)))  # of the graph; the posted order is another one
    names = [f"j{draw(NAMES)}{position}" for position in range(count)]
    jobs: list[dict[str, Any]] = []
    for position in range(count):
        earlier = [other for other in range(count) if order[other] < order[position]]
        ups = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
        named = [names[up] if draw(st.booleans()) else up for up in ups]
        jobs.append({"name": names[position], "command": f"ok {position}", "upstreams": named,
                     "tag": draw(st.sampled_from(["", "x", "X"]))})  # fmt: skip
    cuts = sorted(draw(st.lists(st.integers(0, count), max_size=4)))
    chunks = [jobs[first:end] for first, end in itertools.pairwise([0, *cuts, count])]
    numbers = list(range(len(chunks)))
    again = draw(st.lists(st.sampled_from(numbers), max_size=4))
    return Delivery(jobs, chunks, draw(st.permutations(numbers + again)))


def post_whole(delivery: Delivery, args: str) -> Workflow:
    header = parse_header(json.dumps({"workflow_args": args}).encode())
    jobs = parse_jobs(json.dumps(delivery.jobs).encode())
    return binding.bind(build_graph(header, jobs), make_actor()).workflow


def post_in_chunks(delivery: Delivery, args: str) -> Workflow:
    actor = make_actor()
    draft = drafts.create_draft(actor.user, {"workflow_args": args, "job_count": len(delivery.jobs)})
    for number in delivery.arrivals:
        chunk = delivery.chunks[number]
        drafts.store_chunk(draft, number, json.dumps(chunk).encode(), len(chunk))
    bound = binding.bind(drafts.assemble(draft), actor)
    drafts.finish(draft, bound.workflow)
    return bound.workflow


def describe(workflow: Workflow) -> list[object]:
    """All that is stored of the graph, without its ids."""
    jobs = Job.objects.filter(dag_id=workflow.dag_id).order_by("position")
    groups = JobGroup.objects.filter(dag_id=workflow.dag_id).order_by("name")
    edges = JobEdge.objects.filter(upstream__dag_id=workflow.dag_id)
    return [
        workflow.dag.dag_hash,
        list(jobs.values_list("name", "tag", "command", "job_hash", "upstreams_left", "position", "status")),
        sorted(edges.values_list("upstream__position", "downstream__position")),
        list(groups.values_list("name", "jobs", "count_g")),
        sorted(workflow.dag.group_edges.values_list("edges", flat=True)),
    ]


@settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(delivery=deliveries())
def test_a_graph_in_any_chunks_is_the_graph_at_once(delivery: Delivery) -> None:
    number = next(_runs)
    whole, chunked = post_whole(delivery, f"whole {number}"), post_in_chunks(delivery, f"chunked {number}")
    assert describe(chunked) == describe(whole)
    assert len(describe(whole)[1]) == len(delivery.jobs)  # type: ignore[arg-type]
    assert post_in_chunks(delivery, f"whole {number}") == whole, "the same arguments, so the same workflow"
    assert not DraftChunk.objects.exists()
    assert invariants.check_all(["readiness"]) == []
