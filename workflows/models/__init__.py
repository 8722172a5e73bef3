"""Fields, constraints and filter-only querysets. No writes, no logic in save(), no signals."""

from workflows.models.access import ApiToken, AuditEntry, SignInLink
from workflows.models.definition import GroupEdge, Job, JobEdge, JobGroup, TaskDag, Workflow
from workflows.models.errors import ErrorGroup
from workflows.models.execution import (
    JobInstance,
    JobInstanceErrorLog,
    JobInstanceStatusLog,
    RunForecast,
    RunMinute,
    WorkflowRun,
)
from workflows.models.lookup import JobInstanceStatusLabel, JobStatusLabel, WorkflowRunStatusLabel, WorkflowStatusLabel
from workflows.models.operations import Operation, OperationItem
from workflows.models.system import Draft, DraftChunk, ExecutorState, IdempotencyRecord, IdSequence, SystemState

__all__ = [
    "ApiToken",
    "AuditEntry",
    "Draft",
    "DraftChunk",
    "ErrorGroup",
    "ExecutorState",
    "GroupEdge",
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
    "Operation",
    "OperationItem",
    "RunForecast",
    "RunMinute",
    "SignInLink",
    "SystemState",
    "TaskDag",
    "Workflow",
    "WorkflowRun",
    "WorkflowRunStatusLabel",
    "WorkflowStatusLabel",
]
