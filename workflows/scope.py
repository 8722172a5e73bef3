"""Which jobs a person means: all, some tags, some jobs, one error group. Preview and act use the same selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from workflows.bulk import chunked
from workflows.models import Job, JobEdge

MOST_JOBS = 10_000


@dataclass(frozen=True, slots=True)
class Scope:
    """What a resume is about; empty means everything that is not done."""

    tags: tuple[str, ...] = ()
    job_ids: tuple[int, ...] = ()
    error_group: int | None = None

    @property
    def is_everything(self) -> bool:
        return not (self.tags or self.job_ids or self.error_group)

    def as_json(self) -> dict[str, Any] | None:
        if self.is_everything:
            return None
        return {"tags": list(self.tags), "job_ids": list(self.job_ids), "error_group": self.error_group}

    def select(self, dag_id: int) -> QuerySet[Job]:
        """The jobs of the scope, done ones included."""
        jobs = Job.objects.filter(dag_id=dag_id)
        if self.tags:
            jobs = jobs.filter(group__name__in=self.tags)
        if self.job_ids:
            jobs = jobs.filter(pk__in=self.job_ids)
        if self.error_group:
            jobs = jobs.filter(error_group_id=self.error_group)
        return jobs


def find_downstream(job_ids: Sequence[int]) -> set[int]:
    """Every job that these lead to, near or far; level by level, in sets."""
    found: set[int] = set()
    level = set(job_ids)
    while level:
        following: set[int] = set()
        for chunk in chunked(sorted(level)):
            edges = JobEdge.objects.filter(upstream_id__in=chunk)
            following.update(edges.values_list("downstream_id", flat=True))
        level = following - found
        found |= level
    return found
