"""The format of an attempt's token file. Pure.

    void <nonce> <who>
or
    start <nonce> <host> <pgid> <executor id> <epoch seconds or ->
    0m0.010s 0m0.020s                                        the shell's `times`, two lines
    exit <code>
    usage wallclock=1.5 cpu=0.2 maxvmem=1048576 io=0 ended=<epoch seconds>

The wrapper appends the exit to the same file because its disk block is already there: a full disk cannot lose an exit
code. Whoever watched the wrapper may append what it measured. A line counts once its newline is written; a torn or
missing usage line costs only the figures.
"""

from __future__ import annotations

import math
import re

from executors.base import Evidence, Exit, Token, TokenKind, Usage

_TIMES = re.compile(r"(\d+)m([\d.]+)s (\d+)m([\d.]+)s")


def parse_times(line: str) -> float | None:
    """CPU seconds (user and system) of one line of the shell's `times`."""
    match = _TIMES.fullmatch(line)
    if match is None:
        return None
    user_min, user_s, sys_min, sys_s = match.groups()
    try:
        return int(user_min) * 60 + float(user_s) + int(sys_min) * 60 + float(sys_s)
    except ValueError:
        return None


def _read_numbers(text: str) -> dict[str, float]:
    """`a=1 b=2`, without what is no finite number."""
    found: dict[str, float] = {}
    for item in text.split():
        key, _, value = item.partition("=")
        try:
            number = float(value)
        except ValueError:
            continue
        if math.isfinite(number):
            found[key] = number
    return found


def _make_usage(numbers: dict[str, float]) -> Usage:
    maxvmem, io = numbers.get("maxvmem"), numbers.get("io")
    return Usage(
        wallclock=numbers.get("wallclock"),
        cpu=numbers.get("cpu"),
        maxvmem=None if maxvmem is None else int(maxvmem),
        io=None if io is None else int(io),
    )


def parse_usage(text: str) -> Usage:
    """`wallclock=1.5 cpu=0.2 maxvmem=1048576 io=0`; unknown or unreadable items are left out."""
    return _make_usage(_read_numbers(text))


def format_usage(usage: Usage) -> str:
    fields = {"wallclock": usage.wallclock, "cpu": usage.cpu, "maxvmem": usage.maxvmem, "io": usage.io}
    known = ((key, value) for key, value in fields.items() if value is not None)
    return " ".join(f"{key}={value:.10g}" if isinstance(value, float) else f"{key}={value}" for key, value in known)


def render_usage_line(usage: Usage, ended_at: float) -> str:
    """The line to append. It carries the time of the exit, which was that of the file's last change until now."""
    return f"usage {format_usage(usage)} ended={ended_at!r}\n"


def _read_count(text: str) -> int | None:
    """A number as the wrappers write it, or None."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _parse_start(words: list[str]) -> Token:
    pgid = words[3] if len(words) > 3 else ""
    batch_id = words[4] if len(words) > 4 else "-"
    started = words[5] if len(words) > 5 else "-"
    return Token(
        TokenKind.START,
        nonce=words[1] if len(words) > 1 else "",
        host=words[2] if len(words) > 2 else None,
        process_group_id=_read_count(pgid),
        executor_id=None if batch_id == "-" else batch_id,
        started_at=_read_numbers(f"started={started}").get("started"),
    )


def _parse_exit(line: str) -> int | None:
    """The code of a line that begins with "exit "."""
    parts = line.split()
    return _read_count(parts[1]) if len(parts) >= 2 else None


def _combine(measured: Usage, derived: Usage) -> Usage:
    """What was measured, filled up with what follows from the wrapper's own lines."""
    return Usage(
        wallclock=derived.wallclock if measured.wallclock is None else measured.wallclock,
        cpu=derived.cpu if measured.cpu is None else measured.cpu,
        maxvmem=measured.maxvmem,
        io=measured.io,
    )


def parse_token(text: str, modified_at: float) -> Evidence:
    """What a token file says. An existing file without a complete line is a start in progress: `void` is linked
    whole, only a starting wrapper writes in place. Unknown lines are ignored; the first exit and the first usage
    count."""
    complete = text[: text.rfind("\n") + 1].split("\n")[:-1]
    if not complete:
        return Evidence(token=Token(TokenKind.START, nonce=""))
    words = complete[0].split()
    if words[:1] == ["void"]:
        return Evidence(token=Token(TokenKind.VOID, nonce=words[1] if len(words) > 1 else ""))
    return _parse_life(_parse_start(words), complete[1:], modified_at)


def _parse_life(token: Token, lines: list[str], modified_at: float) -> Evidence:
    """The lines after a start."""
    numbers: dict[str, float] | None = None
    cpu: float | None = None
    code: int | None = None
    for line in lines:
        if line.startswith("usage "):
            numbers = _read_numbers(line) if numbers is None else numbers
        elif line.startswith("exit "):
            code = _parse_exit(line) if code is None else code
        elif (seconds := parse_times(line)) is not None:
            cpu = seconds + (cpu or 0.0)
    measured = None if numbers is None else _make_usage(numbers)
    if code is None:
        return Evidence(token=token, usage=measured)
    ended_at = (numbers or {}).get("ended", modified_at)
    wallclock = None if token.started_at is None else max(0.0, ended_at - token.started_at)
    return Evidence(
        token=token,
        exit=Exit(code=code, signal=code - 128 if 128 < code <= 192 else None, ended_at=ended_at),
        usage=_combine(measured or Usage(), Usage(wallclock=wallclock, cpu=cpu)),
    )
