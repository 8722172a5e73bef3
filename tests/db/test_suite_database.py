"""The suite runs on the database that it says it runs on, set up as production has it."""

from __future__ import annotations

import os

import pytest
from django.db import connection


def ask(sql: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


@pytest.mark.django_db
def test_the_database_is_the_one_that_was_asked_for() -> None:
    is_mariadb = os.environ.get("JOBMON_TEST_DATABASE") == "mariadb"
    assert connection.vendor == ("mysql" if is_mariadb else "sqlite")
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        assert worker in str(connection.settings_dict["NAME"])


@pytest.mark.django_db
def test_it_is_set_up_as_in_production() -> None:
    if connection.vendor == "sqlite":
        assert ask("PRAGMA journal_mode") == "wal"
        assert ask("PRAGMA foreign_keys") == 1
        return
    isolation = "VARIABLE_NAME IN ('TX_ISOLATION', 'TRANSACTION_ISOLATION')"  # the name depends on the version
    assert ask(f"SELECT VARIABLE_VALUE FROM information_schema.SESSION_VARIABLES WHERE {isolation}") == "READ-COMMITTED"
    assert "STRICT_TRANS_TABLES" in str(ask("SELECT @@sql_mode"))
    assert ask("SELECT @@time_zone") == "+00:00"
    assert str(ask("SELECT @@collation_database")).startswith("utf8mb4")
