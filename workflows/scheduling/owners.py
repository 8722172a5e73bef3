"""What the engine does so that jobs run as their workflow's owner (JOBMON_RUN_AS=owner)."""

from __future__ import annotations

from django.conf import settings

from executors.run_as import LogRefused
from workflows import executor_control, lifecycle, owner_logs
from workflows.models import JobInstance, LogPiece, WorkflowRun
from workflows.queries.accounts import account_of_run
from workflows.scheduling import back_ends
from workflows.unix_accounts import bind_run

MOST_BYTES = 256 * 1024


def is_on() -> bool:
    return bool(settings.RUN_AS == "owner")


def may_start(run: WorkflowRun) -> bool:
    """Whether the owner's account is known and usable; if not, the run is held and says why."""
    if not is_on():
        return True
    reason = bind_run(run)
    if reason:
        lifecycle.hold_run(run.pk, reason, executor_control.server())
    return not reason


def account_for(run: WorkflowRun) -> str | None:
    return account_of_run(run.pk) if is_on() else None


def read_log(piece_id: int) -> None:
    """Read what a page has asked for, as the owner of the attempt."""
    piece = owner_logs.find_asked(piece_id)
    if piece is None:
        return
    attempt = JobInstance.objects.filter(pk=piece.instance_id).first()
    account = account_of_run(attempt.workflow_run_id) if attempt is not None else None
    if account is None:
        owner_logs.answer(piece_id, problem="missing", words="There is no such attempt.")
        return
    _read_as(account, piece)


def _read_as(account: str, piece: LogPiece) -> None:
    offset = None if piece.offset < 0 else piece.offset
    try:
        part = back_ends.run_as().read_log(
            account, piece.instance_id, piece.stream, offset, min(piece.limit, MOST_BYTES)
        )
    except LogRefused as refusal:
        owner_logs.answer(piece.pk, problem=refusal.code, words=str(refusal)[:1000], data=b"")
    else:
        owner_logs.answer(piece.pk, problem="", words="", start=part.offset, size=part.size, data=part.data)
