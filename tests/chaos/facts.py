"""What the database says after a round, for the checker, and how long recovery took."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import MySQLdb

from tests.chaos.ledger import Recorded
from tests.services import REPOSITORY, EmbeddedServer

PATIENCE = 60.0
GIVE = 60.0  # no clock is this far from ours unless it was stepped


def query(server: EmbeddedServer, sql: str) -> list[tuple[Any, ...]]:
    """Again while the database is away, as it may be at any moment."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return server.query(sql)
        except (MySQLdb.Error, sqlite3.OperationalError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def count_voids(server: EmbeddedServer) -> int:
    """Attempts that were given up before they started."""
    return int(query(server, "SELECT count(*) FROM job_instance WHERE reason = 'void'")[0][0])


def read_statuses(server: EmbeddedServer, workflow_id: int) -> dict[str, str]:
    rows = query(
        server, f"SELECT j.name, j.status FROM job j JOIN workflow w ON w.dag_id = j.dag_id WHERE w.id = {workflow_id}"
    )
    return dict(rows)


def read_attempts(server: EmbeddedServer, workflow_id: int) -> dict[int, Recorded]:
    rows = query(
        server,
        "SELECT i.job_instance_id, j.name, i.status, i.reason FROM job_instance i JOIN job j ON j.job_id = i.job_id"
        f" JOIN workflow w ON w.dag_id = j.dag_id WHERE w.id = {workflow_id}",
    )
    return {int(instance): Recorded(job, status, reason) for instance, job, status, reason in rows}


def as_seconds(value: Any) -> float:
    """A UTC time of either database in seconds since the epoch."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment.replace(tzinfo=UTC).timestamp()


def measure_recovery(server: EmbeddedServer, workflow_id: int, fault_at: float) -> float | None:
    """Seconds from a fault to the first start of an attempt that was decided on after it, or to the end of the run
    if nothing was left to start. None: the run was over before. Times from a stepped clock are left out."""
    now = time.time() + GIVE
    rows = query(
        server,
        "SELECT i.submitted_date, i.started_at FROM job_instance i JOIN workflow_run r ON r.id = i.workflow_run_id"
        f" WHERE r.workflow_id = {workflow_id} AND i.started_at IS NOT NULL",
    )
    later = [as_seconds(started) for intended, started in rows if fault_at < as_seconds(intended) < now]
    later = [started for started in later if started < now]
    if later:
        return max(0.0, min(later) - fault_at)
    ends = query(
        server, f"SELECT ended_at FROM workflow_run WHERE workflow_id = {workflow_id} AND ended_at IS NOT NULL"
    )
    last = max((at for row in ends if (at := as_seconds(row[0])) < now), default=0.0)
    return last - fault_at if last > fault_at else None


def run_fsck(server: EmbeddedServer) -> list[str]:
    """One line per invariant that is broken."""
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "manage.py"), "fsck", "--json"],
        env={name: value for name, value in server.environment.items() if not name.startswith("JOBMON_FAULTS")},
        cwd=server.home.parent, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        return [f"fsck ended with {done.returncode}: {done.stderr[-2000:]}"]
    return [f"{one['invariant']}: {one['count']}, such as {one['violations'][:3]}" for one in answer["broken"]]
