"""One table per list: which columns there are, which are shown, and how a cell looks. Rows and columns only; pages and
order come from `queries.keyset`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import django_tables2 as dt
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from workflows import explain, looks, markup, words
from workflows.masking import mask_secrets
from workflows.models import ErrorGroup, Job, JobInstance
from workflows.models.definition import LIVE_LETTERS
from workflows.queries.jobs import ORDERS, JobRow
from workflows.secret_files import split_command

NOTHING = markup.NOTHING
LONGEST_REASON = 120  # characters; the whole is on the page of the attempt, to which it leads
NUMBER = {"th": {"class": "num"}, "td": {"class": "num"}}


def ran_seconds(attempt: JobInstance | None) -> float | None:
    """How long an attempt ran, as measured, else by its times; so far, if it runs."""
    if attempt is None:
        return None
    if attempt.wallclock is not None:
        return attempt.wallclock
    end = attempt.ended_at or (timezone.now() if attempt.status == "R" else None)
    return words.seconds_between(attempt.started_at, end)


def shown_letter(job: Job) -> str:
    """The letter of what pages show: B for a waiting job that is blocked."""
    return looks.shown_letter(job.status, job.blocked_by)


class JobTable(dt.Table):
    status = dt.Column(verbose_name="Status", accessor="job")
    job_id = dt.Column(verbose_name="Job", accessor="job__job_id", attrs=NUMBER)
    name = dt.Column(verbose_name="Name", accessor="job__name")
    tag = dt.Column(verbose_name="Tag", accessor="group")
    attempts = dt.Column(verbose_name="Attempts", accessor="job", attrs=NUMBER)
    reason = dt.Column(verbose_name="Why it failed", accessor="last", attrs={"td": {"class": "text"}}, empty_values=())
    host = dt.Column(verbose_name="Host", accessor="last__nodename")
    memory = dt.Column(verbose_name="Memory / asked", accessor="job", attrs=NUMBER)
    run_time = dt.Column(verbose_name="Run time", accessor="last", attrs=NUMBER)
    changed = dt.Column(verbose_name="Changed", accessor="job__status_date", attrs={"td": {"class": "dates"}})
    batch = dt.Column(verbose_name="Batch id", accessor="last__executor_id")
    slots = dt.Column(verbose_name="Slots", accessor="job__slots", attrs=NUMBER)
    max_runtime = dt.Column(verbose_name="Longest run time", accessor="job__max_runtime", attrs=NUMBER)
    error = dt.Column(verbose_name="Kind of failure", accessor="job__error_group", attrs={"td": {"class": "text"}})
    submitted = dt.Column(
        verbose_name="First submitted", accessor="job__submitted_date", attrs={"td": {"class": "nowrap"}}
    )
    command = dt.Column(verbose_name="Command", accessor="job__command", attrs={"td": {"class": "text"}})

    DEFAULT = ("status", "job_id", "name", "tag", "attempts", "reason", "host", "memory", "run_time", "changed")
    SORTS = {"job_id": "job_id", "name": "name", "changed": "status_date"}

    class Meta:
        orderable = False
        attrs = {"class": "list cards", "data-rows": "jobs"}
        caption = "Jobs"

    def __init__(self, rows: Sequence[JobRow], request: HttpRequest, sort: str, shown: list[str]) -> None:
        """`shown`: names of columns, in their order."""
        self.shown_columns = ",".join(shown)
        super().__init__(
            rows,
            exclude=[name for name in self.base_columns if name not in shown],
            sequence=shown,
            empty_text="No jobs",
        )
        self.sort = sort
        self.page_request = request

    @classmethod
    def choose_columns(cls, asked: str) -> list[str]:
        """The columns of this text that there are, in its order; the usual ones if there is none."""
        chosen = [name for name in map(str.strip, asked.split(",")) if name in cls.base_columns]
        return list(dict.fromkeys(chosen)) or list(cls.DEFAULT)

    @property
    def is_usual(self) -> bool:
        """Cards name their values by the place of a column then: words at each cell of 50 rows are a sixth of the page."""
        return self.shown_columns == ",".join(self.DEFAULT)

    @property
    def all_columns(self) -> str:
        return ", ".join(self.base_columns)

    def sort_of(self, column: str) -> dict[str, str] | None:
        """The URL parameter that orders by this column, and what `aria-sort` says now."""
        field = self.SORTS.get(column)
        if field is None:
            return None
        now = "ascending" if self.sort == field else "descending" if self.sort == f"-{field}" else "none"
        following = f"-{field}" if now == "ascending" else field
        return {"value": following if following in ORDERS else field, "aria": now}

    def render_status(self, record: JobRow) -> SafeString:
        return format_html("{}{}", markup.plain_badge(shown_letter(record.job)), self._fact(record))

    def _fact(self, record: JobRow) -> str | SafeString:
        last = record.last
        if last is None or last.status in ("E", "D"):
            return ""
        if last.phase in ("stuck", "held"):
            return format_html(" {}", markup.fact_badge(last.phase, "alert-triangle", last.phase_message))
        if last.kill_asked_at:
            return format_html(" {}", markup.fact_badge("kill asked", "hand-stop", f"by {last.kill_asked_by}"))
        if last.absent_since:
            return format_html(" {}", markup.fact_badge("checking", "search", "not in the last listing; not gone yet"))
        return ""

    def render_name(self, record: JobRow) -> SafeString:
        return format_html('<a href="/jobs/{}/">{}</a>', record.job.job_id, words.short_name(record.job.name))

    def render_tag(self, value: str) -> str:
        return words.short_name(value)

    def render_attempts(self, record: JobRow) -> str:
        begun = record.job.num_attempts + (record.job.status in LIVE_LETTERS)
        return f"{begun} / {record.job.max_attempts}"

    def render_reason(self, record: JobRow) -> Any:
        if record.last is None:
            return NOTHING
        text = explain.ended_because(record.last)
        if not text:
            return NOTHING
        return format_html('<a href="/job-instances/{}/">{}</a>', record.last.pk, words.shorten(text, LONGEST_REASON))

    def render_memory(self, record: JobRow) -> str:
        used = words.memory(record.last.maxvmem) if record.last else words.NONE
        return f"{used} / {words.gigabytes(record.job.mem_free)}"

    def render_run_time(self, record: JobRow) -> str:
        return words.duration(ran_seconds(record.last))

    def render_max_runtime(self, value: int) -> str:
        return words.duration(value)

    def render_changed(self, value: Any) -> SafeString:
        return markup.when(value)

    def render_error(self, value: ErrorGroup) -> SafeString:
        return format_html('<a href="/error-groups/{}/">{}</a>', value.pk, value.title)

    def render_submitted(self, value: Any) -> SafeString:
        return markup.when(value)

    def render_command(self, value: str) -> SafeString:
        return format_html("<code>{}</code>", markup.clip(mask_secrets(split_command(value)[1]), 80))
