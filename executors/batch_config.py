"""What every batch system's executor is configured with, and which requests may reach a batch system at all."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from executors.base import JobSpec, Resources
from executors.script import job_environment, refuse_environment, refuse_text

OBJECT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.@-]{0,63}")
JOB_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}")
_OPTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SYSTEM_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?")
MAX_SLOTS = 100_000
MAX_MEMORY_GB = 1_000_000.0
MAX_RUNTIME_S = 10 * 365 * 86400
MAX_OPTION_LENGTH = 1000


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """What the two batch systems need to know alike. Raises ValueError with a sentence if something cannot be.

    `user` owns the batch jobs; `command_prefix` (for example `("runuser", "-u", "alice", "--")`) makes the commands run
    as that user when the server is somebody else; a server that is root then also hands the folders over.
    Times in seconds; `clock_slack` is how far the batch system's clock may be behind ours. `max_live`: attempts handed
    over at a time. `max_memory` (GB) and `max_runtime`: what a job may ask for at most; None: no limit of ours.
    `accounting_wait`: how long the verdict on a failed attempt waits for its accounting record, never above `grace`.
    """

    spool: Path
    bin_dir: Path
    name: str
    name_prefix: str = "jm"
    user: str = field(default_factory=getpass.getuser)
    command_prefix: tuple[str, ...] = ()
    default_project: str | None = None
    default_queue: str | None = None
    allowed_options: tuple[str, ...] = ()
    array_size: int = 1000
    concurrent_tasks: int = 0
    submit_timeout: float = 60.0
    query_timeout: float = 30.0
    poll_interval: float = 5.0
    grace: float = 120.0
    clock_slack: float = 300.0
    max_live: int = 5000
    max_memory: float | None = None
    max_runtime: int | None = None
    accounting_wait: float = 20.0

    def __post_init__(self) -> None:
        self._check_paths()
        self._check_names()
        self._check_numbers()

    def _check_paths(self) -> None:
        for label, path in (("spool", self.spool), ("bin_dir", self.bin_dir)):
            if not path.is_absolute() or _CONTROL.search(str(path)):
                raise ValueError(f"{label}: {str(path)!r} must be an absolute path without control characters")
        if self.command_prefix and not Path(self.command_prefix[0]).is_absolute():
            raise ValueError(f"command_prefix: {self.command_prefix[0]!r} must be an absolute path")

    def _check_names(self) -> None:
        if not JOB_NAME.fullmatch(self.name_prefix):
            raise ValueError(f"name_prefix: {self.name_prefix!r} must be a letter followed by letters, digits, _ . -")
        if not _SYSTEM_USER.fullmatch(self.user):
            raise ValueError(f"user: {self.user!r} is not the name of a user")
        for label, value in (("default_project", self.default_project), ("default_queue", self.default_queue)):
            if value is not None and not OBJECT_NAME.fullmatch(value):
                raise ValueError(f"{label}: {value!r} must be a letter followed by letters, digits, _ . @ -")
        for option in self.allowed_options:
            if not _OPTION_NAME.fullmatch(option):
                raise ValueError(f"allowed_options: {option!r} is not the name of an option; leave out the dashes")

    def _check_numbers(self) -> None:
        for label in ("submit_timeout", "query_timeout", "poll_interval", "grace"):
            if not 0 < getattr(self, label) < float("inf"):
                raise ValueError(f"{label}: {getattr(self, label)!r} must be a number of seconds above 0")
        if not 1 <= self.array_size <= 75_000:
            raise ValueError(f"array_size: {self.array_size} must be between 1 and 75000")
        for label in ("max_live", "max_memory", "max_runtime"):
            value = getattr(self, label)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{label}: {value!r} must be above 0")
        if not 0 <= self.accounting_wait < float("inf"):
            raise ValueError(f"accounting_wait: {self.accounting_wait!r} must be a number of seconds, 0 for none")
        if self.concurrent_tasks < 0:
            raise ValueError(f"concurrent_tasks: {self.concurrent_tasks} must not be negative (0: no limit)")


def refuse_resources(resources: Resources, config: BatchConfig) -> str | None:
    """A sentence if a request is not one that any batch system may be given, else None."""
    if not 1 <= resources.slots <= MAX_SLOTS:
        return f"slots: {resources.slots} must be between 1 and {MAX_SLOTS}"
    if not 0 <= resources.mem_free <= MAX_MEMORY_GB:
        return f"mem_free: {resources.mem_free} GB must be between 0 and {MAX_MEMORY_GB:g}"
    if resources.max_runtime is not None and not 1 <= resources.max_runtime <= MAX_RUNTIME_S:
        return f"max_runtime: {resources.max_runtime} s must be between 1 and {MAX_RUNTIME_S}"
    if config.max_memory is not None and resources.mem_free > config.max_memory:
        return f"mem_free: {resources.mem_free:g} GB is more than {config.name} gives ({config.max_memory:g} GB)"
    if config.max_runtime is not None and (resources.max_runtime or 0) > config.max_runtime:
        return f"max_runtime: {resources.max_runtime} s is more than {config.name} gives ({config.max_runtime} s)"
    for label, value in (("project", resources.project), ("queue", resources.queue)):
        if value is not None and not OBJECT_NAME.fullmatch(value):
            return f"{label}: {value!r} must be a letter followed by at most 63 letters, digits, _ . @ -"
    return refuse_options(resources.extra, config.allowed_options)


def refuse_options(extra: Iterable[tuple[str, str]], allowed: Sequence[str]) -> str | None:
    for option, value in extra:
        if option not in allowed:
            listed = ", ".join(sorted(allowed)) or "none"
            return f"the option {option!r} is not allowed here (allowed: {listed}); ask the administrator to list it"
        if _CONTROL.search(value) or value.startswith("-") or not value.isprintable() or len(value) > MAX_OPTION_LENGTH:
            return f"the value {value!r} of the option {option!r} must be printable, not too long, without leading dash"
    return None


def refuse_spec(spec: JobSpec) -> str | None:
    """A sentence if this attempt cannot be handed over whatever the batch system says, else None."""
    if not JOB_NAME.fullmatch(spec.batch):
        return f"the batch name {spec.batch!r} must be a letter followed by letters, digits, _ . -"
    sentence = refuse_text(spec) or refuse_environment(job_environment(spec))
    if sentence:
        return sentence
    for label in ("working_dir", "stdout_path", "stderr_path"):
        if "\n" in (getattr(spec, label) or ""):
            return f"{label} holds a line break; rename the folder"
    return None
