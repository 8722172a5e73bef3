"""What the database says after a round, for the checker, and how long recovery took."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

from tests.chaos.ledger import Recorded
from tests.services import REPOSITORY, EmbeddedServer


def read_statuses(server: EmbeddedServer, workflow_id: int) -> dict[str, str]:
    rows = server.query(
        f"SELECT j.name, j.status FROM job j JOIN workflow w ON w.dag_id = j.dag_id WHERE w.id = {workflow_id}"
    )
    return dict(rows)


def read_attempts(server: EmbeddedServer, workflow_id: int) -> dict[int, Recorded]:
    rows = server.query(
        "SELECT i.job_instance_id, j.name, i.status, i.reason FROM job_instance i JOIN job j ON j.job_id = i.job_id"
        f" JOIN workflow w ON w.dag_id = j.dag_id WHERE w.id = {workflow_id}"
    )
    return {int(instance): Recorded(job, status, reason) for instance, job, status, reason in rows}


def as_seconds(value: Any) -> float:
    """A UTC time of either database in seconds since the epoch."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment.replace(tzinfo=UTC).timestamp()


def measure_recovery(server: EmbeddedServer, workflow_id: int, fault_at: float) -> float | None:
    """Seconds from a fault to the first start of an attempt that was decided on after it, or to the end of the run
    if nothing was left to start. None: the run was over before."""
    rows = server.query(
        "SELECT i.submitted_date, i.started_at FROM job_instance i JOIN workflow_run r ON r.id = i.workflow_run_id"
        f" WHERE r.workflow_id = {workflow_id} AND i.started_at IS NOT NULL"
    )
    later = [as_seconds(started) for intended, started in rows if as_seconds(intended) > fault_at]
    if later:
        return max(0.0, min(later) - fault_at)
    ends = server.query(f"SELECT ended_at FROM workflow_run WHERE workflow_id = {workflow_id} AND ended_at IS NOT NULL")
    last = max((as_seconds(row[0]) for row in ends), default=0.0)
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
