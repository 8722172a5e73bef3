"""An embedded server whose executors are the suite's own Grid Engine and Slurm, and what tests ask of it."""

from __future__ import annotations

import collections
import html
import http.cookiejar
import re
import secrets
import shutil
import tempfile
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobmon import BashTask, Workflow
from tests.e2e.clients import connect, count_jobs, count_live_instances, find_dag_id, status_of
from tests.executors.cluster import AS_USER, USER, SgeCluster, SlurmCluster, log_commands
from tests.services import EmbeddedServer, server_database
from tests.waiting import wait_until

END_SECONDS = 120.0
POLL, GRACE = "1", "6"


def sge_settings(cluster: SgeCluster, name: str = "SGE", **given: str) -> dict[str, str]:
    """The variables of one executor on this cell."""
    return _with_prefix(
        name,
        KIND="sge",
        ROOT=str(cluster.root),
        QMASTER_PORT=str(cluster.port),
        EXECD_PORT=str(cluster.port + 1),
        PARALLEL_ENVIRONMENT="smp",
        DEFAULT_PROJECT="demo",
        DEFAULT_QUEUE="all.q",
        **given,
    )


def slurm_settings(cluster: SlurmCluster, name: str = "SLURM", **given: str) -> dict[str, str]:
    conf = str(cluster.root / "slurm.conf")
    return _with_prefix(name, KIND="slurm", CONF=conf, DEFAULT_PROJECT="demo", DEFAULT_QUEUE="demo", **given)


def _with_prefix(name: str, **given: str) -> dict[str, str]:
    shared = {"USER": USER, "COMMAND_PREFIX": " ".join(AS_USER), "POLL_INTERVAL": POLL, "GRACE": GRACE}
    return {f"JOBMON_{name}_{setting}": text for setting, text in {**shared, **given}.items()}


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder in which the batch jobs' user may write."""
    folder = Path(tempfile.mkdtemp(prefix="jobmon-clusters-", dir="/tmp"))
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def make_server(folder: Path, database: dict[str, str], executors: str, **environment: str) -> EmbeddedServer:
    """Not started. The names of its batch jobs are its own: several servers use one cluster."""
    given = {
        "JOBMON_EXECUTORS": executors,
        "JOBMON_SPOOL": str(folder / "spool"),
        "JOBMON_DEPLOYMENT": secrets.token_hex(3),
        "JOBMON_SWEEP_SECONDS": "2",
        "JOBMON_LEASE_SECONDS": "5",
        **environment,
    }
    return EmbeddedServer(folder / "home", database, **given)


@contextmanager
def serving(executors: str, **environment: str) -> Iterator[EmbeddedServer]:
    """A running server in a folder of its own, ended with its logs shown."""
    with open_folder() as folder, server_database(f"clusters_{uuid.uuid4().hex[:12]}") as database:
        server = make_server(folder, database, executors, **environment)
        try:
            yield server.start()
        finally:
            server.close()
            print(server.last_words())


def make_workflow(
    server: EmbeddedServer, tasks: Iterable[BashTask], folder: Path, executor: str, **given: Any
) -> Workflow:
    """One with the folder's name as workflow_args: the same again is the same workflow."""
    workflow = Workflow(
        workflow_args=f"{executor} {folder.name}",
        working_dir=str(folder),
        executor=executor,
        client=connect(server),
        **given,
    )
    workflow.add_tasks(tasks)
    return workflow


def wait_for_end(server: EmbeddedServer, workflow: Workflow, seconds: float = END_SECONDS) -> str:
    """The workflow's status after its run."""
    workflow_id = workflow.workflow_id
    assert workflow_id is not None
    wait_until(lambda: status_of(server, workflow_id) != "R", seconds, f"workflow {workflow_id} is over", pause=0.3)
    return status_of(server, workflow_id)


ATTEMPT = ("status", "reason", "exit_code", "exit_signal", "mem_free", "max_runtime", "maxvmem", "name")


def list_attempts(server: EmbeddedServer, workflow: Workflow) -> dict[str, list[dict[str, Any]]]:
    """Name of the job → its attempts, oldest first."""
    assert workflow.workflow_id is not None
    dag_id = find_dag_id(server, workflow.workflow_id)
    rows = server.query(
        f"SELECT j.name, {', '.join(f'i.{column}' for column in ATTEMPT)} FROM job_instance i"
        f" JOIN job j ON j.job_id = i.job_id WHERE j.dag_id={dag_id} ORDER BY i.job_instance_id"
    )
    found: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    for job, *values in rows:
        found[job].append(dict(zip(ATTEMPT, values, strict=True)))
    return dict(found)


def outcomes(server: EmbeddedServer, workflow: Workflow) -> dict[str, list[str]]:
    """Name of the job → reason of each attempt, "" for success."""
    attempts = list_attempts(server, workflow)
    return {name: [one["reason"] if one["status"] != "D" else "" for one in some] for name, some in attempts.items()}


def sign_in(server: EmbeddedServer) -> urllib.request.OpenerDirector:
    """A browser's session of its own."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    link = connect(server).create_login_link()["url"]
    with browser.open(link, timeout=120) as answer:
        fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', answer.read().decode()))
    data = urllib.parse.urlencode(fields).encode()
    browser.open(urllib.request.Request(link, data, {"Referer": link}), timeout=120).close()
    return browser


def read_page(server: EmbeddedServer, path: str) -> str:
    """A page as the owner's browser gets it."""
    with sign_in(server).open(server.url + path, timeout=120) as answer:
        return html.unescape(str(answer.read().decode()))


def find_job_id(server: EmbeddedServer, workflow: Workflow, name: str) -> int:
    assert workflow.workflow_id is not None
    dag_id = find_dag_id(server, workflow.workflow_id)
    return int(server.query(f"SELECT job_id FROM job WHERE dag_id={dag_id} AND name='{name}'")[0][0])


def used_executors(server: EmbeddedServer, workflow_id: int) -> dict[str, str]:
    """Name of the job → the executor of its attempt."""
    return dict(
        server.query(
            "SELECT j.name, i.executor_type FROM job_instance i JOIN job j ON j.job_id = i.job_id"
            f" WHERE j.dag_id = {find_dag_id(server, workflow_id)}"
        )
    )


def wait_for_files(folder: Path, *names: str) -> None:
    wait_until(lambda: all((folder / name).exists() for name in names), 60, f"{names} are there")


def count_lines(folder: Path, name: str = "lines") -> collections.Counter[str]:
    path = folder / name
    return collections.Counter(path.read_text().split() if path.exists() else [])


def write_lines(count: int, folder: Path, upstreams_of: int = 10, pause: float = 0.0) -> list[BashTask]:
    """Jobs that each append their number to a file once; the last of every `upstreams_of` waits for those before it."""
    tasks: list[BashTask] = []
    for number in range(count):
        is_join = number % upstreams_of == upstreams_of - 1
        before = tasks[-(upstreams_of - 1) :] if is_join else tasks[number - upstreams_of : number - upstreams_of + 1]
        wait = f"sleep {pause}; " if pause else ""
        command = f"{wait}echo {number} >> {folder}/lines"
        tasks.append(BashTask(command, name=f"job_{number}", upstream_tasks=before, mem_free=0.01))
    return tasks


BEFORE_SUBMISSION = (
    "before_intent_commit",
    "after_intent_commit",
    "mid_directory",
    "pause_before_submit",
    "submit_refused",
)
AFTER_SUBMISSION = ("after_submit", "after_id_stored", "after_exit_read", "before_downstream")


def kill_at(points: tuple[str, ...], folder: Path, hit: int = 1) -> dict[str, str]:
    """Variables with which a worker is killed once at each of these points."""
    (folder / "once").mkdir()
    return {
        "JOBMON_FAULTS": ",".join(f"{point}:kill@{hit}" if hit > 1 else f"{point}:kill" for point in points),
        "JOBMON_FAULTS_ONCE": str(folder / "once"),
    }


def check_all_ran_once(server: EmbeddedServer, workflow: Workflow, folder: Path, jobs: int) -> None:
    """Every line stands there once; one success for each job; attempts beside it never started."""
    assert workflow.workflow_id is not None
    dag_id = find_dag_id(server, workflow.workflow_id)
    assert count_jobs(server, dag_id) == {"D": jobs}, outcomes(server, workflow)
    assert count_lines(folder) == {str(number): 1 for number in range(jobs)}
    assert count_live_instances(server) == 0
    for reasons in outcomes(server, workflow).values():
        assert reasons.count("") == 1
        assert set(reasons) <= {"", "void"}


def lists_none_of(server: EmbeddedServer, cluster: SgeCluster | SlurmCluster) -> bool:
    """No job of this server is left in the batch system."""
    return f"jm{server.environment['JOBMON_DEPLOYMENT']}-" not in cluster.list_jobs()


def run_with_kills(
    cluster: SgeCluster | SlurmCluster, folder: Path, points: tuple[str, ...], hit: int = 1, jobs: int = 40
) -> None:
    """A workflow whose worker dies once at each of these points; every job runs once, and nobody helps."""
    settings = sge_settings(cluster) if isinstance(cluster, SgeCluster) else slurm_settings(cluster)
    with serving(cluster.prefix, **settings, **kill_at(points, folder, hit)) as server:
        workflow = make_workflow(server, write_lines(jobs, folder), folder, cluster.prefix)
        workflow.run(wait=False)
        assert wait_for_end(server, workflow, 500) == "D"
        assert {path.name for path in (folder / "once").iterdir()} == set(points), "a worker died at each point"
        check_all_ran_once(server, workflow, folder, jobs)
        wait_until(lambda: lists_none_of(server, cluster), 30, "nothing is left in the queue")


def write_liars(cluster: SgeCluster | SlurmCluster, folder: Path, submit: str) -> Path:
    """Programs of which the one that submits does its work, loses its answer and says that it has failed."""
    made, _ = log_commands(cluster.binaries, cluster.programs, folder / "liars")
    words = "error: commlib error: got read error (closing connection)"
    (made / submit).write_text(f'#!/bin/sh\n{cluster.binaries / submit} "$@" >/dev/null\necho "{words}" >&2\nexit 1\n')
    return made
