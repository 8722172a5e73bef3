"""The graph of tasks, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobmon.exceptions import InvalidGraph
from jobmon.workflow.executable_task import ExecutableTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ERRORS_SHOWN = 10


class TaskDag:
    """Tasks and what they wait for. The order in which they are added does not matter."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._tasks: dict[str, ExecutableTask] = {}

    def add_task(self, task: ExecutableTask) -> ExecutableTask:
        """Add one task and return it. Raises ValueError if a task with the same command is in already."""
        if not isinstance(task, ExecutableTask):
            raise ValueError(f"{task!r} is no task; make it a BashTask, PythonTask, …")
        known = self._tasks.get(task.command)
        if known is not None:
            raise ValueError(
                f"two tasks have the same command {task.command!r} ({known.name!r} and {task.name!r}); "
                "give each its own, with an argument that tells them apart"
            )
        self._tasks[task.command] = task
        return task

    def add_tasks(self, tasks: Iterable[ExecutableTask]) -> None:
        """Add many, in any order."""
        for task in tasks:
            self.add_task(task)

    @property
    def tasks(self) -> list[ExecutableTask]:
        """All tasks, in the order in which they were added."""
        return list(self._tasks.values())

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[ExecutableTask]:
        return iter(self._tasks.values())

    def __contains__(self, task: object) -> bool:
        return isinstance(task, ExecutableTask) and task.command in self._tasks

    def index_tasks(self) -> dict[ExecutableTask, int]:
        """The position of each task."""
        return {task: position for position, task in enumerate(self._tasks.values())}

    def iterate_upstreams(self) -> Iterator[tuple[ExecutableTask, list[int]]]:
        """Each task with the positions of what it waits for, ascending; -1 for what is not in."""
        by_identity = {id(task): position for position, task in enumerate(self._tasks.values())}
        by_command: dict[str, int] = {}
        for task in self._tasks.values():
            positions = [by_identity.get(id(upstream), -1) for upstream in task._upstreams or ()]
            if -1 in positions:  # another object with the same command is the same task
                by_command = by_command or {command: place for place, command in enumerate(self._tasks)}
                positions = [by_command.get(upstream.command, -1) for upstream in task._upstreams or ()]
            positions.sort()
            yield task, positions

    def validate(self) -> None:
        """Raises InvalidGraph with all that is wrong: no tasks, names used twice, upstreams that are not in, cycles."""
        errors = self._find_empty() or self._find_double_names()
        if not self._is_in_order():
            errors = [*errors, *self._find_strangers()]
            errors = errors or self._find_cycle()
        if errors:
            lines = "\n".join(f"  {error['detail']}" for error in errors[:ERRORS_SHOWN])
            more = f"\n  … and {len(errors) - ERRORS_SHOWN} more" if len(errors) > ERRORS_SHOWN else ""
            raise InvalidGraph(
                f"These tasks make no graph that can run; nothing was sent to the server.\n{lines}{more}",
                code="invalid-graph",
                errors=errors,
            )

    def _find_empty(self) -> list[dict[str, Any]]:
        if self._tasks:
            return []
        return [{"code": "no-jobs", "detail": "there are no tasks; add some with add_task or add_tasks"}]

    def _is_in_order(self) -> bool:
        """Every task was added after all that it waits for: then nothing is missing and nothing goes in a circle."""
        tasks = enumerate(self.iterate_upstreams())
        return all(not ups or (ups[0] >= 0 and ups[-1] < position) for position, (_, ups) in tasks)

    def _find_double_names(self) -> list[dict[str, Any]]:
        if len({task.name for task in self}) == len(self):
            return []
        seen: dict[str, ExecutableTask] = {}
        errors = []
        for task in self:
            other = seen.setdefault(task.name, task)
            if other is not task:
                detail = f"two tasks have the name {task.name!r} ({other.command!r} and {task.command!r}); rename one"
                errors.append({"code": "duplicate-name", "job": task.name, "detail": detail})
        return errors

    def _find_strangers(self) -> list[dict[str, Any]]:
        """Upstreams that nobody added: the task would wait for them for ever."""
        errors = []
        for task in self:
            for upstream in task._upstreams or ():
                if upstream.command not in self._tasks:
                    detail = f"task {task.name!r} waits for {upstream.name!r}, which is not in the workflow; add it too"
                    errors.append({"code": "unknown-upstream", "job": task.name, "detail": detail})
        return errors

    def _find_cycle(self) -> list[dict[str, Any]]:
        waiting = self._find_unrunnable()
        if not waiting:
            return []
        names = " → ".join(task.name for task in _walk_cycle(waiting))
        detail = f"tasks wait for one another in a circle, so none can start: {names}; remove one of these upstreams"
        return [{"code": "cycle", "detail": detail}]

    def _find_unrunnable(self) -> dict[ExecutableTask, int]:
        """The tasks that would never become ready, with the number of upstreams that they still wait for."""
        waiting = {task: len(task._upstreams or ()) for task in self}
        downstreams: dict[ExecutableTask, list[ExecutableTask]] = {}
        for task in self:
            for upstream in task._upstreams or ():
                downstreams.setdefault(upstream, []).append(task)
        ready = [task for task, count in waiting.items() if count == 0]
        while ready:
            task = ready.pop()
            del waiting[task]
            for downstream in downstreams.get(task, ()):
                waiting[downstream] -= 1
                if waiting[downstream] == 0:
                    ready.append(downstream)
        return waiting


def _walk_cycle(waiting: dict[ExecutableTask, int]) -> list[ExecutableTask]:
    """One circle among tasks that never become ready, in the order in which they would run."""
    path: dict[ExecutableTask, None] = {}
    task = next(iter(waiting))
    while task not in path:
        path[task] = None
        task = next(upstream for upstream in task._upstreams or () if upstream in waiting)
    seen = list(path)
    circle = seen[seen.index(task) :]
    return [task, *reversed(circle)]
