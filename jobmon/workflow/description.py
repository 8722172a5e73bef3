"""Workflows as plain data: what `to_dict` gives and what `from_dict` and `jobmon run` take."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jobmon.exceptions import InvalidGraph
from jobmon.workflow.bash_task import BashTask
from jobmon.workflow.options import WorkflowOptions
from jobmon.workflow.submission import describe_task
from jobmon.workflow.task_dag import TaskDag

if TYPE_CHECKING:
    from jobmon.workflow.executable_task import ExecutableTask

JOB_KEYS = frozenset(
    {
        "name",
        "command",
        "tag",
        "slots",
        "mem_free",
        "max_attempts",
        "max_runtime",
        "env_variables",
        "executor",
        "resource_scale",
        "attributes",
        "upstreams",
    }  # fmt: skip
)
WORKFLOW_KEYS = frozenset({*inspect.signature(WorkflowOptions).parameters, "resume"})


def describe_jobs(dag: TaskDag) -> list[dict[str, Any]]:
    """The jobs, upstreams by name."""
    return [describe_task(task, [upstream.name for upstream in task.upstream_tasks]) for task in dag]


def read_workflow(data: Any) -> tuple[dict[str, Any], TaskDag]:
    """Options and graph. Raises ValueError for what is not understood, InvalidGraph for unknown upstreams."""
    if not isinstance(data, Mapping) or not isinstance(data.get("jobs"), list):
        raise ValueError("a workflow is a mapping with a list of jobs, each with a command (and a name, upstreams, …)")
    options = {key: value for key, value in data.items() if key != "jobs" and value is not None}
    _check_keys("the workflow", options, WORKFLOW_KEYS)
    return options, _read_jobs(data["jobs"])


def _read_jobs(jobs: list[Any]) -> TaskDag:
    tasks = [_read_job(position, job) for position, job in enumerate(jobs)]
    by_name = {task.name: task for task in tasks}
    errors = []
    for task, job in zip(tasks, jobs):
        for reference in job.get("upstreams") or ():
            upstream = _find_upstream(reference, tasks, by_name)
            if upstream is None:
                detail = f"job {task.name!r} waits for {reference!r}, which is no job of this workflow"
                errors.append({"code": "unknown-upstream", "job": task.name, "detail": detail})
            else:
                task.add_upstream(upstream)
    if errors:
        lines = "\n".join(f"  {error['detail']}" for error in errors[:10])
        raise InvalidGraph(f"{len(errors)} upstreams do not exist:\n{lines}", code="invalid-graph", errors=errors)
    dag = TaskDag()
    dag.add_tasks(tasks)
    return dag


def _read_job(position: int, job: Any) -> ExecutableTask:
    if not isinstance(job, Mapping) or "command" not in job:
        raise ValueError(f"jobs[{position}] is {job!r}; it should be a mapping with a command")
    _check_keys(f"jobs[{position}]", job, JOB_KEYS)
    upstreams = job.get("upstreams")
    if upstreams is not None and not isinstance(upstreams, list):
        raise ValueError(f"upstreams of jobs[{position}] is {upstreams!r}; it should be a list of names or positions")
    options = {key: value for key, value in job.items() if key != "upstreams" and value is not None}
    try:
        return BashTask(**options)
    except ValueError as error:
        raise ValueError(f"jobs[{position}]: {error}") from error


def _find_upstream(
    reference: Any, tasks: list[ExecutableTask], by_name: dict[str, ExecutableTask]
) -> ExecutableTask | None:
    if isinstance(reference, int) and not isinstance(reference, bool):
        return tasks[reference] if 0 <= reference < len(tasks) else None
    return by_name.get(reference) if isinstance(reference, str) else None


def _check_keys(where: str, data: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(str(key) for key in data if key not in known)
    if unknown:
        raise ValueError(f"{where} has unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
