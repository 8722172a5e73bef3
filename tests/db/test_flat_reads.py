"""What every sweep and every page reads does not grow with what is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tests.factories import Made, Tag, make_user, make_workflow
from workflows.models import Workflow, WorkflowRun
from workflows.queries.pace import with_queue_facts
from workflows.queries.workflows import view_workflow
from workflows.scheduling import housekeeping
from workflows.scheduling.set_clock import take_back_future

pytestmark = pytest.mark.django_db
FEW, MANY = 40, 2_000


def make_live(done: int) -> Made:
    return make_workflow(make_user(f"user{done}"), [Tag("fit", {"D": done, "I": 5, "R": 5, "G": 5})])


def count_reads(read: Callable[[], object]) -> int:
    """Rows that the storage engine of MariaDB hands over; thousands of steps of SQLite's machine."""
    if connection.vendor == "mysql":
        before = _handled()
        read()
        return _handled() - before
    steps = [0]

    def count() -> bool:
        steps[0] += 1
        return False

    connection.ensure_connection()
    connection.connection.set_progress_handler(count, 1_000)
    try:
        read()
    finally:
        connection.connection.set_progress_handler(None, 0)
    return steps[0]


def _handled() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(number) for _, number in cursor.fetchall())


@pytest.mark.parametrize(
    "read",
    [
        lambda made: take_back_future(),
        lambda made: list(with_queue_facts(WorkflowRun.objects.filter(pk=made.run.pk))),
        lambda made: view_workflow(made.workflow),
    ],
    ids=["the clock", "the queue", "the overview"],
)
def test_reads_do_not_grow_with_what_is_done(read: Callable[[Made], object]) -> None:
    reads = []
    for done in (FEW, MANY):
        made = make_live(done)
        read(made)  # whatever is read once only
        reads.append(count_reads(lambda made=made: read(made)))
        WorkflowRun.objects.update(status="S", ended_at=timezone.now())
        Workflow.objects.update(status="S")
    assert reads[1] <= reads[0] + MANY // 10, reads


def test_a_new_graph_is_not_counted_again_at_once() -> None:
    made = make_live(FEW)
    now = timezone.now()
    assert made.run is not None
    Workflow.objects.update(created_date=now)
    assert not housekeeping.is_verification_due(_read(made), time.monotonic())
    assert housekeeping.is_verification_due(_read(made), time.monotonic() + housekeeping.VERIFY_EVERY + 1)


def test_the_graph_of_a_resumed_run_is_counted_again() -> None:
    made = make_live(FEW)
    Workflow.objects.update(created_date=timezone.now() - timedelta(hours=1))
    assert housekeeping.is_verification_due(_read(made), time.monotonic())


def _read(made: Made) -> WorkflowRun:
    assert made.run is not None
    return WorkflowRun.objects.select_related("workflow").get(pk=made.run.pk)
