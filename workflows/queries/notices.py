"""Reads about mail and about runs that stand still."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import Count

from workflows.models import Notice, RunStall

MOST_SHOWN = 20


def latest_notices(user: User) -> list[Notice]:
    return list(Notice.objects.filter(user=user).order_by("-id")[:MOST_SHOWN])


def find_stall(run_id: int) -> RunStall | None:
    return RunStall.objects.filter(pk=run_id).first()


def count_stalls() -> dict[str, int]:
    """Kind → live runs that stand still."""
    return dict(RunStall.objects.filter(run__status="R").values_list("kind").annotate(n=Count("pk")).order_by("kind"))


def count_notices() -> dict[str, int]:
    """State → notices that are kept."""
    return dict(Notice.objects.values_list("state").annotate(n=Count("pk")).order_by("state"))
