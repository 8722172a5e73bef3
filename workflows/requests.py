"""Pure: what to ask for next time, from what was used, and what that risks.

The suggestion is the smallest round request that covers the wanted share of what was measured. The share that it does
not cover will need a second attempt. An attempt that was ended for its use needed more than was measured: it counts as
not covered by anything. Memory in GB (10**9 bytes), run time in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

MIN_MEASURED = 30
COVER = 0.99
MORE = 1.5  # times what was asked, where it was too little and nobody knows by how much
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# Run times as people ask for them
_TIMES = (
    *(_MINUTE * count for count in (1, 2, 5, 10, 15, 20, 30, 45)),
    *(_HOUR * count for count in (1, 1.5, 2, 3, 4, 6, 8, 12, 18)),
)


@dataclass(frozen=True, slots=True)
class Used:
    """What attempts used: (amount, attempts), ascending. `exceeded`: those that were ended for using too much;
    `not_measured`: those of which nothing is known, which is not the same as 0."""

    amounts: Sequence[tuple[float, int]]
    exceeded: int = 0
    not_measured: int = 0

    @property
    def measured(self) -> int:
        return sum(count for _, count in self.amounts) + self.exceeded


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`request` covers the share `covers` (0 to 1) of the measured; `saved` is in GB-hours, negative if it asks
    for more than now; `sentence` says all of it. `request` None: the sentence says why there is none."""

    request: float | None
    covers: float
    saved: float
    sentence: str


def from_samples(samples: Iterable[float | None], exceeded: int = 0) -> Used:
    """One amount per attempt that was not ended for its use; None and what is no number: not measured."""
    known: dict[float, int] = {}
    missing = 0
    for sample in samples:
        if sample is None or not math.isfinite(sample) or sample < 0:
            missing += 1
        else:
            known[sample] = known.get(sample, 0) + 1
    return Used(sorted(known.items()), exceeded, missing)


def from_bins(bins: Iterable[tuple[float, int]], exceeded: int = 0, not_measured: int = 0) -> Used:
    """(upper edge, attempts) of each bin. All in a bin count as if they had used its upper edge: never too little."""
    return Used(sorted((edge, count) for edge, count in bins if count > 0), exceeded, not_measured)


def suggest_memory(used: Used, asked: float, hours: float, cover: float = COVER) -> Suggestion:
    """GB. `asked`: what these attempts asked for, on average; `hours`: how long they ran, together."""
    request = _choose(used, cover, round_up_memory)
    if request is None:
        more = round_up_memory(asked * MORE)
        return Suggestion(None, 0.0, 0.0, _why_none(used, f"Ask more than {asked:.3g} GB, for example {more:g} GB."))
    saved = (asked - request) * hours
    saving = f"; {abs(saved):,.0f} GB-h {'less' if saved > 0 else 'more'}" if abs(saved) >= 0.5 else ""
    now = ", as now," if request == asked else ""
    return _describe(used, request, saved, f"{request:g} GB{now}", saving)


def suggest_runtime(used: Used, asked: float | None = None, cover: float = COVER) -> Suggestion:
    """Seconds. A limit on run time costs nothing while it is not reached, so nothing is saved."""
    request = _choose(used, cover, round_up_runtime)
    if request is None:
        more = (
            f" than {format_runtime(asked)}, for example {format_runtime(round_up_runtime(asked * MORE))}"
            if asked
            else ""
        )
        return Suggestion(None, 0.0, 0.0, _why_none(used, f"Ask more{more}."))
    now = ", as now," if request == asked else ""
    return _describe(used, request, 0.0, f"{format_runtime(request)}{now}", "")


def _describe(used: Used, request: float, saved: float, amount: str, saving: str) -> Suggestion:
    covers = share_covered(used, request)
    return Suggestion(request, covers, saved, f"{amount} covers {_percent(covers)}{saving}; {_risk(used, covers)}")


def request_line(memory: Suggestion, runtime: Suggestion) -> str:
    """What to copy into the script, as in `mem_free=18, max_runtime=7200`; empty if nothing is suggested."""
    parts = [f"mem_free={memory.request:g}"] if memory.request is not None else []
    parts += [f"max_runtime={runtime.request:.0f}"] if runtime.request is not None else []
    return ", ".join(parts)


def round_up_memory(amount: float) -> float:
    """To 0.1 GB below 1, to 0.5 below 4, to 1 below 16, to 2 below 64, to 8 below 256, then to 32."""
    for below, step in ((1, 0.1), (4, 0.5), (16, 1), (64, 2), (256, 8)):
        rounded = round(max(1, math.ceil(round(amount / step, 9))) * step, 1)
        if amount <= rounded <= below:
            return rounded
    return math.ceil(amount / 32) * 32.0


def round_up_runtime(amount: float) -> float:
    """To 1, 2, 5, 10, 15, 20, 30, 45 min, 1, 1.5, 2, 3, 4, 6, 8, 12, 18 h, then whole days."""
    fitting = next((float(seconds) for seconds in _TIMES if amount <= seconds), None)
    return fitting if fitting is not None else math.ceil(amount / _DAY) * float(_DAY)


def format_runtime(value: float) -> str:
    for unit, seconds in (("d", _DAY), ("h", _HOUR)):
        if value >= seconds:
            return f"{value / seconds:g} {unit}"
    return f"{value / _MINUTE:g} min"


def share_covered(used: Used, request: float) -> float:
    """The share of the measured that a request would have been enough for."""
    fitting = sum(count for amount, count in used.amounts if amount <= request)
    return fitting / used.measured if used.measured else 0.0


def _choose(used: Used, cover: float, round_up: Callable[[float], float]) -> float | None:
    """The request; None where too little is known."""
    if used.measured < MIN_MEASURED:
        return None
    reached = accumulate(count for _, count in used.amounts)
    enough = math.ceil(round(cover * used.measured, 9))
    found = (amount for (amount, _), count in zip(used.amounts, reached, strict=True) if count >= enough)
    return next((round_up(amount) for amount in found), None)


def _why_none(used: Used, ask_more: str) -> str:
    """Why nothing is suggested, and what to do where too many were ended for using too much."""
    if used.measured < MIN_MEASURED:
        unknown = f" ({used.not_measured:,} not measured)" if used.not_measured else ""
        return f"Not known yet: {used.measured} of the {MIN_MEASURED} measured attempts that it takes{unknown}."
    share = _percent(used.exceeded / used.measured)
    return (
        f"{share} of {used.measured:,} attempts were ended for using too much: what they need is not known. {ask_more}"
    )


def _risk(used: Used, covers: float) -> str:
    """None seen to need more is not none: at 95 % confidence up to 3 in the number measured may."""
    if covers < 1:
        return f"about {_percent(1 - covers)} will need a second attempt"
    return f"none of {used.measured:,} needed more, so at most about {_percent(3 / used.measured)} will need more"


def _percent(share: float) -> str:
    """With one digit after the point; what is not all is never shown as all, nor something as nothing."""
    shown = min(99.9, max(0.1, round(share * 100, 1))) if 0 < share < 1 else share * 100
    return f"{shown:g} %"
