"""Pure: statuses, who may follow whom, and what a job becomes after an attempt. No I/O, no Django.

Within one attempt a status only rises. An event that would not raise it is *overtaken*: a no-op, not an error.
Why an attempt ended is a `Reason`, never a status.
"""

from __future__ import annotations

from enum import StrEnum


class WorkflowStatus(StrEnum):
    CREATED = "C"
    RUNNING = "R"
    STOPPED = "S"
    ERROR = "E"
    DONE = "D"


class RunStatus(StrEnum):
    RUNNING = "R"
    STOPPED = "S"
    ERROR = "E"
    DONE = "D"


class JobStatus(StrEnum):
    REGISTERED = "G"
    QUEUED = "Q"
    INSTANTIATED = "I"
    RUNNING = "R"
    ERROR_RECOVERABLE = "E"
    ERROR_FATAL = "F"
    DONE = "D"


class InstanceStatus(StrEnum):
    INSTANTIATED = "I"
    SUBMITTED = "B"
    RUNNING = "R"
    ERROR = "E"
    DONE = "D"


class Reason(StrEnum):
    """Why an attempt ended with anything but success."""

    EXIT = "exit"
    SIGNAL = "signal"
    MEMORY = "memory"
    RUNTIME = "runtime"
    LOST = "lost"
    KILLED = "killed"
    REFUSED = "refused"
    VOID = "void"


LABELS: dict[type[StrEnum], dict[str, str]] = {
    WorkflowStatus: {"C": "created", "R": "running", "S": "stopped", "E": "error", "D": "done"},
    RunStatus: {"R": "running", "S": "stopped", "E": "error", "D": "done"},
    JobStatus: {
        "G": "registered",
        "Q": "queued",
        "I": "instantiated",
        "R": "running",
        "E": "error-recoverable",
        "F": "error-fatal",
        "D": "done",
    },
    InstanceStatus: {"I": "instantiated", "B": "submitted", "R": "running", "E": "error", "D": "done"},
}

LIVE = frozenset({InstanceStatus.INSTANTIATED, InstanceStatus.SUBMITTED, InstanceStatus.RUNNING})
ENDED = frozenset({InstanceStatus.ERROR, InstanceStatus.DONE})
JOB_LIVE = frozenset({JobStatus.INSTANTIATED, JobStatus.RUNNING})
JOB_WAITS_FOR_ATTEMPT = frozenset({JobStatus.QUEUED, JobStatus.ERROR_RECOVERABLE})

USES_ATTEMPT = frozenset({Reason.EXIT, Reason.SIGNAL, Reason.MEMORY, Reason.RUNTIME, Reason.LOST})

INSTANCE_ORDER: dict[InstanceStatus, int] = {
    InstanceStatus.INSTANTIATED: 0,
    InstanceStatus.SUBMITTED: 1,
    InstanceStatus.RUNNING: 2,
    InstanceStatus.ERROR: 3,
    InstanceStatus.DONE: 4,
}

# A job may skip a step: one that is ready and within the limits goes from registered straight to its first attempt.
JOB_MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.REGISTERED: frozenset({JobStatus.QUEUED, JobStatus.INSTANTIATED, JobStatus.DONE}),
    JobStatus.QUEUED: frozenset({JobStatus.INSTANTIATED, JobStatus.REGISTERED, JobStatus.DONE}),
    JobStatus.INSTANTIATED: frozenset(
        {
            JobStatus.RUNNING,
            JobStatus.DONE,
            JobStatus.ERROR_RECOVERABLE,
            JobStatus.ERROR_FATAL,
            JobStatus.QUEUED,
            JobStatus.REGISTERED,
        }
    ),
    JobStatus.RUNNING: frozenset(
        {JobStatus.DONE, JobStatus.ERROR_RECOVERABLE, JobStatus.ERROR_FATAL, JobStatus.QUEUED, JobStatus.REGISTERED}
    ),
    JobStatus.ERROR_RECOVERABLE: frozenset(
        {JobStatus.QUEUED, JobStatus.INSTANTIATED, JobStatus.REGISTERED, JobStatus.DONE}
    ),
    JobStatus.ERROR_FATAL: frozenset({JobStatus.REGISTERED, JobStatus.DONE}),
    JobStatus.DONE: frozenset({JobStatus.REGISTERED}),
}

WORKFLOW_MOVES: dict[WorkflowStatus, frozenset[WorkflowStatus]] = {
    WorkflowStatus.CREATED: frozenset({WorkflowStatus.RUNNING}),
    WorkflowStatus.RUNNING: frozenset({WorkflowStatus.STOPPED, WorkflowStatus.ERROR, WorkflowStatus.DONE}),
    WorkflowStatus.STOPPED: frozenset({WorkflowStatus.RUNNING, WorkflowStatus.DONE}),
    WorkflowStatus.ERROR: frozenset({WorkflowStatus.RUNNING, WorkflowStatus.DONE}),
    WorkflowStatus.DONE: frozenset({WorkflowStatus.RUNNING}),
}

RUN_MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.RUNNING: frozenset({RunStatus.STOPPED, RunStatus.ERROR, RunStatus.DONE}),
    RunStatus.STOPPED: frozenset(),
    RunStatus.ERROR: frozenset(),
    RunStatus.DONE: frozenset(),
}


def rises(old: InstanceStatus, new: InstanceStatus) -> bool:
    """Whether an attempt in `old` may move to `new`. E → D is the late success and the only move between ends."""
    return INSTANCE_ORDER[new] > INSTANCE_ORDER[old]


def uses_attempt(reason: Reason | None) -> bool:
    """Whether an attempt that ended so counts against max_attempts; None is success, which counts too."""
    return reason is None or reason in USES_ATTEMPT


def job_after_attempt(reason: Reason | None, attempts_used: int, max_attempts: int) -> JobStatus:
    """What the job becomes when its live attempt ends. `attempts_used` includes this attempt if it counts."""
    if reason is None:
        return JobStatus.DONE
    if reason is Reason.REFUSED:
        return JobStatus.ERROR_FATAL
    if reason is Reason.VOID:
        return JobStatus.QUEUED
    if reason is Reason.KILLED:
        return JobStatus.REGISTERED
    return JobStatus.ERROR_FATAL if attempts_used >= max_attempts else JobStatus.ERROR_RECOVERABLE
