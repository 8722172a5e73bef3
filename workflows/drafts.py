"""Large graphs arrive in pieces: a draft takes chunks in any order, each repeatable, and is invisible until it is
committed."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
from django.contrib.auth.models import User
from django.db.models import Sum
from django.utils import timezone

from workflows.graph import MAX_JOBS, Graph, GraphError, InvalidGraph, JobInput, build_graph
from workflows.graph_shape import References
from workflows.graph_text import parse_header, parse_jobs
from workflows.models import Draft, DraftChunk, Workflow
from workflows.transactions import write_transaction

MAX_CHUNKS = 10_000
MAX_BYTES = 2**30  # of all chunks, unpacked: 500,000 jobs of 2 kB each


@write_transaction
def create_draft(user: User, header: dict[str, Any]) -> Draft:
    return Draft.objects.create(owner=user, created_at=timezone.now(), header=header)


def find_draft(user: User, draft_id: uuid.UUID) -> Draft | None:
    return Draft.objects.select_related("workflow__dag", "workflow__group").filter(pk=draft_id, owner=user).first()


@write_transaction
def store_chunk(draft: Draft, number: int, jobs: bytes, count: int) -> None:
    """Keep one piece; the same number again replaces it. Raises InvalidGraph where all pieces are too much."""
    Draft.objects.select_for_update().get(pk=draft.pk)  # the same piece may arrive twice at once
    DraftChunk.objects.filter(draft=draft, number=number).delete()
    stored = DraftChunk.objects.filter(draft=draft).aggregate(jobs=Sum("jobs"), size=Sum("size"))
    refuse_too_much((stored["jobs"] or 0) + count, (stored["size"] or 0) + len(jobs))
    body = gzip.compress(jobs, 1)
    DraftChunk.objects.create(draft=draft, number=number, body=body, jobs=count, size=len(jobs))


def refuse_too_much(jobs: int, size: int) -> None:
    """Raises InvalidGraph."""
    if jobs > MAX_JOBS:
        detail = f"With this chunk {jobs:,} jobs have arrived; at most {MAX_JOBS:,} are possible."
        raise InvalidGraph([GraphError("too-many-jobs", "jobs", detail)])
    if size > MAX_BYTES:
        detail = f"With this chunk {size:,} bytes have arrived; at most {MAX_BYTES:,} are possible."
        raise InvalidGraph([GraphError("too-large", "jobs", detail)])


def make_compacting() -> Callable[[list[JobInput]], list[JobInput]]:
    """Equal values become one object: half a million jobs take much less."""
    texts: dict[str, str] = {}
    numbers: dict[float, float] = {}
    nothing: dict[str, str] = {}

    def compact(jobs: list[JobInput]) -> list[JobInput]:
        for job in jobs:
            job.tag = texts.setdefault(job.tag, job.tag)
            job.mem_free = numbers.setdefault(job.mem_free, job.mem_free)
            job.attributes = job.attributes or nothing
        return jobs

    return compact


def move_upstreams(jobs: list[JobInput], references: References) -> None:
    """From the jobs into flat arrays: three numbers take 12 bytes there, a list of them 88."""
    nobody: list[str | int] = []
    for job in jobs:
        references.append(job.upstreams)
        job.upstreams = nobody


def assemble(draft: Draft) -> Graph:
    """All pieces as one checked graph. Raises InvalidGraph with everything that is wrong."""
    header = parse_header(
        msgspec.json.encode({key: value for key, value in draft.header.items() if key != "job_count"})
    )
    jobs: list[JobInput] = []
    errors: list[GraphError] = []
    compact, references = make_compacting(), References()
    chunks = DraftChunk.objects.filter(draft=draft).order_by("number").iterator(chunk_size=1)
    for expected, chunk in enumerate(chunks):
        if chunk.number != expected:
            errors.append(GraphError("missing-chunk", "chunks", f"Chunk {expected} has not arrived."))
            break
        try:
            piece = compact(parse_jobs(gzip.decompress(chunk.body), first=len(jobs)))
            move_upstreams(piece, references)
            jobs += piece
        except InvalidGraph as error:
            errors += error.every
        refuse_too_much(len(jobs), 0)  # whoever stored them may not have counted
    promised = draft.header.get("job_count")
    if promised is not None and not errors and len(jobs) != promised:
        errors.append(
            GraphError("missing-jobs", "jobs", f"{promised:,} jobs were announced, {len(jobs):,} have arrived.")
        )
    if errors:
        raise InvalidGraph(errors)
    return build_graph(header, jobs, references)


@write_transaction
def finish(draft: Draft, workflow: Workflow) -> None:
    """The draft has become this workflow: a repeated commit answers the same one."""
    DraftChunk.objects.filter(draft=draft).delete()
    Draft.objects.filter(pk=draft.pk).update(workflow=workflow)
