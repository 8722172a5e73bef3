"""The base of all tasks: a command, what it asks for, and what it waits for."""

from __future__ import annotations

import hashlib
import math
import numbers
from typing import TYPE_CHECKING, Any

from jobmon.workflow.command import check_variables, format_assignments
from jobmon.workflow.secret_file import add_references, split_head

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jobmon.workflow.secret_file import SecretFile

NAME_DIGITS = 16
MAX_NAME = 255


class ExecutableTask:
    """A shell command that is run once all its upstream tasks are done. Two tasks with the same command are equal.

    slots: CPU slots. mem_free: memory in GB. max_attempts: how often it is tried. max_runtime: seconds, None for no
    limit. env_variables: set for the command, and part of it; a SecretFile is read where the job runs. tag: what summaries
    and pictures group by. executor: another one than the workflow's. resource_scale: how much more memory or run time the
    next attempt asks for after one that ended for it (0.5 is half as much again, the server's default). attributes: kept
    with the job.
    name: made from the command if not given. Raises ValueError for values that no task can have.
    """

    __slots__ = (
        "__weakref__",
        "_command",
        "_downstreams",
        "_extra",
        "_name",
        "_upstreams",
        "max_attempts",
        "max_runtime",
        "mem_free",
        "slots",
        "tag",
    )

    name_prefix = "task"

    def __init__(
        self,
        command: str,
        *,
        env_variables: Mapping[str, object] | None = None,
        name: str | None = None,
        slots: int = 1,
        mem_free: float = 2,
        max_attempts: int = 3,
        max_runtime: int | None = None,
        tag: str | None = None,
        executor: str | None = None,
        resource_scale: float | None = None,
        attributes: Mapping[str, object] | None = None,
        upstream_tasks: Iterable[ExecutableTask] = (),
    ) -> None:
        plain, files = check_variables(env_variables, name or command) if env_variables else ({}, {})
        self._command = self._add_variables(plain, files, _check_command(command))
        self._name = _check_name(name) if name else None
        self.slots = _check_whole("slots", slots, command)
        self.mem_free = _check_memory(mem_free, command)
        self.max_attempts = _check_whole("max_attempts", max_attempts, command)
        self.max_runtime = None if max_runtime is None else _check_whole("max_runtime", max_runtime, command)
        self.tag = _check_tag(tag) if tag else ""
        self._extra = _describe_extra(executor, resource_scale, attributes, command)
        # Most tasks of a large workflow have few neighbours: dictionaries are made when needed.
        self._upstreams: dict[ExecutableTask, None] | None = None
        self._downstreams: dict[ExecutableTask, None] | None = None
        if upstream_tasks:
            self._add_upstreams(upstream_tasks)

    def _add_variables(self, plain: dict[str, object], files: dict[str, SecretFile], command: str) -> str:
        if not plain:
            return add_references(files, command) if files else command
        head, rest = split_head(command)
        return add_references(files, "".join(head) + self._prepend(format_assignments(plain), rest))

    @staticmethod
    def _prepend(assignments: str, command: str) -> str:
        """A shell command may be several (`a; b | c`): exported, the variables are set for all of them."""
        return f"export {assignments}; {command}"

    @property
    def command(self) -> str:
        """The whole command, environment assignments included."""
        return self._command

    @property
    def hash(self) -> str:
        """SHA-256 of the command in hex: what makes this task the same one in the next run of the script."""
        return hashlib.sha256(self._command.encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def name(self) -> str:
        """The given name, or one made from the command, the same in every run."""
        return self._name or f"{self.name_prefix}_{self.hash[:NAME_DIGITS]}"

    @property
    def extra(self) -> dict[str, Any]:
        """What was chosen beyond the usual: executor, resource_scale, attributes."""
        return self._extra or {}

    @property
    def upstream_tasks(self) -> list[ExecutableTask]:
        """The tasks that this one waits for."""
        return list(self._upstreams or ())

    @property
    def downstream_tasks(self) -> list[ExecutableTask]:
        """The tasks that wait for this one."""
        return list(self._downstreams or ())

    def add_upstream(self, task: ExecutableTask) -> None:
        """Let this task wait for another one. Adding it again changes nothing."""
        if not isinstance(task, ExecutableTask):
            raise ValueError(f"upstream of {self.name!r}: {task!r} is no task")
        if task is self or task == self:
            raise ValueError(f"task {self.name!r} cannot wait for itself")
        if self._upstreams is None:
            self._upstreams = {}
        if task._downstreams is None:
            task._downstreams = {}
        self._upstreams[task] = None
        task._downstreams[self] = None

    def add_downstream(self, task: ExecutableTask) -> None:
        """Let another task wait for this one."""
        if not isinstance(task, ExecutableTask):
            raise ValueError(f"downstream of {self.name!r}: {task!r} is no task")
        task.add_upstream(self)

    def _add_upstreams(self, tasks: Iterable[ExecutableTask]) -> None:
        if isinstance(tasks, (ExecutableTask, str)):
            raise ValueError(f"upstream_tasks of {self.name!r} is {tasks!r}; it should be a list of tasks")
        for task in tasks:
            self.add_upstream(task)

    def __eq__(self, other: object) -> bool:
        return self._command == other._command if isinstance(other, ExecutableTask) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._command)

    def __repr__(self) -> str:
        shown = self._command if len(self._command) <= 60 else self._command[:59] + "…"
        return f"{type(self).__name__}({shown!r}, name={self.name!r})"


def _describe_extra(
    executor: str | None, resource_scale: float | None, attributes: Mapping[str, object] | None, command: str
) -> dict[str, Any] | None:
    """Only what was chosen; None for most tasks, which saves memory."""
    extra: dict[str, Any] = {}
    if executor:
        extra["executor"] = executor
    if resource_scale is not None:
        if (
            isinstance(resource_scale, bool)
            or not isinstance(resource_scale, numbers.Real)
            or not 0 <= resource_scale <= 10
        ):
            raise ValueError(f"resource_scale of {command!r} is {resource_scale!r}; it should be a number from 0 to 10")
        extra["resource_scale"] = float(resource_scale)
    if attributes:
        extra["attributes"] = {str(key): str(value) for key, value in attributes.items()}
    return extra or None


def _check_command(command: Any) -> str:
    if not isinstance(command, str) or not command.strip():
        raise ValueError(f"the command of a task is {command!r}; it should be a line for the shell")
    if "\0" in command:
        raise ValueError(f"the command {command!r} holds a NUL character, which no shell takes; remove it")
    return command


def _check_name(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"task name {name!r} is not text")
    if name[0].isdigit() or name[0] == "-":
        raise ValueError(f"task name {name!r} begins with {name[0]}; batch systems refuse that. Put a letter first.")
    for character in "/'\"\\":
        if character in name:
            raise ValueError(f"task name {name!r} holds {character}, which may not be in a name; leave it out")
    if not name.isprintable() or name != name.strip() or len(name) > MAX_NAME:
        raise ValueError(f"task name {name!r} has control characters, outer blanks or more than {MAX_NAME} characters")
    return name


def _check_tag(tag: Any) -> str:
    if not isinstance(tag, str) or not tag.isprintable() or tag != tag.strip() or len(tag) > MAX_NAME:
        raise ValueError(f"tag {tag!r} has control characters, outer blanks or more than {MAX_NAME} characters")
    return tag


def _check_whole(what: str, value: Any, command: str) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{what} of {_shorten(command)} is {value!r}; it should be a whole number of at least 1")
    return int(value)


def _check_memory(value: Any, command: str) -> float:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:
        raise ValueError(f"mem_free of {_shorten(command)} is {value!r}; it should be a positive number of GB, like 2")
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _shorten(command: str) -> str:
    return repr(command if len(command) <= 60 else command[:59] + "…")
