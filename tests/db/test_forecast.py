"""When will it be done, where this workflow cannot know yet: from earlier ones that did the same work."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.factories import Made, Tag, make_user, make_workflow
from workflows import words
from workflows.estimate import Estimate
from workflows.models import JobGroup, JobInstance, TaskDag, Workflow, WorkflowRun
from workflows.scheduling.forecast import forecast

pytestmark = pytest.mark.django_db
STEPS = ("load", "fit", "plot")


@pytest.fixture
def owner() -> User:
    return make_user("alice")


def chain(letters: str) -> list[Tag]:
    """One job per tag, each waiting for the one before."""
    return [
        Tag(name, {letter: 1}, (before,) if before else ())
        for name, letter, before in zip(STEPS, letters, ("", *STEPS), strict=False)
    ]


def make_earlier(owner: User, count: int, minutes: float = 10, **fields: object) -> list[Made]:
    """Done ones: each of their jobs took this long, and the whole three times as long."""
    made = [make_workflow(owner, chain("DDD"), status="D", **{"name": "monthly", **fields}) for _ in range(count)]
    for number, one in enumerate(made):
        longer = timedelta(minutes=minutes + number)
        for attempt in one.instances:
            JobInstance.objects.filter(pk=attempt.pk).update(
                started_at=attempt.submitted_date, wallclock=longer.seconds
            )
        WorkflowRun.objects.filter(pk=one.run.pk).update(ended_at=one.run.created_date + 3 * longer)
    return made


def foresee(made: Made, now: datetime | None = None) -> Estimate:
    run = WorkflowRun.objects.select_related("workflow__dag").get(pk=made.run.pk)
    return forecast(run, now or timezone.now())


def minutes(found: Estimate, now: datetime) -> tuple[int, int]:
    assert found.unknown is None, found.unknown
    assert found.earliest is not None
    assert found.latest is not None
    return round((found.earliest - now).total_seconds() / 60), round((found.latest - now).total_seconds() / 60)


def test_single_jobs_are_known_from_earlier_workflows_of_the_name(owner: User) -> None:
    make_earlier(owner, 3)
    made, now = make_workflow(owner, chain("GGG"), name="monthly"), timezone.now()
    found = foresee(made, now)
    assert minutes(found, now) == (30, 36)
    assert found.bound_by == "the longest chain"


def test_the_same_graph_under_other_arguments_counts_as_well(owner: User) -> None:
    earlier = make_earlier(owner, 3, name="")
    made = make_workflow(owner, chain("GGG"))
    assert foresee(made).unknown == "Not known yet: 0 of the 3 ended jobs of load that an estimate needs."
    dags = [made.workflow.dag_id, *(one.workflow.dag_id for one in earlier)]
    TaskDag.objects.filter(pk__in=dags).update(dag_hash="same")
    assert foresee(made).unknown is None


def test_what_others_did_or_what_is_not_done_tells_nothing(owner: User) -> None:
    make_earlier(make_user("bob"), 3)
    Workflow.objects.filter(pk__in=[one.workflow.pk for one in make_earlier(owner, 3)]).update(status="E")
    make_earlier(owner, 3, name="weekly")
    assert foresee(make_workflow(owner, chain("GGG"), name="monthly")).earliest is None


def rename_tags(made: Made) -> None:
    for group in JobGroup.objects.filter(dag_id=made.workflow.dag_id):
        JobGroup.objects.filter(pk=group.pk).update(name=f"{group.name} 2026-11")


def test_whole_runs_help_where_every_tag_is_new(owner: User) -> None:
    make_earlier(owner, 3)
    made = make_workflow(owner, chain("DGG"), name="monthly", age=timedelta(minutes=5))
    rename_tags(made)
    now = made.run.created_date + timedelta(minutes=5)
    found = foresee(made, now)
    assert minutes(found, now) == (25, 31)
    sentence = words.forecast_sentence(found.earliest, found.latest, found.bound_by, now, now)
    assert sentence.endswith(", as 3 earlier workflows like it did.")


@pytest.mark.parametrize("change", ["failed", "resumed", "held", "limit", "longer"])
def test_whole_runs_tell_nothing_of_one_that_differs(owner: User, change: str) -> None:
    make_earlier(owner, 3)
    runs = 2 if change == "resumed" else 1
    made = make_workflow(owner, chain("DGG"), name="monthly", age=timedelta(minutes=5), runs=runs)
    rename_tags(made)
    if change == "failed":
        JobGroup.objects.filter(dag_id=made.workflow.dag_id, count_d=1).update(count_d=0, count_f=1)
    if change == "held":
        WorkflowRun.objects.filter(pk=made.run.pk).update(hold_reason="a pause")
    if change == "limit":
        WorkflowRun.objects.filter(pk=made.run.pk).update(max_concurrently_running=2)
    after = 40 if change == "longer" else 5
    assert foresee(made, made.run.created_date + timedelta(minutes=after)).earliest is None
