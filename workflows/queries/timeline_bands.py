"""Pure: the bins of a time line apart by tag, the largest tags by themselves and the others together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from workflows.queries.timeline import Minutes

MOST_BANDS = 8
QUEUED, RUNNING = 0, 1
Counts = Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Band:
    """Jobs of a tag (`group_id` None: of all that have no band of their own), queued and running in each bin."""

    group_id: int | None
    queued: list[int]
    running: list[int]


def split_bands(minutes: Minutes, order: Sequence[int]) -> list[Band]:
    """In the order of these groups. Of each bin the minute counts in which most were queued, or running: so the bands of
    a bin add up to what it says."""
    peaks = [_find_peaks(minutes, side) for side in (QUEUED, RUNNING)]
    sizes: Counter[int] = Counter()
    for side, found in enumerate(peaks):
        for counts in found:
            sizes.update({group: pair[side] for group, pair in counts.items() if pair[side]})
    own = {group for group, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:MOST_BANDS]}
    bands = [_make_band(group, {group}, peaks) for group in order if group in own]
    rest = sizes.keys() - own
    return [*bands, _make_band(None, rest, peaks)] if rest else bands


def _find_peaks(minutes: Minutes, side: int) -> list[Counts]:
    """For each bin the counts of the minute in which they are largest; nothing where nobody looked."""
    peaks: list[tuple[int, Counts]] = [(-1, {})] * len(minutes.bins)
    for minute, counts in sorted(minutes.by_tag.items()):
        index = int((minute - _first(minutes)) / minutes.width)
        total = sum(pair[side] for pair in counts.values())
        if total > peaks[index][0]:
            peaks[index] = total, counts
    return [counts for _, counts in peaks]


def _first(minutes: Minutes) -> datetime:
    return minutes.bins[0].at


def _make_band(group_id: int | None, groups: set[int], peaks: Sequence[Sequence[Counts]]) -> Band:
    queued, running = (
        [sum(pair[side] for group, pair in counts.items() if group in groups) for counts in found]
        for side, found in enumerate(peaks)
    )
    return Band(group_id, queued, running)
