"""The example pipeline, from the client's description to its end on the dummy executor."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from jobmon.workflow.submission import iterate_jobs
from tests.db.engine import drive, make_actor, start
from workflows import binding
from workflows.graph import Header, build_graph
from workflows.graph_text import parse_jobs
from workflows.invariants import check_all
from workflows.models import Job, JobGroup, JobInstance

pytestmark = pytest.mark.django_db
PIPELINE = Path(__file__).resolve().parent.parent.parent / "examples" / "pipeline.py"


def load_pipeline() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pipeline", PIPELINE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_three_thousand_jobs_in_five_phases_run_to_done() -> None:
    described = load_pipeline().build_workflow(workflow_args="pipeline", executor="dummy")
    jobs = parse_jobs(json.dumps(list(iterate_jobs(described.task_dag))).encode())
    assert len(jobs) == 2991
    graph = build_graph(Header(workflow_args="pipeline", executor="dummy"), jobs)
    workflow = binding.bind(graph, make_actor()).workflow
    assert drive(start(workflow)) == "D"
    assert set(Job.objects.values_list("status", flat=True)) == {"D"}
    assert JobInstance.objects.count() == 2991
    tags = JobGroup.objects.filter(dag_id=workflow.dag_id).order_by("rank").values_list("name", "count_d")
    assert [name for name, _ in tags][:2] == ["prepare", "fit"] and len(tags) == 5
    assert sum(done for _, done in tags) == 2991
    assert [finding.invariant.name for finding in check_all() if finding.count] == []
