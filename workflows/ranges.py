"""Pure: ranges of numbers as the URL of a list writes them (`1.8-2.4`, `2-`, `-0.5`) and as people read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

_NUMBER = r"(?:\d{1,9}(?:\.\d{1,12})?)?"
_RANGE = re.compile(rf"({_NUMBER})-({_NUMBER})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` up to `high`, which is not part of it; None: no bound on this side."""

    low: Decimal | None
    high: Decimal | None


def read_range(text: str) -> Range | None:
    """None for what is no range, or holds nothing."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    low, high = (Decimal(part) if part else None for part in found.groups())
    return None if low is not None and high is not None and low >= high else Range(low, high)


def write_range(low: float, high: float) -> str:
    """To the billionth: of gigabytes, the byte."""
    return f"{_write(low)}-{_write(high)}"


def _write(number: float) -> str:
    text = f"{number:.9f}"
    return text.rstrip("0").rstrip(".")


def gigabytes_between(one: Range) -> str:
    """`1.8 to 2.4 GB`, `2 GB or more`, `under 0.5 GB`."""
    low, high = (None if end is None else f"{float(end):.6g}" for end in (one.low, one.high))
    if low is None:
        return f"under {high} GB"
    return f"{low} GB or more" if high is None else f"{low} to {high} GB"


def seconds_between(one: Range) -> str:
    """`10 min to 15 min`, `1 h 15 min or more`, `under 30 s`."""
    low, high = (None if end is None else exact_duration(float(end)) for end in (one.low, one.high))
    if low is None:
        return f"under {high}"
    return f"{low} or more" if high is None else f"{low} to {high}"


def exact_duration(seconds: float) -> str:
    """`75` as `1 min 15 s`: nothing is rounded away that tells one edge from the next."""
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        count, seconds = divmod(seconds, size)
        parts += [f"{count:.0f} {unit}"] if count else []
    if seconds or not parts:
        parts.append(f"{seconds:.4g} s")
    return " ".join(parts)
