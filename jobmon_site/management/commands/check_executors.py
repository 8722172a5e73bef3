"""`manage.py check_executors`: can every executor on offer be used? For production, before the workers are started."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workflows.scheduling.checks import Verdict, check_all


class Command(BaseCommand):
    help = (
        "Check the settings of all executors and ask their batch systems. Ends with 1 if one can never run a job; one"
        " that does not answer is only told of."
    )
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = []
        for finding in check_all():
            self.stdout.write(f"{finding.verdict:<10} {finding.name}{': ' if finding.words else ''}{finding.words}")
            wrong += [finding.name] if finding.verdict is Verdict.WRONG else []
        if wrong:
            raise CommandError(f"not usable: {', '.join(wrong)}")
