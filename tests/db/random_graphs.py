"""Random workflows of scripted jobs, as a graph to submit and as the reference model knows them."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st

from tests.reference import model as reference
from tests.reference.model import Model, Plan
from workflows.graph import Graph, Header, JobInput, build_graph

PLANS = (
    Plan(), Plan(waits=20), Plan(runs=20), Plan(waits=10, runs=30), Plan(runs=500), Plan("lost", until=2),
    Plan("exit", until=2), Plan("exit", until=2, runs=40), Plan("memory", until=2), Plan("signal", until=3, waits=5, runs=10),
    Plan("runtime", until=3), Plan("exit", until=4), Plan("exit"), Plan("signal", runs=10), Plan("refused"),
)  # fmt: skip


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, Model]:
    """Some jobs, each waiting for some of those before it; every command is a script of the dummy executor."""
    assume(draw(st.integers(0, 1000)))  # not the simplest example, with which Hypothesis begins whatever the seed
    jobs, told = [], []
    for position in range(draw(st.integers(1, 12))):
        ups = sorted(draw(st.sets(st.integers(0, position - 1), max_size=3))) if position else []
        plan, attempts = draw(st.sampled_from(PLANS)), draw(st.integers(1, 3))
        name, tag = f"j{position}", draw(st.sampled_from(["", "x", "y"]))
        command = f"{plan.as_command()} said=job{position}"
        jobs.append(JobInput(name, command, tag=tag, max_attempts=attempts, upstreams=list(ups)))
        told.append(reference.Job(name, plan, tuple(f"j{up}" for up in ups), attempts))
    limit, fail_fast = draw(st.sampled_from([None, 1, 2, 5])), draw(st.sampled_from([False, False, True]))
    header = Header(workflow_args="p", executor="dummy", max_concurrently_running=limit, fail_fast=fail_fast)
    return build_graph(header, jobs), Model({job.name: job for job in told}, limit, fail_fast)
