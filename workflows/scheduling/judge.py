"""Pure: from the evidence to the verdict. Exit file before accounting before absence."""

from __future__ import annotations

import signal as signals
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from executors.base import Evidence, ExitInfo, TokenKind, Usage
from workflows import fingerprint
from workflows.lifecycle import Ending
from workflows.state_machine import Reason

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of the attempt beside its evidence."""

    instance_id: int
    is_kill_asked: bool = False
    kill_asked_by: str = ""
    mem_free: float = 0.0
    max_runtime: int | None = None


def moment(seconds: float | None) -> datetime | None:
    """Epoch seconds as a time; None if there are none or they are nonsense."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def merge_usage(first: Usage | None, second: Usage | None) -> Usage:
    """The first one's numbers, filled up with the second's."""
    one, two = first or Usage(), second or Usage()
    return Usage(
        wallclock=_first_known(one.wallclock, two.wallclock),
        cpu=_first_known(one.cpu, two.cpu),
        maxvmem=_first_known(one.maxvmem, two.maxvmem),
        io=_first_known(one.io, two.io),
    )


def _first_known(one: Number | None, two: Number | None) -> Number | None:
    return two if one is None else one


def describe_signal(number: int) -> str:
    try:
        return f"signal {number} ({signals.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def judge_exit(asked: Asked, evidence: Evidence, measured: Usage | None = None, told: ExitInfo | None = None) -> Ending:
    """The verdict on an attempt whose exit is recorded."""
    ended, token = evidence.exit, evidence.token
    assert ended is not None and token is not None
    usage = merge_usage(measured, merge_usage(evidence.usage, told.usage if told else None))
    reason, sentence = _judge_code(asked, evidence, usage, told)
    return Ending(
        instance_id=asked.instance_id,
        reason=reason,
        evidence=sentence,
        exit_code=ended.code,
        signal=ended.signal,
        host=token.host or "",
        process_group_id=token.process_group_id,
        executor_id=token.executor_id,
        started_at=moment(token.started_at),
        ended_at=moment(ended.ended_at),
        usage=usage,
    )


def _judge_code(asked: Asked, evidence: Evidence, usage: Usage, told: ExitInfo | None) -> tuple[Reason | None, str]:
    assert evidence.exit is not None
    code, number = evidence.exit.code, evidence.exit.signal
    if code == 0:
        return None, "Exit code 0 in the exit record."
    over = evidence.over or (told.over if told else None)
    if over == "runtime":
        return Reason.RUNTIME, f"Over run time: asked {asked.max_runtime or '?'} s{_used_time(usage)}."
    if over == "memory":
        return Reason.MEMORY, f"Over memory: asked {asked.mem_free:g} GB{_used_memory(usage)}."
    if asked.is_kill_asked:
        return Reason.KILLED, f"Killed by {asked.kill_asked_by or 'a person'} (exit code {code})."
    if number is not None:
        return Reason.SIGNAL, f"Ended by {describe_signal(number)}: exit code {code} in the exit record."
    return Reason.EXIT, f"Exit code {code} in the exit record."


def _used_time(usage: Usage) -> str:
    return f", ran {usage.wallclock:.1f} s" if usage.wallclock is not None else ""


def _used_memory(usage: Usage) -> str:
    return f", used {usage.maxvmem / 1e9:.1f} GB" if usage.maxvmem else ""


def with_fingerprint(ending: Ending) -> Ending:
    """A failure is fingerprinted once, when it is written."""
    if ending.reason is None:
        return ending
    made = fingerprint.fingerprint(ending.reason.value, ending.description)
    return replace(ending, fingerprint=made.hash, title=made.title)


def judge_void(asked: Asked) -> Ending:
    """The token is void: the attempt never started and never will."""
    if asked.is_kill_asked:
        sentence = f"Killed by {asked.kill_asked_by or 'a person'} before it started."
        return with_fingerprint(Ending(asked.instance_id, Reason.KILLED, sentence, description=sentence))
    return Ending(asked.instance_id, Reason.VOID, "Never started: its token is void. Not counted as an attempt.")


def judge_vanished(asked: Asked, evidence: Evidence, told: ExitInfo | None) -> Ending:
    """Started, no exit record, absent for longer than the grace: accounting decides, if it knows."""
    token = evidence.token
    assert token is not None and token.kind is TokenKind.START
    reason, sentence = _judge_absence(asked, evidence, told)
    usage = merge_usage(told.usage if told else None, evidence.usage)
    return Ending(
        instance_id=asked.instance_id,
        reason=reason,
        evidence=sentence,
        exit_code=told.exit_code if told else None,
        signal=told.signal if told else None,
        host=(told.host if told else None) or token.host or "",
        process_group_id=token.process_group_id,
        executor_id=token.executor_id,
        started_at=moment(token.started_at),
        ended_at=moment(told.ended_at) if told else None,
        usage=usage,
    )


def _judge_absence(asked: Asked, evidence: Evidence, told: ExitInfo | None) -> tuple[Reason, str]:
    over = evidence.over or (told.over if told else None)
    words = f" ({told.words})" if told and told.words else ""
    if over == "runtime":
        return Reason.RUNTIME, f"Over run time: asked {asked.max_runtime or '?'} s{words}."
    if over == "memory":
        used = _used_memory(told.usage) if told else ""
        return Reason.MEMORY, f"Over memory: asked {asked.mem_free:g} GB{used}{words}."
    if asked.is_kill_asked:
        return Reason.KILLED, f"Killed by {asked.kill_asked_by or 'a person'}; absent from two listings."
    where = f" on {evidence.token.host}" if evidence.token and evidence.token.host else ""
    if told is not None and told.signal and not told.node_failed:
        return (
            Reason.SIGNAL,
            f"Ended{where} by {describe_signal(told.signal)}: no exit record, accounting says so{words}.",
        )
    return Reason.LOST, f"Lost after start{where}: no exit record, absent from two listings{words}."
