"""Rows given values of their own: each gets its own, exactly, and only those that match."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import Made, Tag, make_user, make_workflow
from workflows.bulk import (
    KEY,
    LETTER,
    MOMENT,
    NUMBER,
    REAL,
    TEXT,
    UPDATE_CHUNK,
    RowUpdate,
    _all_at_once,
    _one_by_one,
    as_stored,
    update_rows,
)
from workflows.models import JobInstance

pytestmark = pytest.mark.django_db
STORE = RowUpdate(
    "job_instance",
    "evidence = {words}, nodename = CASE WHEN {words} <> '' THEN 'told' ELSE nodename END, cpu = {cpu}, io = {io},"
    " started_at = COALESCE({at}, started_at)",
    "job_instance_id = {instance} AND status = {status}",
    (("cpu", REAL), ("words", TEXT), ("at", MOMENT), ("io", NUMBER), ("instance", KEY), ("status", LETTER)),
)


def make_attempts(number: int) -> Made:
    return make_workflow(make_user(), [Tag("fit", {"D": number})])


def test_each_row_gets_its_own() -> None:
    made = make_attempts(3)
    first, second, third = sorted(made.instances, key=lambda one: one.pk)
    now = timezone.now() - timedelta(days=400, microseconds=1)
    JobInstance.objects.update(nodename="n1")
    rows = [
        (0.1, 'a "quoted" \\ path\n\t\u00e9\U0001f600 %s {x}', as_stored(now), 2**53 + 1, first.pk, "D"),
        (None, "", None, None, second.pk, "D"),
        (1e300, "not this one", as_stored(now), 0, third.pk, "R"),
    ]
    assert update_rows(STORE, rows) == 2
    found = {one.pk: one for one in JobInstance.objects.all()}
    told = found[first.pk]
    assert (told.evidence, told.nodename, told.cpu, told.io) == (rows[0][1], "told", 0.1, 2**53 + 1)
    assert told.started_at == now
    untold = found[second.pk]
    assert (untold.evidence, untold.nodename, untold.cpu, untold.io) == ("", "n1", None, None)
    assert untold.started_at == second.started_at
    assert found[third.pk].evidence == third.evidence


def test_more_rows_than_one_statement_takes() -> None:
    made = make_attempts(UPDATE_CHUNK + 5)
    rows = [(float(one.pk), f"t{one.pk}", None, one.pk, one.pk, "D") for one in made.instances]
    assert update_rows(STORE, rows) == len(rows)
    for one in JobInstance.objects.all():
        assert (one.cpu, one.evidence, one.io) == (float(one.pk), f"t{one.pk}", one.pk)
    assert update_rows(STORE, []) == 0


@given(
    words=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200),
    cpu=st.floats(allow_nan=False, allow_infinity=False, min_value=0),
    io=st.integers(0, 2**63 - 1),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_given_is_what_is_stored(words: str, cpu: float, io: int) -> None:
    JobInstance.objects.all().delete()
    made = make_workflow(make_user(f"u{timezone.now().timestamp()}"), [Tag("fit", {"D": 1})])
    [one] = made.instances
    assert update_rows(STORE, [(cpu, words, None, io, one.pk, "D")]) == 1
    one.refresh_from_db()
    assert (one.evidence, one.io) == (words, io)
    assert one.cpu is not None and math.isclose(one.cpu, cpu, rel_tol=1e-15)


def test_what_does_not_fit_is_an_error() -> None:
    [one] = make_attempts(1).instances
    with transaction.atomic(), pytest.raises((DatabaseError, OverflowError)), transaction.atomic():
        update_rows(STORE, [(0.5, "x", None, 2**70, one.pk, "D")])
    one.refresh_from_db()
    assert one.evidence != "x"


def test_rows_are_found_by_their_keys() -> None:
    """Even in a small table, which a planner would rather read as a whole: that would wait for rows that others hold."""
    one = make_attempts(3).instances[0]
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute("EXPLAIN " + _all_at_once(STORE), [f'[[0.5, "x", null, 1, {one.pk}, "D"]]'])
            assert [(step[2], step[3], step[5]) for step in cursor.fetchall()] == [
                ("given", "ALL", None),
                ("job_instance", "eq_ref", "PRIMARY"),
            ]
        else:
            statement, order = _one_by_one(STORE)
            cursor.execute("EXPLAIN QUERY PLAN " + statement, [None] * len(order))
            assert "USING INTEGER PRIMARY KEY" in cursor.fetchall()[0][3]
