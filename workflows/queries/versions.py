"""Numbers that differ once a page has changed: what its poll compares before anything else is read. Pages of a workflow
compare its own change number, lists the rows that they have read."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from django.db.models import Subquery

from workflows.models import HostExclusion, JobInstanceStatusLog
from workflows.queries.frame import Frame


def digest(values: Iterable[object]) -> int:
    """One number for these values: the same for the same ones in every process."""
    return zlib.crc32(repr(list(values)).encode())


def of_executors(frame: Frame) -> int:
    """What the frame of every page knows of the server anyway. The sweep is heard each half minute, so that this changes
    as often as a page about executors asks."""
    return digest([frame.swept_at, frame.holds, frame.full, frame.banners])


def of_hosts() -> int:
    """The last move of any attempt, and the last decision about a host: one query, two index entries."""
    decided = HostExclusion.objects.order_by("-changed_at").values("changed_at")[:1]
    moves = JobInstanceStatusLog.objects.order_by("-pk").annotate(decided_at=Subquery(decided))
    return digest([moves.values_list("pk", "decided_at").first()])
