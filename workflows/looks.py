"""Pure: how each status looks — icon, word and colour class — and the stacked bar of counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """`key` names the colour class `s-<key>`; `icon` is a name in the sprite; `hint` says the word in a sentence."""

    key: str
    word: str
    icon: str
    hint: str


WAITING = Look("waiting", "waiting", "circle-dotted", "waits for its upstreams, or for a resume")
BLOCKED = Look("blocked", "blocked", "ban", "waits for a job that failed")
QUEUED = Look("queued", "queued", "clock", "next to be submitted")
SUBMITTED = Look("submitted", "submitted", "send", "its executor has it; it has not started")
RUNNING = Look("running", "running", "player-play", "running now")
RETRYING = Look("retrying", "retrying", "refresh", "an attempt failed; another one follows")
FAILED = Look("failed", "failed", "circle-x", "all attempts failed")
DONE = Look("done", "done", "circle-check", "ended with success")

JOB: dict[str, Look] = {
    "G": WAITING,
    "Q": QUEUED,
    "I": SUBMITTED,
    "R": RUNNING,
    "E": RETRYING,
    "F": FAILED,
    "D": DONE,
}
WORKFLOW: dict[str, Look] = {
    "C": Look("waiting", "created", "circle-dotted", "registered, not started yet"),
    "R": Look("running", "running", "player-play", "a run is live"),
    "S": Look("blocked", "stopped", "player-stop", "a person stopped it"),
    "E": Look("failed", "failed", "circle-x", "no job can move, and some failed"),
    "D": Look("done", "done", "circle-check", "all jobs are done"),
}
# What pages count: "B" stands for those in G that are blocked.
SHOWN: dict[str, Look] = {"G": WAITING, "B": BLOCKED, **{letter: look for letter, look in JOB.items() if letter != "G"}}
# The filters of the job table that find what is counted under a letter, where that is not the status alone.
SHOWN_FILTERS = {"B": {"blocked": "1"}, "G": {"status": "G", "blocked": "0"}}
INSTANCE: dict[str, Look] = {
    "I": Look("queued", "being submitted", "clock", "about to be handed to its executor"),
    "B": Look("submitted", "in the queue", "send", "its executor has it; it has not started"),
    "R": RUNNING,
    "E": Look("failed", "failed", "circle-x", "ended with an error"),
    "D": DONE,
}
KINDS: dict[str, dict[str, Look]] = {"job": SHOWN, "workflow": WORKFLOW, "run": WORKFLOW, "instance": INSTANCE}

BAR_ORDER = "DRIQGBEF"
BAR_WIDTH, BAR_GAP, BAR_LEAST = 400.0, 2.0, 3.0


def shown_letter(status: str, blocked_by: int | None) -> str:
    """What pages count a job under: "B" where it waits for the failed job `blocked_by`."""
    return "B" if status == "G" and blocked_by is not None else status


def filters_of(letter: str) -> dict[str, str]:
    """The filters of the job table that find what is counted under this letter."""
    return SHOWN_FILTERS.get(letter) or {"status": letter}


@dataclass(frozen=True, slots=True)
class Segment:
    look: Look
    letter: str
    count: int
    x: float
    width: float


def bar_segments(counts: Mapping[str, int], width: float = BAR_WIDTH) -> list[Segment]:
    """Where each status stands on a bar `width` wide: in a fixed order, with gaps, and never too thin to see."""
    present = [(letter, counts.get(letter, 0)) for letter in BAR_ORDER if counts.get(letter, 0) > 0]
    if not present:
        return []
    room = width - BAR_GAP * (len(present) - 1)
    total = sum(count for _, count in present)
    shares = [max(BAR_LEAST, room * count / total) for _, count in present]
    excess, widest = sum(shares) - room, max(shares)
    shares[shares.index(widest)] = widest - excess
    segments, x = [], 0.0
    for (letter, count), share in zip(present, shares, strict=True):
        segments.append(Segment(SHOWN[letter], letter, count, round(x, 1), round(share, 1)))
        x += share + BAR_GAP
    return segments
