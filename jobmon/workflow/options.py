"""What may be said about a workflow as a whole, checked once."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Any

RESUME_MODES = ("cold", "hot")


@dataclass
class WorkflowOptions:
    """Options of a workflow and of its runs; directories are absolute, None or "" means the server's default."""

    workflow_args: str
    name: str = ""
    description: str = ""
    project: str = ""
    stdout: str = ""
    stderr: str = ""
    working_dir: str | None = None
    executor: str | None = None
    max_concurrently_running: int | None = None
    fail_fast: bool = False
    seconds_until_timeout: int | None = None
    tag_limits: dict[str, int] | None = None
    attributes: dict[str, str] | None = None
    tag_executors: dict[str, str] | None = None
    group: str = ""
    group_may_operate: bool = False

    def __post_init__(self) -> None:
        for field in ("workflow_args", "name", "description", "project", "stdout", "stderr", "group"):
            _check_text(field, getattr(self, field))
        for field in ("max_concurrently_running", "seconds_until_timeout"):
            _check_count(field, getattr(self, field))
        for tag, limit in (self.tag_limits or {}).items():
            _check_count(f"the limit of tag {tag!r}", limit)
        for tag, executor in (self.tag_executors or {}).items():
            _check_text(f"the executor of tag {tag!r}", executor)
        if self.group_may_operate and not self.group:
            raise ValueError("group_may_operate is set without a group; name the group that may operate the workflow")
        self.stdout = _make_absolute(self.stdout)
        self.stderr = _make_absolute(self.stderr)
        self.working_dir = _make_absolute(self.working_dir or os.getcwd())

    def describe(self) -> dict[str, Any]:
        """The body of a submission, without its jobs."""
        return {
            "workflow_args": self.workflow_args,
            "name": self.name,
            "description": self.description,
            **self._describe_environment(),
            **({"tag_limits": dict(self.tag_limits)} if self.tag_limits else {}),
            **({"tag_executors": dict(self.tag_executors)} if self.tag_executors else {}),
            **({"group": self.group, "group_may_operate": self.group_may_operate} if self.group else {}),
            **({"attributes": {str(k): str(v) for k, v in self.attributes.items()}} if self.attributes else {}),
        }

    def describe_run(self, resume: str, is_own: bool = True) -> dict[str, Any]:
        """The body that starts a run. Somebody else's workflow runs with its owner's folders, PATH and executor: of
        those nothing may be sent."""
        environment = self._describe_environment() if is_own else self._describe_limits()
        return {"resume": resume, **environment, **describe_process()}

    def to_dict(self) -> dict[str, Any]:
        """What was chosen, for a file: nothing of this machine or process."""
        body = self.describe()
        return {key: value for key, value in body.items() if key not in ("home", "path") and value not in (None, "")}

    def _describe_environment(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "project": self.project,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "working_dir": self.working_dir,
            **describe_user(),
        }
        return {**body, **({"executor": self.executor} if self.executor is not None else {}), **self._describe_limits()}

    def _describe_limits(self) -> dict[str, Any]:
        """What is not chosen is not sent: the server's default holds, and older servers know all that they get."""
        chosen = {
            "max_concurrently_running": self.max_concurrently_running,
            "fail_fast": self.fail_fast or None,
            "seconds_until_timeout": self.seconds_until_timeout,
        }
        return {key: value for key, value in chosen.items() if value is not None}


def describe_user() -> dict[str, Any]:
    """What jobs need of the submitter's environment: home and path."""
    return {"home": os.path.expanduser("~"), "path": os.environ.get("PATH", os.defpath)}


def describe_process() -> dict[str, Any]:
    """Who starts a run: host and process."""
    return {"hostname": socket.gethostname(), "pid": os.getpid()}


def check_resume(mode: str) -> str:
    """ "cold" or "hot"; raises ValueError for anything else."""
    if mode not in RESUME_MODES:
        raise ValueError(f"resume is {mode!r}; it should be 'cold' (end leftovers first) or 'hot' (adopt what runs)")
    return mode


def _check_text(field: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{field} is {value!r}; it should be text")
    if "\0" in value:
        raise ValueError(f"{field} holds a NUL character; remove it")


def _check_count(field: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"{field} is {value!r}; it should be a whole number of at least 1, or None")


def _make_absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path)) if path else ""
