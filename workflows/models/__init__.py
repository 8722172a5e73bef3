"""Fields, constraints and filter-only querysets. No writes, no logic in save(), no signals."""

from workflows.models.access import ApiToken, AuditEntry, SignInLink
from workflows.models.definition import Job, JobEdge, JobGroup, TaskDag, Workflow
from workflows.models.errors import ErrorGroup
from workflows.models.execution import JobInstance, JobInstanceErrorLog, JobInstanceStatusLog, WorkflowRun
from workflows.models.lookup import JobInstanceStatusLabel, JobStatusLabel, WorkflowRunStatusLabel, WorkflowStatusLabel
from workflows.models.system import Draft, DraftChunk, ExecutorState, IdempotencyRecord, IdSequence

__all__ = [
    "ApiToken",
    "AuditEntry",
    "Draft",
    "DraftChunk",
    "ErrorGroup",
    "ExecutorState",
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
    "SignInLink",
    "TaskDag",
    "Workflow",
    "WorkflowRun",
    "WorkflowRunStatusLabel",
    "WorkflowStatusLabel",
]
