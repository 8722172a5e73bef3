"""Whose turn it is in this process: which runs its threads have in hand, how long each may keep a thread, and which
bells its looks have answered.

A busy run rings many times while it waits for a thread. A look reads all that was true before it began, and so answers
every bell that was rung before: those would each cost another pass, and ring again, until nothing else was done."""

from __future__ import annotations

import threading
import time

# A thread works on one run at a time, and the others wait for their turn. A turn costs its lease and one message, some
# milliseconds; few busy runs may keep a thread for long, many are all looked at about once in a ROUND.
ROUND = LONGEST_TURN = 2.0
SHORTEST_TURN = 0.2
BUSY_SECONDS = 10.0  # a run that was looked at so lately is counted as busy
in_hand: set[int] = set()
_looked: dict[int, float] = {}
_rung: dict[int, float] = {}
_lock = threading.Lock()


def take(run_id: int, rung: float) -> bool:
    """False: a thread of this process is at it, and will know of this bell when it puts the run down."""
    with _lock:
        if run_id in in_hand:
            _rung[run_id] = max(rung, _rung.get(run_id, rung))
            return False
        in_hand.add(run_id)
        return True


def note_look(run_id: int) -> None:
    """A look at the run begins."""
    _looked[run_id] = time.monotonic()


def put_down(run_id: int) -> bool:
    """Whether somebody has rung since the last look began."""
    with _lock:
        in_hand.discard(run_id)
        rung = _rung.pop(run_id, None)
        return rung is not None and not has_looked_since(run_id, rung)


def forget(run_id: int) -> None:
    """The last look failed, or the run is over: it answers nothing."""
    _looked.pop(run_id, None)


def has_looked_since(run_id: int, moment: float) -> bool:
    """`moment`: by the monotonic clock of this machine."""
    return _looked.get(run_id, float("-inf")) > moment


def longest_turn() -> float:
    """Seconds for which a run may keep its thread."""
    return share_round(count_busy(), len(in_hand))


def share_round(busy: int, threads: int) -> float:
    """`threads`: how many work on runs at this moment."""
    return max(SHORTEST_TURN, min(LONGEST_TURN, ROUND * threads / max(busy, 1)))


def count_busy() -> int:
    """Runs looked at lately; older looks are forgotten, but for those of runs in hand."""
    oldest = time.monotonic() - BUSY_SECONDS
    for run_id, looked in list(_looked.items()):
        if looked < oldest and run_id not in in_hand:
            _looked.pop(run_id, None)
    return len(_looked)
