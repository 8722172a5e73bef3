"""Pure: numbers, times and facts in the words of the pages. No I/O, no HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from workflows import looks
from workflows.digits import read_digits
from workflows.directions import fenced
from workflows.state_machine import Reason

GB = 10**9
MOST_SAID = 300
LONGEST_NAME = 60
NO_EXIT = "it vanished without an exit code"
_IN_BRACKETS = re.compile(r"\(([^()]+)\)\.?$")
NONE = "\u2013"  # a dash: not known, or none
HEADS = {"C": "Registered, not started", "R": "Running", "S": "Stopped", "E": "Ended with failures", "D": "Done"}
SIGNALS = {1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 6: "SIGABRT", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV",
           13: "SIGPIPE",           15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ"}  # fmt: skip
REASON_WORDS: dict[str, str] = {
    Reason.EXIT: "exit code",
    Reason.SIGNAL: "signal",
    Reason.MEMORY: "over memory",
    Reason.RUNTIME: "over run time",
    Reason.LOST: "lost",
    Reason.KILLED: "killed",
    Reason.REFUSED: "refused",
    Reason.VOID: "never started",
}


def number(value: int) -> str:
    return f"{value:,}"


def plural(count: int, noun: str, many: str = "") -> str:
    """`1 job`, `1,204 jobs`."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def duration(seconds: float | None) -> str:
    """`0 s`, `0.4 s`, `52 s`, `8 min`, `3 h 10 min`, `2 d 4 h`; a dash when not known."""
    if seconds is None:
        return NONE
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f}".removesuffix(".0") + " s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def since(moment: datetime, now: datetime) -> str:
    """`8 min ago`, `just now`, `in 3 min`; over a month ago, the date."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 2:
        return "just now"
    if seconds < 0:
        return f"in {duration(-seconds)}"
    if seconds > 31 * 86400:
        return f"{moment:%-d %b %Y}"
    if seconds >= 2 * 86400:
        return f"{plural(round(seconds / 86400), 'day')} ago"
    return f"{seconds:.0f} s ago" if seconds < 59.5 else f"{duration(seconds)} ago"


def memory(size: int | float | None) -> str:
    """Bytes in GB (10⁹ bytes), as people ask for them; a dash when not measured."""
    if size is None:
        return NONE
    if size < 10**6:
        return f"{size / 1000:.0f} kB"
    if size < GB / 10:
        return f"{size / 10**6:.0f} MB"
    return f"{size / GB:.3g} GB" if size < 999.5 * GB else f"{size / GB:,.0f} GB"


def shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def short_name(name: str) -> str:
    """Of a long one the beginning and the end, by which names of one kind differ."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME // 2]}…{name[1 - LONGEST_NAME // 2 :]}"


def gigabytes(value: float | None) -> str:
    """The same of GB: what was asked for and what was used stand side by side. Nothing asked for is 0 GB."""
    return "0 GB" if value == 0 else memory(None if value is None else value * GB)


def whole(value: float | None) -> str:
    """To the next whole number; a dash when not known."""
    return NONE if value is None else number(round(value))


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None


def attempts(used: int, most: int, *, is_live: bool) -> str:
    """`attempt 1 of 3` while one is live, which is not used up yet; else `1 of 3 attempts used`."""
    return f"attempt {used + 1:,} of {most:,}" if is_live else f"{used:,} of {plural(most, 'attempt')} used"


def all_attempts(most: int) -> str:
    """`All 3 attempts are`, `Its only attempt is`."""
    return "Its only attempt is" if most == 1 else f"All {most:,} attempts are"


def signal_name(number_: int) -> str:
    return SIGNALS.get(number_, f"signal {number_}")


def reason_sentence(instance: Mapping[str, object]) -> str:
    """Why an attempt ended, with its numbers. `instance` holds the fields of a JobInstance; '' if it did not fail."""
    reason = str(instance.get("reason") or "")
    host = f" on {fenced(instance['nodename'])}" if instance.get("nodename") else ""
    if reason == Reason.EXIT:
        return f"Exit code {_known(instance.get('exit_code'))}{host}"
    evidence = str(instance.get("evidence") or "")
    if reason == Reason.SIGNAL:
        signal, witness = instance.get("signal"), " (accounting)" if "accounting says so" in evidence else ""
        return f"Ended by {signal_name(signal) if isinstance(signal, int) else 'a signal'}{host}{witness}"
    if reason == Reason.MEMORY:
        return _over_memory(instance) + _told_by_accounting(evidence)
    if reason == Reason.RUNTIME:
        return _over_runtime(instance) + _told_by_accounting(evidence)
    if reason == Reason.LOST:
        absent = "no exit file, absent from two listings" if "absent from two listings" in evidence else NO_EXIT
        return f"Lost after its start{host}: {absent}{_told_by_accounting(evidence)}"
    if reason == Reason.KILLED:
        who = instance.get("kill_asked_by")
        return f"Killed by {fenced(who)}" if who else "Killed by a person"
    if reason == Reason.REFUSED:
        said = evidence.removeprefix("Refused:").strip().rstrip(".")[:MOST_SAID]
        return f"Refused by {fenced(instance.get('executor_type'))}: {fenced(said) if said else 'it will never run this request'}"
    return "Never started; not counted as an attempt" if reason == Reason.VOID else ""


def _told_by_accounting(evidence: str) -> str:
    """The batch system's own words, which stand in brackets at the end of the evidence."""
    found = _IN_BRACKETS.search(evidence)
    return f" (accounting: {fenced(found[1][:MOST_SAID])})" if found else ""


def _known(value: object) -> object:
    return "not known" if value is None else value


def _over_memory(instance: Mapping[str, object]) -> str:
    asked, used = instance.get("mem_free"), instance.get("maxvmem")
    text = f"Over memory: asked {gigabytes(float(asked))}" if isinstance(asked, int | float) else "Over memory"
    return f"{text}, used {memory(used)}" if isinstance(used, int) else text


def _over_runtime(instance: Mapping[str, object]) -> str:
    asked, used = instance.get("max_runtime"), instance.get("wallclock")
    text = f"Over run time: asked {duration(asked)}" if isinstance(asked, int) else "Over run time"
    return f"{text}, ran {duration(float(used))}" if isinstance(used, int | float) else text


def counts_sentence(counts: Mapping[str, int]) -> str:
    """`412,118 done, 37 failed, 4 running`: what a bar shows, for those who cannot see it."""
    parts = [f"{counts[letter]:,} {looks.SHOWN[letter].word}" for letter in "DFBRIQEG" if counts.get(letter)]
    return ", ".join(parts) or "no jobs"


def workflow_sentence(
    status: str, counts: Mapping[str, int], stopping: str = "", held: str = "", kinds: int = 0
) -> str:
    """The one sentence on top of a workflow: how far it is, and what stands in the way. `kinds`: groups of errors."""
    total = sum(counts.values())
    if not total:
        return "It has no jobs."
    done, failed = counts.get("D", 0), counts.get("F", 0)
    head = HEADS[status]
    if stopping:
        head = "Stopping: running jobs are being killed" if stopping == "kill" else "Stopping: running jobs may finish"
    elif held:
        head = "On hold"
    if status == "D" and done == total:
        return f"Done: all {plural(total, 'job')}."
    text = f"{head}: {done:,} of {plural(total, 'job')} done"
    text += f", {failed:,} failed" if failed else ""
    text += f" ({plural(kinds, 'kind of error', 'kinds of errors')})" if failed > 1 and kinds else ""
    text += f", {counts['B']:,} blocked{' by it' if failed == 1 else ''}" if counts.get("B") else ""
    active = counts.get("R", 0)
    return text + (f", {active:,} running." if active else ".")


def end_span(earliest: datetime, latest: datetime, now: datetime) -> str:
    """`16:10` to `19:40` with a dash between them, with the days where it is not soon; for a list."""
    is_soon, is_one_day = latest - now < timedelta(hours=20), earliest.date() == latest.date()
    first = f"{earliest:%H:%M}" if is_soon else f"{earliest:%-d %b %H:%M}"
    last = f"{latest:%H:%M}" if is_soon or is_one_day else f"{latest:%-d %b %H:%M}"
    return first if earliest == latest else f"{first}{NONE}{last}"


def forecast_sentence(earliest: datetime, latest: datetime, bound_by: str, made: datetime, now: datetime) -> str:
    """When what can run ends, in the zone of these times, with what binds it; its age where it is old."""
    is_soon = latest - now < timedelta(hours=20)
    first, last = (f"{moment:%H:%M}" if is_soon else f"{moment:%a %-d %b %H:%M}" for moment in (earliest, latest))
    span = f"at about {last}" if first == last else f"between {first} and {last}"
    age = f" (as of {made:%H:%M})" if now - made > timedelta(minutes=5) else ""
    how = bound_by if bound_by.startswith("as ") else f"bound by {fenced(bound_by)}"
    return f"What can run ends {span}{age}, {how}."


def parse_since(text: str, now: datetime) -> datetime | None:
    """`30m`, `24h`, `7d`, `2w`, or an ISO date or time (UTC unless it says otherwise); None if it is none of them."""
    units = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
    text = text.strip()
    count = read_digits(text[:-1], 5)
    if count is not None and text[-1] in units:
        return now - timedelta(seconds=count * units[text[-1]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
