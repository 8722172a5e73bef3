"""How much one person may have at once. Each answers the sentence that refuses it, or ''. 0 in the settings: no limit."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Sum
from django.utils import timezone

from workflows.models import Draft, Workflow, WorkflowRun
from workflows.state_machine import RunStatus, WorkflowStatus


def refuse_submission(user: User) -> str:
    """New workflows and drafts of the last minute."""
    most = settings.QUOTA_SUBMISSIONS
    if not most:
        return ""
    since = timezone.now() - timedelta(minutes=1)
    made = Workflow.objects.filter(owner_id=user.pk, created_date__gte=since).count()
    begun = Draft.objects.filter(owner_id=user.pk, created_at__gte=since, workflow=None).count()
    if made + begun < most:
        return ""
    return f"You have submitted {made + begun} workflows within a minute; {most} are possible. Wait a minute."


def refuse_draft(user: User) -> str:
    """Drafts that are neither committed nor old enough to go."""
    most = settings.QUOTA_DRAFTS
    if not most or Draft.objects.filter(owner_id=user.pk, workflow=None).count() < most:
        return ""
    return (
        f"{most} drafts of yours are not committed, which is as many as one person may have. Commit some; each goes a day "
        "after it was begun."
    )


def refuse_jobs(user: User, job_count: int) -> str:
    """Jobs of workflows that are not done, with those of the new one."""
    most = settings.QUOTA_JOBS
    if not most:
        return ""
    open_workflows = Workflow.objects.filter(owner_id=user.pk).exclude(status=WorkflowStatus.DONE.value)
    stored = open_workflows.aggregate(n=Sum("dag__job_count"))["n"] or 0
    if stored + job_count <= most:
        return ""
    return (
        f"Your workflows that are not done hold {stored:,} jobs; with {job_count:,} more they would be over the "
        f"{most:,} that one person may have here. Finish some, or ask the administrator."
    )


def refuse_run(owner: User) -> str:
    """Live runs of a person's workflows, whoever started them."""
    most = settings.QUOTA_LIVE_RUNS
    if not most:
        return ""
    live = WorkflowRun.objects.filter(workflow__owner_id=owner.pk, status=RunStatus.RUNNING.value).count()
    if live < most:
        return ""
    return f"{owner.get_username()} has {live} live runs; {most} are possible. Wait until one has ended, or stop one."
