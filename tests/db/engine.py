"""What the engine's tests share: graphs in a few words, and the engine run to its end in this process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection

from executors.base import ExecutorUnavailable  # noqa: F401
from workflows import binding, lifecycle
from workflows.actor import Actor
from workflows.graph import Header, JobInput, build_graph
from workflows.models import Job, JobInstance, Workflow, WorkflowRun
from workflows.models.lookup import StatusLabel
from workflows.scheduling import back_ends, reconcile, tick


def make_actor(name: str = "alice") -> Actor:
    user, _ = User.objects.get_or_create(username=name)
    return Actor(user, "api")


def job(name: str, *upstreams: str | int, command: str = "", **values: Any) -> JobInput:
    return JobInput(name=name, command=command or f"ok {name}", upstreams=list(upstreams), **values)


def submit(jobs: Iterable[JobInput], actor: Actor | None = None, args: str = "a", **header: Any) -> Workflow:
    graph = build_graph(Header(workflow_args=args, executor=header.pop("executor", "dummy"), **header), list(jobs))
    return binding.bind(graph, actor or make_actor()).workflow


def start(workflow: Workflow, actor: Actor | None = None, **options: Any) -> WorkflowRun:
    return lifecycle.start_run(workflow.pk, actor or make_actor(), lifecycle.RunOptions(**options))


def drive(run: WorkflowRun, passes: int = 200) -> str:
    """Advance and poll until the run is over; its status, or what is left after so many passes."""
    for _ in range(passes):
        tick.advance(run.pk)
        run.refresh_from_db()
        if run.status != "R":
            break
        for name in back_ends.executor_names():
            if name == "dummy":
                reconcile.reconcile(name)
    return run.status


def statuses(workflow: Workflow) -> dict[str, str]:
    return dict(Job.objects.filter(dag_id=workflow.dag_id).values_list("name", "status"))


def attempts(workflow: Workflow, name: str) -> list[tuple[str, str]]:
    rows = JobInstance.objects.filter(job__dag_id=workflow.dag_id, job__name=name).order_by("pk")
    return list(rows.values_list("status", "reason"))


def empty_tables() -> None:
    """As a fresh database, but for who may come in and what the migrations put there."""
    models = [model for model in apps.get_app_config("workflows").get_models() if not issubclass(model, StatusLabel)]
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        for model in models:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")
