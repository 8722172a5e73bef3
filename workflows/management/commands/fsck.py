"""`manage.py fsck`: is what the database says about workflows true to its own rules? Changes nothing."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from workflows.invariants import INVARIANTS, INVARIANTS_BY_NAME, MOST_LISTED, NOT_CHECKED, Finding, check_all


class Command(BaseCommand):
    help = (
        "Check every invariant of the stored workflows; changes nothing and may run beside a live server. "
        "The exit status is the number of invariants that are broken."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="write one JSON object")
        parser.add_argument("--strict", action="store_true", help="count the promises that cannot be checked here too")
        parser.add_argument(
            "--only", action="append", choices=sorted(INVARIANTS_BY_NAME), help="check this one; may be repeated"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        names = options["only"] or [invariant.name for invariant in INVARIANTS]
        findings = check_all(names)
        text = as_json(names, findings) if options["json"] else as_text(names, findings)
        self.stdout.write(text)
        status = len(findings) + (len(NOT_CHECKED) if options["strict"] else 0)
        if status:
            sys.exit(status)


def as_json(names: list[str], findings: list[Finding]) -> str:
    broken = [
        {
            "invariant": finding.invariant.name,
            "says": finding.invariant.says,
            "count": finding.count,
            "violations": [{"subject": item.subject, "found": item.found} for item in finding.violations],
            "remedy": finding.invariant.remedy,
        }
        for finding in findings
    ]
    return json.dumps({"checked": names, "broken": broken, "not_checked": NOT_CHECKED}, indent=1)


def as_text(names: list[str], findings: list[Finding]) -> str:
    """One line per violation, with what to do."""
    lines: list[str] = []
    for finding in findings:
        name, remedy = finding.invariant.name, finding.invariant.remedy
        lines += [f"{name}: {item.subject} {item.found}. {remedy}" for item in finding.violations]
        if finding.count > MOST_LISTED:
            lines.append(f"{name}: {finding.count - MOST_LISTED:,} more of {finding.count:,}.")
    lines.append(f"{len(names)} invariants checked, {len(findings)} broken.")
    lines += [f"not checked: {name} {why}." for name, why in NOT_CHECKED.items()]
    return "\n".join(lines)
