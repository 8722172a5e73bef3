"""What the database says after a round, for the checker, and how long recovery took."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import MySQLdb

from executors.processes import read_arguments
from executors.spool import local_prefix
from tests.chaos.harm import list_attempts
from tests.chaos.ledger import Recorded
from tests.services import REPOSITORY, EmbeddedServer

PATIENCE = 60.0
LEFTOVER_SECONDS = 10.0
SEEN_HERE = {"no-zombie", "no-orphan"}  # fsck has no listing; the processes are looked at here
NEED_A_LEDGER = {"one-start", "one-success"}
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


def run_fsck(server: EmbeddedServer, ledgers: Sequence[Path]) -> list[str]:
    """One line per invariant that is broken or was not looked at. Without ledgers two less can be looked at."""
    words = [word for ledger in ledgers for word in ("--ledger", str(ledger))]
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "manage.py"), "fsck", "--json", *words],
        env={name: value for name, value in server.environment.items() if not name.startswith("JOBMON_FAULTS")},
        cwd=server.home.parent, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        return [f"fsck ended with {done.returncode}: {done.stderr[-2000:]}"]
    expected = SEEN_HERE if ledgers else SEEN_HERE | NEED_A_LEDGER
    unseen = sorted(answer["not_checked"].keys() - expected)
    broken = [f"{one['invariant']}: {one['count']}, such as {one['violations'][:3]}" for one in answer["broken"]]
    return [*broken, *(f"{name} was not checked: {answer['not_checked'][name]}" for name in unseen)]


def find_late_wrappers(spool: Path) -> set[int]:
    """Attempts of this machine that were given up and that the shepherd has started all the same: their wrappers ran into
    the void. From the shepherd's journal and the tokens themselves."""
    try:
        lines = (spool / "shepherd.journal").read_text(errors="replace").splitlines()
    except OSError:
        return set()
    started = {int(line.removeprefix("ended ")) for line in lines if re.fullmatch(r"ended \d+", line)}
    return {number for number in started if read_token(spool, number).startswith("void ")}


def read_token(spool: Path, instance: int) -> str:
    try:
        return Path(f"{local_prefix(spool, instance)}.token").read_text(errors="replace")
    except OSError:
        return ""


def wait_for_leftovers(prefix: str) -> list[str]:
    """Processes of attempts that live on when all is over. A wrapper that has just said so may need a moment."""
    deadline = time.monotonic() + LEFTOVER_SECONDS
    while found := list_attempts(prefix):
        if time.monotonic() > deadline:
            return [f"{one.mark} still has the process {one.pid} {read_arguments(one.pid)}" for one in found]
        time.sleep(0.2)
    return []
