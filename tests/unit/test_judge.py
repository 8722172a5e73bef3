"""From evidence to verdict: exit record before accounting before absence."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.base import Evidence, Exit, ExitInfo, Token, TokenKind, Usage
from executors.token_file import parse_token
from workflows.scheduling.judge import (
    Asked,
    describe_signal,
    judge_exit,
    judge_vanished,
    judge_void,
    merge_usage,
    moment,
)
from workflows.state_machine import Reason

ASKED = Asked(7, mem_free=4.0, max_runtime=60)
KILLED = Asked(7, is_kill_asked=True, kill_asked_by="alice", mem_free=4.0, max_runtime=60)
START = Token(TokenKind.START, "nonce", "c041", 123, "99", 1000.0)


def ended(code: int, signal: int | None = None, over: str | None = None) -> Evidence:
    return Evidence(START, Exit(code, signal, 1010.0), Usage(wallclock=10.0), over)


@pytest.mark.parametrize(
    ("asked", "evidence", "told", "reason", "words"),
    [
        (ASKED, ended(0), None, None, "Exit code 0"),
        (KILLED, ended(0), None, None, "Exit code 0"),
        (ASKED, ended(0, over="runtime"), ExitInfo(exit_code=1), None, "Exit code 0"),
        (ASKED, ended(3), None, Reason.EXIT, "Exit code 3"),
        (ASKED, ended(139, 11), None, Reason.SIGNAL, "SIGSEGV"),
        (ASKED, ended(137, 9, "memory"), None, Reason.MEMORY, "asked 4 GB"),
        (ASKED, ended(143, 15, "runtime"), None, Reason.RUNTIME, "asked 60 s, ran 10.0 s"),
        (ASKED, ended(137, 9), ExitInfo(over="memory"), Reason.MEMORY, "Over memory"),
        (KILLED, ended(143, 15), None, Reason.KILLED, "Killed by alice"),
        (KILLED, ended(137, 9, "memory"), None, Reason.MEMORY, "Over memory"),
    ],
)
def test_an_exit_record_decides(
    asked: Asked, evidence: Evidence, told: ExitInfo | None, reason: Reason | None, words: str
) -> None:
    ending = judge_exit(asked, evidence, told=told)
    assert (ending.instance_id, ending.reason) == (7, reason)
    assert words in ending.evidence
    assert (ending.host, ending.process_group_id, ending.executor_id) == ("c041", 123, "99")
    assert ending.ended_at == datetime.fromtimestamp(1010, UTC)


@pytest.mark.parametrize(
    ("asked", "evidence", "told", "reason", "words"),
    [
        (ASKED, Evidence(START), None, Reason.LOST, "Lost after start on c041"),
        (ASKED, Evidence(START), ExitInfo(), Reason.LOST, "no exit record"),
        (ASKED, Evidence(START), ExitInfo(exit_code=0), Reason.LOST, "Lost after start"),
        (ASKED, Evidence(START), ExitInfo(signal=9), Reason.SIGNAL, "SIGKILL"),
        (ASKED, Evidence(START), ExitInfo(signal=9, node_failed=True, words="NODE_FAIL"), Reason.LOST, "NODE_FAIL"),
        (ASKED, Evidence(START), ExitInfo(over="memory", words="oom"), Reason.MEMORY, "oom"),
        (ASKED, Evidence(START, over="runtime"), None, Reason.RUNTIME, "asked 60 s"),
        (KILLED, Evidence(START), None, Reason.KILLED, "absent from two listings"),
    ],
)
def test_without_an_exit_record_accounting_decides_and_then_absence(
    asked: Asked, evidence: Evidence, told: ExitInfo | None, reason: Reason, words: str
) -> None:
    ending = judge_vanished(asked, evidence, told)
    assert ending.reason is reason
    assert words in ending.evidence


@given(
    st.builds(ExitInfo, exit_code=st.none() | st.integers(0, 255), signal=st.none() | st.integers(1, 64),
              over=st.sampled_from([None, "memory", "runtime"]), node_failed=st.booleans()),
    st.booleans(),
)  # fmt: skip
def test_accounting_alone_never_makes_a_success(told: ExitInfo, is_kill_asked: bool) -> None:
    """A forced deletion may leave a 0 there."""
    assert judge_vanished(Asked(1, is_kill_asked), Evidence(START), told).reason is not None


@given(st.integers(1, 255), st.booleans(), st.sampled_from([None, "memory", "runtime"]))
def test_a_code_other_than_0_is_never_a_success_and_0_always_is(
    code: int, is_kill_asked: bool, over: str | None
) -> None:
    asked = Asked(1, is_kill_asked)
    signal = code - 128 if code > 128 else None
    assert judge_exit(asked, ended(code, signal, over)).reason is not None
    assert judge_exit(asked, ended(0, None, over)).reason is None


def test_void_is_the_end_of_what_never_started() -> None:
    assert judge_void(ASKED).reason is Reason.VOID
    assert judge_void(KILLED).reason is Reason.KILLED
    assert "before it started" in judge_void(KILLED).evidence


@pytest.mark.parametrize("seconds", [None, 1e300, -1e300, float("nan"), float("inf")])
def test_nonsense_is_no_time(seconds: float | None) -> None:
    assert moment(seconds) is None


@given(st.floats())
def test_no_number_of_seconds_crashes(seconds: float) -> None:
    found = moment(seconds)
    assert found is None or found.tzinfo is UTC


def test_an_unknown_signal_is_a_number() -> None:
    assert describe_signal(9) == "signal 9 (SIGKILL)"
    assert describe_signal(999) == "signal 999"


def test_usage_is_filled_up_not_overwritten() -> None:
    assert merge_usage(Usage(wallclock=1.0), Usage(wallclock=2.0, cpu=3.0)) == Usage(wallclock=1.0, cpu=3.0)
    assert merge_usage(None, None) == Usage()


LINES = st.sampled_from(["start", "void", "exit", "usage", "0m0.010s 0m0.020s", "wallclock=", "ended=", "\n", " ", "-"])
token_texts = st.text(max_size=200) | st.lists(LINES | st.text(max_size=8), max_size=20).map("".join)


@given(token_texts)
def test_a_token_of_any_text_is_read_and_judged(text: str) -> None:
    evidence = parse_token(text, 1000.0)
    if evidence.token is not None and evidence.exit is not None:
        ending = judge_exit(ASKED, evidence)
        assert (ending.reason is None) == (evidence.exit.code == 0)
    elif evidence.token is not None and evidence.token.kind is TokenKind.START:
        assert judge_vanished(ASKED, evidence, None).reason is not None
