"""`manage.py fsck`: is what the database says about workflows true to its own rules? Changes nothing, unless a repair is
asked for by name."""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflows.audit import write_event
from workflows.invariant_files import remove_temporaries
from workflows.invariants import (
    INVARIANTS,
    INVARIANTS_BY_NAME,
    MOST_LISTED,
    NOT_CHECKED,
    Finding,
    Invariant,
    find_broken,
    ledger_invariants,
    spool_invariant,
)
from workflows.scheduling.housekeeping import verify_all_readiness

SPOOL = "spool"
REPAIRS: dict[str, tuple[str, Callable[[], int]]] = {
    "readiness": ("jobs whose waiting upstreams were counted anew", verify_all_readiness),
    SPOOL: ("temporary files removed", lambda: remove_temporaries(Path(settings.SPOOL))),
}


class Command(BaseCommand):
    help = (
        "Check every invariant of the stored workflows; changes nothing (but for --repair) and may run beside a live server. "
        "The exit status is the number of invariants that are broken."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="write one JSON object")
        parser.add_argument("--strict", action="store_true", help="count the promises that cannot be checked here too")
        parser.add_argument(
            "--metrics-file", type=Path, metavar="FILE", help="write the result there as Prometheus text as well"
        )
        parser.add_argument(
            "--only",
            action="append",
            choices=sorted([*INVARIANTS_BY_NAME, SPOOL]),
            help="check this one; may be repeated",
        )
        parser.add_argument(
            "--ledger", action="append", type=Path, default=[], metavar="FILE",
            help="check the starts and ends that jobs wrote into this file; may be repeated",
        )  # fmt: skip
        parser.add_argument(
            "--repair", action="append", choices=sorted(REPAIRS), default=[], help="repair this first; may be repeated"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for name in options["repair"]:
            words, repair = REPAIRS[name]
            repaired = repair()
            self.stderr.write(f"{name}: {repaired} {words}.")
            write_event("repair", f"fsck {name}", name=getpass.getuser(), after={"repaired": repaired})
        chosen = choose(options["only"] or [*INVARIANTS_BY_NAME, SPOOL], options["ledger"])
        names = [invariant.name for invariant in chosen]
        findings = find_broken(chosen)
        not_checked = {name: why for name, why in NOT_CHECKED.items() if name not in names}
        self.stdout.write((as_json if options["json"] else as_text)(names, findings, not_checked))
        if options["metrics_file"]:
            write_whole(options["metrics_file"], as_metrics(names, findings, time.time()))
        status = len(findings) + (len(not_checked) if options["strict"] else 0)
        if status:
            sys.exit(status)


def choose(names: list[str], ledgers: list[Path]) -> list[Invariant]:
    """Those of the database in their order, then that of the files, then those of the ledgers."""
    chosen = [invariant for invariant in INVARIANTS if invariant.name in names]
    if SPOOL in names:
        chosen.append(spool_invariant(Path(settings.SPOOL)))
    try:
        return [*chosen, *(ledger_invariants(ledgers) if ledgers else [])]
    except (OSError, ValueError) as error:
        raise CommandError(f"a ledger cannot be read: {error}") from error


def as_json(names: list[str], findings: list[Finding], not_checked: dict[str, str]) -> str:
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
    return json.dumps({"checked": names, "broken": broken, "not_checked": not_checked}, indent=1)


def as_text(names: list[str], findings: list[Finding], not_checked: dict[str, str]) -> str:
    """One line per violation, with what to do."""
    lines: list[str] = []
    for finding in findings:
        name, remedy = finding.invariant.name, finding.invariant.remedy
        lines += [f"{name}: {item.subject} {item.found}. {remedy}" for item in finding.violations]
        if finding.count > MOST_LISTED:
            lines.append(f"{name}: {finding.count - MOST_LISTED:,} more of {finding.count:,}.")
    lines.append(f"{len(names)} invariants checked, {len(findings)} broken.")
    lines += [f"not checked: {name} {why}." for name, why in not_checked.items()]
    return "\n".join(lines)


def as_metrics(names: list[str], findings: list[Finding], now: float) -> str:
    """For the text file collector of Prometheus's node exporter."""
    counts = {finding.invariant.name: finding.count for finding in findings}
    lines = ["# HELP jobmon_fsck_violations Violations of an invariant that the last fsck found."]
    lines.append("# TYPE jobmon_fsck_violations gauge")
    lines += [f'jobmon_fsck_violations{{invariant="{name}"}} {counts.get(name, 0)}' for name in names]
    lines.append("# HELP jobmon_fsck_time_seconds When the last fsck ended.")
    lines += ["# TYPE jobmon_fsck_time_seconds gauge", f"jobmon_fsck_time_seconds {now:.0f}"]
    return "\n".join(lines) + "\n"


def write_whole(path: Path, text: str) -> None:
    """A reader sees the old or the new text."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.chmod(0o644)
    temporary.replace(path)
