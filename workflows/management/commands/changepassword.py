"""Setting a password goes through `manage.py account`, which leaves a row in the audit."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Not here: `manage.py account NAME --password` does it, and leaves a row in the audit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("rest", nargs="*")

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("Use `manage.py account NAME --password`: it leaves a row in the audit.")
