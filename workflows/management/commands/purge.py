"""`manage.py purge --older-than 90d`: take finished workflows away that nobody has touched for so long."""

from __future__ import annotations

import argparse
import getpass
import re
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from workflows.scheduling.purge import find_old, find_orphans, measure, purge, remove_graph


def read_days(text: str) -> timedelta:
    """'90d' as a time; at least one day, so that nothing goes that somebody is about to look at."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})d", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days like 90d, at least 1d")
    return timedelta(days=int(match[1]))


class Command(BaseCommand):
    help = (
        "Remove workflows that are over and unchanged for that long: their jobs, attempts, errors, runs, and the "
        "attempts' files in the spool. Output in folders that users named stays. May run beside a live server, and "
        "again after it was interrupted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--older-than", type=read_days, required=True, metavar="DAYSd", help="for example 90d")
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")

    def handle(self, *args: Any, **options: Any) -> None:
        before = timezone.now() - options["older_than"]
        is_dry = options["dry_run"]
        user = None if is_dry else User(username=getpass.getuser())  # for the audit log; need not exist here
        if not is_dry:
            for dag_id in find_orphans():
                remove_graph(dag_id)
        count = jobs = 0
        for workflow in find_old(before).iterator(chunk_size=100):
            gone = measure(workflow) if user is None else purge(workflow, before, user)
            if gone is None:
                self.stdout.write(f"workflow {workflow.pk} was resumed meanwhile and stays")
                continue
            name = workflow.name or workflow.workflow_args[:60]
            self.stdout.write(
                f"workflow {workflow.pk} {name!r} of {workflow.user}: {gone.jobs:,} jobs, {gone.attempts:,} attempts"
            )
            count, jobs = count + 1, jobs + gone.jobs
        self.stdout.write(f"{count:,} workflows with {jobs:,} jobs {'would be' if is_dry else 'were'} removed.")
