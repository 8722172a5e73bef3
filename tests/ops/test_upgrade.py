"""From an older schema to this one with data in it, on a live system: old code goes on, a kill does no harm, runs live on."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.models import Model

from jobmon import BashTask
from tests.e2e.clients import make_workflow, status_of
from tests.ops.test_drill import ending_jobs
from tests.services import REPOSITORY, server_database
from tests.waiting import wait_until

FIRST = ("workflows", "0002_labels")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
APP = "workflows"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir(mode=0o700)
    return tmp_path / "home"


@pytest.fixture
def environment(home: Path) -> Iterator[dict[str, str]]:
    """Of a database of its own, of the kind of this test run."""
    with server_database(f"upgrade_{os.getpid()}_{os.urandom(4).hex()}") as database:
        yield {
            "PATH": os.environ["PATH"], "HOME": str(home.parent), "LANG": "C.UTF-8", "JOBMON_HOME": str(home), **database,
        }  # fmt: skip


def run_python(environment: dict[str, str], *words: str, root: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, *words]
    return subprocess.run(argv, env=environment, cwd=root, capture_output=True, text=True, timeout=200)


def migrate(environment: dict[str, str], *words: str) -> str:
    done = run_python(environment, "manage.py", "migrate", "--skip-checks", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


SEED = """
import datetime, django, uuid
django.setup()
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.contrib.auth.hashers import make_password
now = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
state = MigrationExecutor(connection).loader.project_state([("workflows", "0002_labels"), ("auth", "0012_alter_user_first_name_max_length")])
get = lambda name: state.apps.get_model("workflows", name)
user = state.apps.get_model("auth", "User").objects.create(username="alice", password=make_password(None))
dag = get("TaskDag").objects.create(dag_hash="d", user="alice", created_date=now, job_count=6, edge_count=3)
workflow = get("Workflow").objects.create(dag=dag, workflow_args="year", workflow_hash="w", user="alice", owner_id=user.pk,
    status="R", created_date=now, status_date=now, executor="local")
run = get("WorkflowRun").objects.create(workflow=workflow, user="alice", started_by_id=user.pk, executor="local",
    created_date=now, status_date=now)
groups = [get("JobGroup").objects.create(dag=dag, name=name, jobs=3, rank=rank, **counts)
    for rank, (name, counts) in enumerate([("fit", {"count_d": 3}), ("sum", {"count_r": 1, "count_g": 2})])]
jobs = [get("Job").objects.create(dag=dag, group=groups[n // 3], job_hash=str(n), name=f"job_{n}", command=f"true {n}",
    status="DDDRGG"[n], status_date=now, position=n) for n in range(6)]
for n in range(3):
    get("JobEdge").objects.create(upstream=jobs[n], downstream=jobs[n + 3])
for n, letter in enumerate("DDDR"):
    get("JobInstance").objects.create(job=jobs[n], workflow_run=run, executor_type="local", name=f"jm1-{n + 1}",
        status=letter, submitted_date=now, status_date=now, ended_at=now if letter == "D" else None)
print("seeded")
"""
LOOK = """
import django, json
django.setup()
from django.core.management import call_command
from workflows.models import *
print(json.dumps({
    "jobs": list(Job.objects.order_by("pk").values_list("name", "status")),
    "edges": list(GroupEdge.objects.values_list("edges", flat=True)),
    "attempts": JobInstance.objects.count(), "runs": list(WorkflowRun.objects.values_list("status", flat=True)),
    "owner": Workflow.objects.get().owner.username,
}))
call_command("fsck", only=["done-once", "one-live", "job-follows-instance", "readiness", "attempts", "closed", "names"])
"""


def seed(environment: dict[str, str]) -> None:
    done = run_python({**environment, "DJANGO_SETTINGS_MODULE": "jobmon_site.settings"}, "-c", SEED)
    assert "seeded" in done.stdout, done.stderr


def look(environment: dict[str, str]) -> str:
    done = run_python({**environment, "DJANGO_SETTINGS_MODULE": "jobmon_site.settings"}, "-c", LOOK)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_upgraded(environment: dict[str, str]) -> None:
    text = look(environment)
    assert '["job_0", "D"], ["job_1", "D"], ["job_2", "D"], ["job_3", "R"], ["job_4", "G"]' in text
    assert '"edges": [3], "attempts": 4, "runs": ["R"], "owner": "alice"' in text
    assert ", 0 broken" in text
    again = migrate(environment, "--check")
    assert "Applying" not in again


def test_the_first_schema_with_a_live_run_becomes_this_one(environment: dict[str, str]) -> None:
    migrate(environment, *FIRST)
    migrate(environment, "auth")
    seed(environment)
    migrate(environment)
    check_upgraded(environment)


@pytest.mark.parametrize("hit", [9, pytest.param(2, marks=pytest.mark.slow), pytest.param(23, marks=pytest.mark.slow)])
def test_a_migration_that_is_killed_is_run_again(environment: dict[str, str], hit: int) -> None:
    """At this statement after the first schema."""
    migrate(environment, *FIRST)
    migrate(environment, "auth")
    seed(environment)
    argv = ("manage.py", "migrate", "--skip-checks", APP)
    killed = run_python({**environment, "JOBMON_FAULTS": f"in_migration:kill@{hit}"}, *argv)
    assert killed.returncode == -9, killed.stdout + killed.stderr
    migrate(environment)
    check_upgraded(environment)


@pytest.mark.skipif(connection.vendor != "mysql", reason="SQLite locks by itself")
def test_two_cannot_migrate_at_once(environment: dict[str, str]) -> None:
    import MySQLdb

    from jobmon_site.management.commands.migrate import hashlib

    name = "jobmon-migrate-" + hashlib.sha256(environment["JOBMON_DB_NAME"].encode()).hexdigest()[:16]
    other = MySQLdb.connect(unix_socket=environment["JOBMON_DB_HOST"], user="root")
    other.cursor().execute("SELECT GET_LOCK(%s, 0)", [name])
    try:
        done = run_python(environment, "manage.py", "migrate", "--skip-checks")
    finally:
        other.close()
    assert done.returncode == 1
    assert "another `migrate` is at work" in done.stderr


def older_states() -> list[str]:
    """Every schema since the labels, except this one."""
    loader = MigrationLoader(None)
    names = sorted(name for app, name in loader.disk_migrations if app == APP)
    return names[1:-1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", older_states())
def test_code_of_an_older_schema_writes_into_this_one(name: str) -> None:
    """Old workers insert rows without the columns that came since: each must have a default in the database itself."""
    loader = MigrationExecutor(connection).loader
    state = loader.project_state([(APP, name), ("auth", "0012_alter_user_first_name_max_length")])
    user = state.apps.get_model("auth", "User").objects.create(username=f"old-{name}")
    with transaction.atomic():
        made = [model.objects.create(**values) for model, values in rows_for(state.apps, user.pk)]
        for row in made:
            row.refresh_from_db()
        transaction.set_rollback(True)


def rows_for(apps: Any, user_id: int) -> Iterator[tuple[type[Model], dict[str, Any]]]:
    """One row of each table that workers and the site write, as the models of that schema know them."""
    get = lambda model: apps.get_model(APP, model)  # noqa: E731
    dag = get("TaskDag").objects.create(dag_hash="d", user="a", created_date=NOW)
    common = {"user": "a", "executor": "local", "created_date": NOW, "status_date": NOW}
    workflow = get("Workflow").objects.create(dag=dag, workflow_args="w", workflow_hash="w", owner_id=user_id, **common)
    run = get("WorkflowRun").objects.create(workflow=workflow, started_by_id=user_id, **common)
    group = get("JobGroup").objects.create(dag=dag, name="g")
    job = get("Job").objects.create(dag=dag, group=group, job_hash="j", name="j", command="true", status_date=NOW)
    attempt = {"job": job, "workflow_run": run, "executor_type": "local", "submitted_date": NOW, "status_date": NOW}
    instance = get("JobInstance").objects.create(name="jm1-1", **attempt)
    seen = {"title": "t", "reason": "exit", "first_seen_at": NOW, "last_seen_at": NOW}
    yield get("ErrorGroup"), {"workflow": workflow, "fingerprint": "f", **seen}
    yield get("JobInstanceErrorLog"), {"job_instance": instance, "error_time": NOW, "description": "x"}
    yield get("JobInstanceStatusLog"), {"job_instance": instance, "status": "I", "status_time": NOW}
    yield get("ExecutorState"), {"name": "old", "kind": "local"}
    yield get("AuditEntry"), {"at": NOW, "actor": "a", "via": "api", "action": "x", "target": "y"}
    yield get("ApiToken"), {"user_id": user_id, "name": "n", "prefix": "p", "secret_hash": "h", "created_at": NOW}
    yield get("Draft"), {"owner_id": user_id, "created_at": NOW, "header": {}}
    yield get("IdempotencyRecord"), {"user_id": user_id, "key": "k", "fingerprint": "f", "created_at": NOW}


def previous_version(folder: Path) -> Path:
    """The tree of the newest commit with fewer migrations than this one, unpacked."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("the version before this one: there is no git history here")
    mine = {path.name for path in (REPOSITORY / APP / "migrations").glob("0*.py")}
    for commit in ["HEAD", *git("log", "--format=%H", "-n", "60", "--", f"{APP}/migrations").split()]:
        for candidate in (commit, f"{commit}~1"):
            listed = git("ls-tree", "--name-only", candidate, f"{APP}/migrations/")
            theirs = {Path(line).name for line in listed.splitlines() if Path(line).name.startswith("0")}
            if theirs and theirs < mine:
                return unpack(candidate, folder)
    pytest.skip("the version before this one: the history here is too short")


def git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(REPOSITORY), *words], capture_output=True, text=True, timeout=60)
    return done.stdout if done.returncode == 0 else ""


def unpack(commit: str, folder: Path) -> Path:
    packed = subprocess.run(
        ["git", "-C", str(REPOSITORY), "archive", commit], capture_output=True, timeout=60, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def gated(name: str, gate: str, *upstreams: BashTask) -> BashTask:
    command = f"echo {name} >> ledger; until [ -e {gate} ] || [ -e over ]; do sleep 0.1; done"
    return BashTask(command, name=name, upstream_tasks=list(upstreams), mem_free=0.001)


def lines(folder: Path) -> list[str]:
    return sorted((folder / "ledger").read_text().split()) if (folder / "ledger").exists() else []


def test_a_running_workflow_survives_the_upgrade(make_embedded_server, tmp_path: Path) -> None:
    """Begun under the version before this one, on its schema; that is stopped, this one migrates and goes on."""
    tree = previous_version(tmp_path / "old")
    with ending_jobs(tmp_path / "work") as work:
        carry_over(make_embedded_server, tree, work)


def carry_over(make_embedded_server, tree: Path, work: Path) -> None:
    home = work.parent / "home"
    old = make_embedded_server(home, JOBMON_LOCAL_SLOTS="8")
    old.root = tree
    old.start()
    first = [gated(f"a{n}", "gate_a") for n in range(3)]
    second = [gated(f"b{n}", "gate_b", first[n]) for n in range(3)]
    workflow = make_workflow(old, "upgrade", [*first, *second], work)
    workflow.run(wait=False)
    wait_until(lambda: len(lines(work)) == 3, 60, "jobs run under the old version")
    assert old.stop() == 0
    new = make_embedded_server(home, JOBMON_LOCAL_SLOTS="8").start()
    assert status_of(new, workflow.workflow_id) == "R"
    (work / "gate_a").touch()
    wait_until(lambda: len(lines(work)) == 6, 120, "the next jobs run under the new version")
    (work / "gate_b").touch()
    wait_until(lambda: status_of(new, workflow.workflow_id) == "D", 60, "the workflow is done")
    assert lines(work) == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_the_version_before_this_one_works_on_this_schema(make_embedded_server, tmp_path: Path) -> None:
    """As in the minutes of an upgrade: the schema is new, the processes are still old."""
    tree = previous_version(tmp_path / "old")
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "home").mkdir(mode=0o700)
    old = make_embedded_server(tmp_path / "home", JOBMON_LOCAL_SLOTS="4")
    migrate(old.environment)
    old.root = tree
    old.start()
    tasks = [
        BashTask(f"echo {n} >> ledger; exit {int(n == 3)}", name=f"j{n}", mem_free=0.001, max_attempts=2)
        for n in range(5)
    ]
    workflow = make_workflow(old, "new schema", tasks, work)
    workflow.run(wait=False)
    wait_until(lambda: status_of(old, workflow.workflow_id) == "E", 60, "the run is over")
    assert lines(work) == ["0", "1", "2", "3", "3", "4"]
    assert old.request("/workflows/", old.token)[0] in (200, 302)
