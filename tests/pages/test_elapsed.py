"""Times that go on while a page is open, and the numbers by which polls are compared."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.pages.test_words import NONE, NOW, attempt, job, run
from workflows import explain, markup
from workflows.models import JobInstance
from workflows.queries.versions import digest

STARTED = NOW - timedelta(minutes=7)


@pytest.mark.parametrize(
    ("last", "since"),
    [
        (attempt("R", started_at=STARTED, nodename="c042"), STARTED),
        (attempt("B", executor_id="77"), NOW - timedelta(minutes=8)),
        (attempt("I"), NOW - timedelta(minutes=8)),
        (attempt("R", started_at=STARTED, absent_since=NOW - timedelta(seconds=40)), NOW - timedelta(seconds=40)),
    ],
    ids=["running", "queued", "being submitted", "checking"],
)
def test_the_time_in_a_why_sentence_goes_on(last: JobInstance, since: object) -> None:
    sentence = explain.why(job("R" if last.status == "R" else "I"), last, run(), NONE, NOW)
    shown = markup.with_elapsed(sentence, explain.counted_from(last), NOW)
    assert explain.counted_from(last) == since
    assert shown.count("<time data-for datetime=") == 1
    assert shown.partition(" for ")[2].startswith("<time data-for")


def test_a_sentence_without_such_a_time_stays_as_it_is_and_is_escaped() -> None:
    over = attempt("E", reason="exit", exit_code=1, nodename="<b>c042</b>", ended_at=NOW)
    sentence = explain.why(job("F"), over, run(), NONE, NOW)
    shown = markup.with_elapsed(sentence, explain.counted_from(over), NOW)
    assert shown == "Exit code 1 on &lt;b&gt;c042&lt;/b&gt;. All 3 attempts are used up."
    running = attempt("R", started_at=STARTED, nodename="<i>")
    sentence = explain.why(job("R"), running, run(), NONE, NOW)
    assert "on &lt;i&gt;" in markup.with_elapsed(sentence, explain.counted_from(running), NOW)


def test_a_run_that_has_ended_took_so_long_and_no_longer() -> None:
    assert markup.took(run(created_date=STARTED, ended_at=NOW)) == "7 min"
    assert "<time data-for" in markup.took(run(created_date=STARTED))


def test_a_digest_differs_once_a_value_does() -> None:
    assert digest([1, "a", None, NOW]) == digest(value for value in (1, "a", None, NOW))
    assert len({digest([1]), digest([2]), digest(["1"]), digest([1, None]), digest([])}) == 5
