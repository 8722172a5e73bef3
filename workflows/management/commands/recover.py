"""`manage.py recover`: after the database was restored from a backup, find what ran since, and let work go on."""

from __future__ import annotations

import getpass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflows import lifecycle
from workflows.actor import Actor
from workflows.audit import write_audit
from workflows.models import WorkflowRun
from workflows.scheduling import epoch
from workflows.scheduling.recovery import Report, recover
from workflows.state_machine import RunStatus
from workflows.transactions import write_transaction

MOST_NAMED = 20


class Command(BaseCommand):
    help = (
        "After the database was restored from a backup: give every attempt that was made since its row back, from the "
        "journal, the tokens and the exit records in the spool, so that nothing runs twice; then let jobs start again. "
        "Run it with no worker running. May be repeated."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--hold", action="store_true", help="put every live run on hold, to look at it first")
        parser.add_argument(
            "--cancel-unknown", action="store_true", help="end attempts of workflows that the database does not have"
        )
        parser.add_argument("--force", action="store_true", help="look even if the database is as new as its spool")

    def handle(self, *args: Any, **options: Any) -> None:
        if not epoch.is_behind() and not options["force"]:
            self.stdout.write(f"The database is as new as the spool {settings.SPOOL}: there is nothing to recover.")
            return
        try:
            report = recover(is_cancelling=options["cancel_unknown"])
        except OSError as error:
            raise CommandError(f"the spool {settings.SPOOL} cannot be read: {error.strerror}; nothing starts") from None
        held = hold_all() if options["hold"] else 0
        note_recovery(report, held)
        epoch.catch_up()
        self.stdout.write("\n".join(tell(report, held)))


@write_transaction
def note_recovery(report: Report, held: int) -> None:
    user = User(username=getpass.getuser())  # for the audit log; need not exist here
    write_audit(Actor(user, "system"), "recover", "database", after={"taken_up": report.taken_up, "held": held})


def hold_all() -> int:
    runs = WorkflowRun.objects.filter(status=RunStatus.RUNNING.value, hold_reason="").select_related("workflow__owner")
    for run in runs:
        lifecycle.hold_run(run.pk, "Held after a restore from a backup.", Actor(run.workflow.owner, "system"))
    return len(runs)


def tell(report: Report, held: int) -> list[str]:
    """For the person who restored."""
    lines = [
        f"{report.taken_up:,} attempts since the backup were taken up: {report.ended:,} are over, {report.live:,} go on.",
        *_list("runs opened anew, on hold until somebody releases them", [f"run {pk}" for pk in report.opened_runs]),
        *_list("attempts whose jobs are done or have another one: left as they are", report.left_alone),
        *_list("attempts of workflows that this database does not have; submit those workflows again", report.foreign),
        *_list("things that could not be looked at; mend them and run this again with --force", report.problems),
    ]
    if report.cancelled:
        lines.append(f"{report.cancelled:,} of them were asked to end.")
    if held:
        lines.append(f"{held:,} live runs are on hold.")
    return [*lines, "Jobs may start again. Now run `manage.py fsck`."]


def _list(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return [f"{len(names):,} {what}: {', '.join(names[:MOST_NAMED])}{more}."]
