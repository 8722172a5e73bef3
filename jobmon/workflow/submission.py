"""How a graph reaches the server: in one post, or in pieces when it is large."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from jobmon.api import Client
    from jobmon.workflow.executable_task import ExecutableTask
    from jobmon.workflow.task_dag import TaskDag

CHUNK_JOBS = 10_000
SENDERS = 2


def describe_task(task: ExecutableTask, upstreams: list[Any]) -> dict[str, Any]:
    """A task as the server takes it; `upstreams` are names or positions."""
    return {
        "name": task.name,
        "command": task.command,
        "tag": task.tag,
        "slots": task.slots,
        "mem_free": task.mem_free,
        "max_attempts": task.max_attempts,
        "max_runtime": task.max_runtime,
        **task.extra,
        "upstreams": upstreams,
    }


def iterate_jobs(dag: TaskDag) -> Iterator[dict[str, Any]]:
    """All jobs, upstreams as positions: names would make a large graph several times as large."""
    for task, upstreams in dag.iterate_upstreams():
        yield describe_task(task, upstreams)


def iterate_chunks(dag: TaskDag, size: int = CHUNK_JOBS) -> Iterator[list[dict[str, Any]]]:
    """The jobs in pieces; only one piece is in memory at a time."""
    chunk: list[dict[str, Any]] = []
    for job in iterate_jobs(dag):
        chunk.append(job)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def submit_graph(client: Client, header: dict[str, Any], dag: TaskDag) -> dict[str, Any]:
    """Store the graph; answers the workflow. The same graph again answers the same workflow."""
    if len(dag) <= CHUNK_JOBS:
        return client.submit_workflow(_describe_all(header, dag))
    return client.commit_draft(_make_draft(client, header, dag))


def plan_graph(client: Client, header: dict[str, Any], dag: TaskDag) -> dict[str, Any]:
    """What storing and starting the graph would do. Of a large one a draft stays, which the server removes by itself."""
    if len(dag) <= CHUNK_JOBS:
        return client.plan_workflow(_describe_all(header, dag))
    return client.plan_draft(_make_draft(client, header, dag))


def _describe_all(header: dict[str, Any], dag: TaskDag) -> dict[str, Any]:
    return {**header, "jobs": list(iterate_jobs(dag))}


def _make_draft(client: Client, header: dict[str, Any], dag: TaskDag) -> str:
    draft = client.create_draft({**header, "job_count": len(dag)})
    _put_chunks(client, draft, dag)
    return draft


def _put_chunks(client: Client, draft: str, dag: TaskDag) -> None:
    """The next piece is made while the server takes the last one."""
    with ThreadPoolExecutor(max_workers=SENDERS) as senders:
        under_way: list[Future[None]] = []
        for number, chunk in enumerate(iterate_chunks(dag)):
            if len(under_way) == SENDERS:
                under_way.pop(0).result()
            under_way.append(senders.submit(client.put_chunk, draft, number, chunk))
        for sending in under_way:
            sending.result()
