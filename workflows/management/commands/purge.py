"""`manage.py purge --older-than 90d`: take finished workflows away that nobody has touched for so long."""

from __future__ import annotations

import argparse
import getpass
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from workflows.models import Workflow
from workflows.scheduling.archive import write_archive
from workflows.scheduling.owned_files import FilesStay
from workflows.scheduling.purge import (
    Purged,
    count_stored_jobs,
    find_old,
    find_orphans,
    measure,
    purge,
    remove_graph,
)


def read_days(text: str) -> timedelta:
    """'90d' as a time; at least one day, so that nothing goes that somebody is about to look at."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})d", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days like 90d, at least 1d")
    return timedelta(days=int(match[1]))


class Command(BaseCommand):
    help = (
        "Remove workflows that are over and unchanged for that long: their jobs, attempts, errors, runs, and the "
        "attempts' files in the spool; those of jobs that ran as their owners in the owners' names. Output in folders that "
        "users named stays. May run beside a live server, and again after it was interrupted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--older-than", type=read_days, required=True, metavar="DAYSd", help="for example 90d")
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")
        parser.add_argument(
            "--until-jobs", type=int, metavar="N", help="end as soon as no more than N jobs are stored, oldest go first"
        )
        parser.add_argument(
            "--archive", type=Path, metavar="FOLDER", help="first write each workflow there, as workflow-<id>.jsonl.gz"
        )
        parser.add_argument(
            "--leave-owners-files",
            action="store_true",
            help="remove the rows also where files of an owner cannot be removed, as when the account is gone; root has to",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        before = timezone.now() - options["older_than"]
        folder = options["archive"]
        if folder is not None and not folder.is_dir():
            raise CommandError(f"{folder} is not a folder; make it first, on a disk with room")
        if not options["dry_run"]:
            for dag_id in find_orphans():
                remove_graph(dag_id)
        count = jobs = 0
        stored, most = count_stored_jobs(), options["until_jobs"]
        for workflow in find_old(before).iterator(chunk_size=100):
            if most is not None and stored - jobs <= most:
                break
            try:
                gone = self.take_away(workflow, before, folder, options)
            except FilesStay as reason:
                self.stderr.write(f"workflow {workflow.pk} stays: {reason}")
                continue
            if gone is not None:
                count, jobs = count + 1, jobs + gone.jobs
        words = "would be" if options["dry_run"] else "were"
        self.stdout.write(f"{count:,} workflows with {jobs:,} jobs {words} removed.")

    def take_away(
        self, workflow: Workflow, before: datetime, folder: Path | None, options: dict[str, Any]
    ) -> Purged | None:
        """Archive and remove one workflow, or only measure it. None: it stays."""
        user = User(username=getpass.getuser())  # for the audit log; need not exist here
        is_dry, is_leaving = options["dry_run"], options["leave_owners_files"]
        if folder is not None and not is_dry:
            try:
                write_archive(workflow, folder)
            except OSError as error:
                raise CommandError(f"workflow {workflow.pk} cannot be archived and stays: {error}") from None
        if is_dry:
            gone: Purged | None = measure(workflow)
        else:
            gone = purge(workflow, before, user, is_leaving_owners_files=is_leaving)
        if gone is None:
            self.stdout.write(f"workflow {workflow.pk} was resumed meanwhile and stays")
            return None
        name = workflow.name or workflow.workflow_args[:60]
        self.stdout.write(
            f"workflow {workflow.pk} {name!r} of {workflow.user}: {gone.jobs:,} jobs, {gone.attempts:,} attempts"
        )
        return gone
