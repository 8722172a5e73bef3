"""Pure: which job of one tag waits for which of another, so that the graph agrees with the statuses of its jobs."""

from __future__ import annotations

Pairs = list[tuple[int, int]]
WAITING = "G"


def pair(ups: str, downs: str) -> Pairs:
    """Positions (upstream, downstream) for jobs in these statuses, a letter each. A single job waits for all, far
    fewer jobs that wait for several each; else each waits for the job of the same number. Where that would let a job begin before its upstream is done, those that have
    begun get upstreams that are done, and those that wait get the others first."""
    if len(downs) == 1:
        return [(up, 0) for up in range(len(ups))]
    if downs == WAITING * len(downs) and len(downs) * 2 <= len(ups):
        return [(up, up % len(downs)) for up in range(len(ups))]
    plain = [(down % len(ups), down) for down in range(len(downs))]
    if "D" not in ups or all(downs[down] == WAITING or ups[up] == "D" for up, down in plain):
        return plain
    return _agreeing(ups, downs)


def _agreeing(ups: str, downs: str) -> Pairs:
    done = [up for up, letter in enumerate(ups) if letter == "D"]
    begun = [down for down, letter in enumerate(downs) if letter != WAITING]
    waiting = [down for down, letter in enumerate(downs) if letter == WAITING]
    others = [up for up, letter in enumerate(ups) if letter != "D"] + done[len(begun) :]
    return [
        *((done[place % len(done)], down) for place, down in enumerate(begun)),
        *(((others or done)[place % len(others or done)], down) for place, down in enumerate(waiting)),
    ]
