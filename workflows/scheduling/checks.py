"""Whether the executors on offer can be used: their settings, and what their batch systems say. Asked at the start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings
from django.db import connection

from executors.base import ExecutorUnavailable
from workflows.models import JobInstance
from workflows.models.execution import LIVE_LETTERS
from workflows.scheduling import back_ends


class Verdict(StrEnum):
    """WRONG needs a person; SILENT may pass by itself."""

    OK = "ok"
    SILENT = "no answer"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one executor; `words` is a sentence unless all is well."""

    name: str
    verdict: Verdict
    words: str = ""


def check_all() -> Iterator[Finding]:
    """One finding for each executor, as it is found: a batch system may take its time to answer."""
    for name in back_ends.executor_names():
        yield check(name)


def check(name: str) -> Finding:
    if words := _find_owned(name):
        return Finding(name, Verdict.WRONG, words)
    try:
        ask = getattr(back_ends.get(name), "check", None)
        sentence = ask() if ask is not None else None
    except back_ends.UnknownExecutor as error:
        return Finding(name, Verdict.WRONG, str(error))
    except ExecutorUnavailable as error:
        return Finding(name, Verdict.SILENT, f"executor {name} does not answer: {error}")
    return Finding(name, Verdict.WRONG, sentence) if sentence else Finding(name, Verdict.OK)


def _find_owned(name: str) -> str | None:
    """A sentence if attempts are live as their owners and this server would not look for them there: they would seem
    to be gone."""
    if settings.RUN_AS == "owner" or not _has_tables():
        return None
    live = JobInstance.objects.filter(executor_type=name, status__in=LIVE_LETTERS)
    count = live.filter(workflow_run__run_account__isnull=False).count()
    if not count:
        return None
    return f"executor {name}: {count} attempts still run as their owners; set JOBMON_RUN_AS=owner until they have ended"


def _has_tables() -> bool:
    """Executors are also checked before the first migration."""
    return JobInstance._meta.db_table in connection.introspection.table_names()
