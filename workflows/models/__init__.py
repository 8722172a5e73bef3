"""Fields, constraints and filter-only querysets. No writes, no logic in save(), no signals."""

from workflows.models.access import ApiToken, AuditEntry, ExternalIdentity, SignInLink
from workflows.models.definition import GroupEdge, Job, JobEdge, JobGroup, TaskDag, Workflow
from workflows.models.errors import ErrorGroup
from workflows.models.execution import (
    JobInstance,
    JobInstanceErrorLog,
    JobInstanceStatusLog,
    RunForecast,
    RunMinute,
    RunUsage,
    WorkflowRun,
)
from workflows.models.lookup import JobInstanceStatusLabel, JobStatusLabel, WorkflowRunStatusLabel, WorkflowStatusLabel
from workflows.models.notices import DatabaseEpoch, MailSettings, Notice, RunStall
from workflows.models.operations import Operation, OperationItem
from workflows.models.pages import Preferences, SavedFilter
from workflows.models.run_as import LogPiece, RunAccount, UnixAccount
from workflows.models.system import (
    Draft,
    DraftChunk,
    ExecutorMinute,
    ExecutorState,
    HostExclusion,
    IdempotencyRecord,
    IdSequence,
    SystemState,
)

__all__ = [
    "ApiToken",
    "AuditEntry",
    "DatabaseEpoch",
    "Draft",
    "DraftChunk",
    "ErrorGroup",
    "ExecutorMinute",
    "ExecutorState",
    "ExternalIdentity",
    "GroupEdge",
    "HostExclusion",
    "IdSequence",
    "IdempotencyRecord",
    "Job",
    "JobEdge",
    "JobGroup",
    "JobInstance",
    "JobInstanceErrorLog",
    "JobInstanceStatusLabel",
    "JobInstanceStatusLog",
    "JobStatusLabel",
    "LogPiece",
    "MailSettings",
    "Notice",
    "Operation",
    "OperationItem",
    "Preferences",
    "RunAccount",
    "RunForecast",
    "RunMinute",
    "RunStall",
    "RunUsage",
    "SavedFilter",
    "SignInLink",
    "SystemState",
    "TaskDag",
    "UnixAccount",
    "Workflow",
    "WorkflowRun",
    "WorkflowRunStatusLabel",
    "WorkflowStatusLabel",
]
