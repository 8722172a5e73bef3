"""Which faults a seed means. Pure. Each wave's plan follows from the seed and its number alone, so that one wave can be
played again, and a session that was broken off goes on with the plan it had."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tests.services import PARTS

Card = TypeVar("Card")
SUPERVISOR = "supervisor"
# Much longer than it takes until the sleeping submitter's attempts are given up: its lease, then a listing.
SLEEP = 24
PAUSE_POINT = "pause_before_submit"
PAUSE = f"{PAUSE_POINT}:sleep={SLEEP}@1"
# Those that only the shepherd has: jobs elsewhere never pass them.
LOCAL_POINTS = ("in_recovery", "before_spawn", "after_spawn", "before_hint")
# The fault points of the path of a job on this machine → what happens there, and at which passage (of one process) at
# the latest.
POINTS = {
    "in_kill": ("kill", 1), "after_intent_commit": ("kill", 3), "mid_directory": ("kill", 5),
    "submit_refused": ("raise", 2), "after_submit": ("kill", 2), PAUSE_POINT: (f"sleep={SLEEP}", 1),
    "after_id_stored": ("kill", 2), "after_exit_read": ("kill", 3), "before_downstream": ("kill", 3),
    "before_intent_commit": ("kill", 2), "after_void_link": ("kill", 1), "in_recovery": ("kill", 1),
    "before_spawn": ("kill", 6), "after_spawn": ("kill", 8), "before_hint": ("kill", 10),
}  # fmt: skip
# Fires only after an attempt was given up; the pause makes one that is.
NEEDS_A_PAUSE = "after_void_link"
POINTS_A_WAVE = 7
OVERLAPPING = 0.4
LEASE = 8  # seconds, of the server; see servers.py
LONGER_THAN_GRACE = (4.5, 6.0)
LONGER_THAN_LEASE = (LEASE + 1.0, LEASE + 2.5)


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind` is kill, stop, sleep (a stop that outlasts the lease), crash (everything at once), flush, pause (a start with
    the sleeping submitter, and nothing else until it has woken), arm (a start with `points` armed) or one of a trouble.
    `after`: seconds since the fault before; `seconds`: how long it lasts. `overlaps`: it comes while the fault before it
    lasts."""

    kind: str
    after: float
    part: str = ""
    seconds: float = 0.0
    points: tuple[str, ...] = ()
    overlaps: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind} {self.part}".strip()


def list_cards(families: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Every kind of fault, as (kind, part). `families`: the kinds of each trouble."""
    cards = [("kill", part) for part in (*PARTS, SUPERVISOR)] + [("stop", part) for part in PARTS]
    cards += [("sleep", "worker"), ("crash", ""), ("flush", "")]
    return cards + [(kind, "") for family in families for kind in sorted(family)]


def deal(seed: int, what: str, cards: Sequence[Card], wave: int, count: int) -> list[Card]:
    """The hand of one wave: the cards are shuffled and dealt without end, so that each comes as often as the others, and
    all of them have come once before one comes again."""
    if not cards:
        return []
    rng = random.Random(f"{seed}/{what}")
    dealt: list[Card] = []
    while len(dealt) < (wave + 1) * count:
        deck = list(cards)
        rng.shuffle(deck)
        dealt += deck
    return dealt[wave * count : (wave + 1) * count]


def choose_points(seed: int, wave: int, names: Sequence[str]) -> tuple[str, ...]:
    """What is armed in a wave beside the pause, each at a passage that the seed decides."""
    rng = random.Random(f"{seed}/{wave}/passages")
    chosen = deal(seed, "points", [name for name in names if name != PAUSE_POINT], wave, POINTS_A_WAVE)
    return tuple(f"{name}:{POINTS[name][0]}@{rng.randint(1, POINTS[name][1])}" for name in dict.fromkeys(chosen))


def plan_wave(
    seed: int, wave: int, count: int, points: Sequence[str] = (), families: Sequence[Sequence[str]] = ()
) -> list[Fault]:
    """First the sleeping submitter, then a start with points armed (if there are any), then `count` faults, of which some
    overlap. After the last one recovery is measured."""
    rng = random.Random(f"{seed}/{wave}/faults")
    planned = [_make_fault(rng, *card) for card in deal(seed, "faults", list_cards(families), wave, count)]
    first: list[Fault] = []
    if PAUSE_POINT in points:
        first.append(Fault("pause", round(rng.uniform(0.2, 1.0), 2), seconds=SLEEP))
    if armed := choose_points(seed, wave, points):
        first.append(Fault("arm", 0.2, points=armed))
    return [*first, *_overlap(rng, planned, families)]


def _make_fault(rng: random.Random, kind: str, part: str) -> Fault:
    after = round(rng.uniform(0.2, 1.2), 2)
    short, longer = rng.uniform(0.3, 3.0), rng.uniform(*LONGER_THAN_GRACE)
    match kind:
        case "sleep":
            seconds = rng.uniform(*LONGER_THAN_LEASE)
        case "stop":
            seconds = rng.choice((short, longer))
        case "stop-wrapper":
            seconds = longer
        case "kill" | "crash" | "flush":
            seconds = 0.0
        case _:
            seconds = short
    return Fault(kind, after, part, round(seconds, 2))


def _overlap(rng: random.Random, planned: Sequence[Fault], families: Sequence[Sequence[str]]) -> list[Fault]:
    """Pairs: a fault that lasts, and one of another family that comes in the middle of it. Always with that which lasts
    longest."""
    made: list[Fault] = []
    for fault in planned:
        before = made[-1] if made else None
        if before is not None and _may_overlap(before, fault, families):
            is_asleep = before.kind == "sleep"
            if is_asleep or rng.random() < OVERLAPPING:
                made[-1] = replace(before, seconds=max(before.seconds, fault.after + 1.0))
                fault = replace(fault, overlaps=True)
        made.append(fault)
    return made


def _may_overlap(before: Fault, fault: Fault, families: Sequence[Sequence[str]]) -> bool:
    if before.overlaps or not before.seconds:
        return False
    is_same_family = any(before.kind in family and fault.kind in family for family in families)
    ends_it = fault.kind == "crash" or (fault.kind == "kill" and fault.part in (before.part, SUPERVISOR))
    wakes_it = fault.kind in ("stop", "sleep") and fault.part == before.part
    return not is_same_family and not (before.part and (ends_it or wakes_it))


def pair(planned: Sequence[Fault]) -> list[tuple[Fault, ...]]:
    """Those that come together."""
    pairs: list[tuple[Fault, ...]] = []
    for fault in planned:
        if fault.overlaps:
            pairs[-1] = (*pairs[-1], fault)
        else:
            pairs.append((fault,))
    return pairs
