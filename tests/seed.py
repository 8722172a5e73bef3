"""A realistic set of workflows, for screenshots and for looking around: a pipeline in the middle of its run with
failures, and finished, failed, stopped and new ones beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.test import override_settings
from django.utils import timezone

from executors.spool import attempt_folder
from tests.factories import Made, Tag, make_audit, make_workflow
from workflows import saved_filters
from workflows.models import (
    ExecutorMinute,
    ExecutorState,
    HostExclusion,
    Job,
    JobEdge,
    JobInstance,
    RunMinute,
    Workflow,
    WorkflowRun,
)
from workflows.scheduling import server_facts, stored_facts
from workflows.scheduling.workers import note_worker

NOTE = "Four locations have an old age column: ask Bo."
PIPELINE = (
    Tag("extract", {"D": 48}, minutes=4, mem_free=2),
    Tag("clean", {"D": 188, "F": 4}, ("extract",), minutes=9, mem_free=6,
        message="ValueError: column 'age_group' has 12 values, expected 23", at_once=60),
    Tag("fit", {"D": 143, "R": 21, "I": 9, "Q": 6, "E": 3, "F": 5, "G": 13}, ("clean",), ("memory", "exit", "memory"),
        message="numpy.linalg.LinAlgError: Singular matrix", minutes=24, mem_free=12, limit=30, at_once=30),
    Tag("predict", {"D": 77, "R": 8, "I": 3, "G": 112}, ("fit",), minutes=11, mem_free=8, limit=11, at_once=9),
    Tag("aggregate", {"G": 23}, ("predict",), minutes=6, mem_free=16),
    Tag("plots", {"G": 23}, ("aggregate",), minutes=3, mem_free=2),
    Tag("report", {"G": 1}, ("aggregate", "plots"), minutes=1, mem_free=2),
)  # fmt: skip


def on_cluster(owner: User, tags: Sequence[Tag], **fields: Any) -> Made:
    return make_workflow(owner, tags, executor="sge", **fields)


def seed(owner: User) -> Made:
    """Make all of them; answer the pipeline in the middle of its run."""
    now = timezone.now()
    words = [Tag("count", {"D": 400}), Tag("sum", {"D": 1}, ("count",))]
    end_after(on_cluster(owner, words, args="wordcount 2026-10", status="D", age=timedelta(days=3)), hours=1.4)
    for number in range(3):
        earlier = [replace(tag, counts={"D": -(-sum(tag.counts.values()) // 2)}) for tag in PIPELINE]
        done = on_cluster(owner, earlier, args=f"gbd-2026 release {number}", name="Mortality estimates", status="D",
                             age=timedelta(days=30 - 9 * number))  # fmt: skip
        end_after(done, hours=3.2 + number / 4)
    climate = [
        Tag("download", {"D": 30, "F": 2}, reasons=("lost", "exit"), message="HTTPError: 503"),
        Tag("merge", {"G": 1}, ("download",)),
    ]
    broken = on_cluster(
        owner, climate, args="climate-refresh", name="Climate refresh", status="E", runs=3, age=timedelta(hours=9)
    )
    end_after(broken, hours=0.6)
    on_cluster(
        owner,
        [Tag("simulate", {"D": 61, "G": 939}, is_from_tag=False)],
        args="sensitivity --seed 7",
        status="S",
        age=timedelta(hours=26),
    )
    on_cluster(
        owner,
        [Tag("tune", {"G": 60}), Tag("pick", {"G": 1}, ("tune",))],
        args="tune-2026-11-23",
        status="C",
        age=timedelta(minutes=12),
    )
    made = on_cluster(
        owner, PIPELINE, args="gbd-2026 release 3", name="Mortality estimates", runs=2,
        age=timedelta(hours=2, minutes=20),
        project="proj_mortality", max_concurrently_running=500,
        description="Extract, clean and fit all locations, then predict, aggregate and plot them.",
    )  # fmt: skip
    Workflow.objects.filter(pk=made.workflow.pk).update(change_no=1204)
    write_acts(made, owner.username)
    counts = {letter: sum(tag.counts.get(letter, 0) for tag in PIPELINE) for letter in "RI"}
    ExecutorState.objects.create(name="local", kind="local", polled_at=now - timedelta(seconds=4), poll_seconds=0.02,
                                 counts={}, live=0, own_max_live=400)  # fmt: skip
    ExecutorState.objects.create(name="sge", kind="sge", polled_at=now - timedelta(seconds=9), poll_seconds=0.61,
                                 counts={"running": counts["R"], "pending": counts["I"]}, max_live=400,
                                 live=sum(counts.values()), own_max_live=5000)  # fmt: skip
    HostExclusion.objects.create(executor="sge", host="c117", changed_at=now - timedelta(hours=3), changed_by="server",
                                 reason="its 20 newest attempts failed within 60 s each, elsewhere most do not")  # fmt: skip
    saved_filters.save(owner, "workflows", "failed this week", "status=E&changed=7d")
    saved_filters.save(owner, "jobs", "over memory", "status=F&reason=memory")
    write_ready(made)
    write_logs(made)
    write_minutes(made)
    write_day("sge")
    note_worker("celery@jobmon-1")
    note_worker("celery@jobmon-2")
    with override_settings(LOCAL_SLOTS=64):  # what is foreseen shall not depend on this machine
        stored_facts.refresh_facts()
    redis = {"redis_version": "7.2.7", "redis_memory": 4_200_000, "redis_clients": 9}
    stored_facts.note_sweep({**server_facts.measure(), **redis})
    Workflow.objects.filter(pk=made.workflow.pk).update(change_no=1204)
    return made


def write_acts(made: Made, actor: str) -> None:
    """What people did to it, as the server writes it down."""
    assert made.run is not None
    run, workflow, begin = f"run {made.run.pk}", f"workflow {made.workflow.pk}", made.run.created_date
    jobs = len(made.all_jobs)
    make_audit(
        made.workflow, "submit", actor=actor, via="api", target=workflow, at=begin - timedelta(hours=6), job_count=jobs
    )
    make_audit(made.workflow, "start-run", actor=actor, via="api", target=run, at=begin, before={"status": "E"},
               after={"resume": "cold", "executor": "sge", "project": "proj_mortality"})  # fmt: skip
    make_audit(made.workflow, "set-limits", actor=actor, target=workflow, at=begin + timedelta(minutes=50),
               before={"run": 500, "fit": 100}, after={"run": 500, "fit": 30})  # fmt: skip
    make_audit(made.workflow, "set-note", actor=actor, target=workflow, at=begin + timedelta(minutes=71),
               before={"note": ""}, after={"note": NOTE})  # fmt: skip
    Workflow.objects.filter(pk=made.workflow.pk).update(note=NOTE)


def end_after(made: Made, hours: float) -> None:
    """Its last run took this long."""
    assert made.run is not None
    ended = made.run.created_date + timedelta(hours=hours)
    WorkflowRun.objects.filter(pk=made.run.pk).update(ended_at=ended, status_date=ended)
    Workflow.objects.filter(pk=made.workflow.pk).update(status_date=ended)


def write_ready(made: Made) -> None:
    """Since when each job has had all its upstreams (from the run's beginning, or the end of the last of them), and
    when it was submitted and last changed, as its attempts tell."""
    assert made.run is not None
    ended = {one.job_id: one.ended_at for one in made.instances if one.status == "D"}
    first = {one.job_id: one.submitted_date for one in reversed(made.instances)}
    last = {one.job_id: one.status_date for one in made.instances}
    ready = {job.pk: made.run.created_date for job in made.all_jobs}
    edges = JobEdge.objects.filter(downstream__dag_id=made.workflow.dag_id).values_list("upstream_id", "downstream_id")
    for up, down in edges:
        if (end := ended.get(up)) is not None and ready[down] is not None:
            ready[down] = max(ready[down], end)
        else:
            ready[down] = None
    for job in made.all_jobs:
        job.ready_at = min(ready[job.pk] or first[job.pk], first[job.pk]) if job.pk in first else ready[job.pk]
        job.submitted_date, job.status_date = first.get(job.pk), last.get(job.pk, made.run.created_date)
    Job.objects.bulk_update(made.all_jobs, ["ready_at", "submitted_date", "status_date"], batch_size=300)


def write_minutes(made: Made) -> None:
    """What the sweep would have stored, minute by minute, of the attempts as they were made."""
    assert made.run is not None
    now = timezone.now().replace(second=0, microsecond=0)
    minutes = int((now - made.run.created_date) / timedelta(minutes=1))
    rows = []
    for ago in range(minutes, 0, -1):
        at = now - timedelta(minutes=ago)
        live = [(i.job.group_id, i.started_at) for i in made.instances if i.submitted_date <= at < (i.ended_at or now)]
        for group in {group for group, _ in live}:
            running = sum(1 for other, started in live if other == group and started and started <= at)
            queued = sum(1 for other, _ in live if other == group) - running
            rows.append(RunMinute(run=made.run, group_id=group, minute=at, queued=queued, running=running))
    RunMinute.objects.bulk_create(rows)


def write_day(executor: str) -> None:
    """What its listings would have left in the last 24 hours: two waves of work, and an hour without an answer."""
    now = timezone.now().replace(second=0, microsecond=0)
    rows = []
    for ago in range(24 * 60, 0, -1):
        running = max(0, int(260 * math.sin(ago / 220)) + ago % 7)
        if not 600 < ago < 660:
            at = now - timedelta(minutes=ago)
            rows.append(ExecutorMinute(executor=executor, minute=at, running=running, waiting=running // 3))
    ExecutorMinute.objects.bulk_create(rows)


def write_logs(made: Made) -> None:
    """Output of the attempts of `fit`, where the log pages look for it."""
    for instance in made.instances:
        if instance.job.group.name == "fit" and instance.status in "ERD":
            write_log(instance)


def write_log(instance: JobInstance) -> None:
    folder: Path = attempt_folder(Path(settings.SPOOL), instance.pk)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"\x1b[36m{step:4d}\x1b[0m  log-likelihood {-88211.4 + step * 3.127:.3f}  step {0.5 / (step + 1):.5f}"
        for step in range(400)
    ]
    (folder / "out").write_text("reading draws of location 17\n" + "\n".join(lines) + "\n", encoding="utf-8")
    error = instance.errors.first()
    text = "\x1b[33mwarning:\x1b[0m 12 locations have fewer than 5 data points\n"
    (folder / "err").write_text(text + (error.description + "\n" if error else ""), encoding="utf-8")
