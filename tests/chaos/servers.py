"""The server that is to be harmed: where its jobs run, which database it has, and what can go wrong around it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.clock import SteppedClock
from tests.chaos.commands import MoodyCommands
from tests.chaos.graphs import PEOPLE, Work
from tests.chaos.harm import LivingJobs
from tests.chaos.plan import LEASE, LOCAL_POINTS, POINTS
from tests.chaos.troubles import SmallDisk, Trouble, UnreliableDatabase
from tests.ports import find_ports
from tests.services import REPOSITORY, EmbeddedServer, MariaDB, Unavailable, run_mariadb

EXECUTORS = ("local", "dummy", "sge", "slurm")
SLOW_COMMANDS = {"SUBMIT_TIMEOUT": "5", "QUERY_TIMEOUT": "5"}
COMMANDS = {"sge": ("qsub", "qstat", "qdel", "qacct"), "slurm": ("sbatch", "squeue", "scancel", "sacct")}
NEVER_SUBMITS = ("mid_directory", "submit_refused", "in_kill")  # no files, no shell: the dummy passes none of them
SWEEP = 5  # seconds; after a step of the clock everything waits for one
SLOTS = 8  # some jobs do nothing for long
SECOND_USER = f"""
from django.contrib.auth.models import Group, User
from workflows.access import create_token
user, _ = User.objects.get_or_create(username="second")
group, _ = Group.objects.get_or_create(name="{PEOPLE}")
group.user_set.add(*User.objects.all())
print(create_token(user, "chaos"))
"""


@dataclass(slots=True)
class Target:
    """`troubles` are those that this machine can do, `missing` says what it cannot. `second_token`: of another user.
    `jobs`: how the attempts that live can be reached, if they are processes."""

    server: EmbeddedServer
    work: Work
    database: str
    troubles: list[Trouble] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    second_token: str = ""
    jobs: LivingJobs | None = None

    @property
    def spool(self) -> Path:
        return Path(self.server.environment["JOBMON_SPOOL"])

    @property
    def mark(self) -> str:
        """How the names of its attempts begin."""
        return f"jm{self.server.environment['JOBMON_DEPLOYMENT']}-"

    @property
    def points(self) -> tuple[str, ...]:
        """The fault points on the way of its jobs."""
        if self.work.executor == "local":
            return tuple(POINTS)
        never = LOCAL_POINTS if self.work.executor != "dummy" else (*LOCAL_POINTS, *NEVER_SUBMITS)
        return tuple(point for point in POINTS if point not in never)

    @property
    def title(self) -> str:
        return f"{self.work.executor} jobs on {self.database}"


@contextmanager
def chaos_server(
    folder: Path, executor: str = "local", database: str = "", spoil: Callable[[Target], None] | None = None
) -> Iterator[Target]:
    """A running server with the settings that people have; all that it started is gone afterwards.
    `database` is sqlite or mysql, by default that of the suite. `spoil` changes it before it starts: a positive control
    wants a server that is broken."""
    kind = database or ("mysql" if os.environ.get("JOBMON_TEST_DATABASE") == "mariadb" else "sqlite")
    with ExitStack() as stack:
        target = _prepare(stack, folder, executor, kind)
        if spoil is not None:
            spoil(target)
        stack.callback(target.server.close)
        target.server.start()
        target.second_token = make_second_user(target.server)
        yield target


def _prepare(stack: ExitStack, folder: Path, executor: str, database: str) -> Target:
    if executor in COMMANDS:  # in a place where the batch jobs' user may write
        folder = stack.enter_context(_open_folder())
    folder.mkdir(parents=True, exist_ok=True)
    # A port of its own: it shall come back where its clients look for it.
    server = EmbeddedServer(folder / "home", JOBMON_PORT=str(find_ports(1)), JOBMON_LOCAL_SLOTS=str(SLOTS))
    server.environment["JOBMON_SPOOL"] = str(folder / "spool")
    server.environment["JOBMON_LEASE_SECONDS"] = str(LEASE)  # shorter than usual: some stops shall outlast it
    server.environment["JOBMON_SWEEP_SECONDS"] = str(SWEEP)
    server.environment["JOBMON_DEPLOYMENT"] = secrets.token_hex(3)  # its attempts are told from those of others by name
    target = Target(server, Work(executor, folder / "rounds"), "SQLite")
    if executor == "dummy":
        server.environment["JOBMON_EXECUTORS"] = "dummy"
    else:
        target.jobs = LivingJobs(target.mark)
        target.troubles.append(target.jobs)
    if executor in COMMANDS:
        target.troubles.append(_add_cluster(stack, folder, executor, server))
    if database == "mysql":
        target.database = "MariaDB"
        target.troubles.append(_add_mariadb(stack, folder, server))
    with _note_missing(target):
        target.troubles.append(stack.enter_context(SmallDisk(folder / "spool").mounted()))
    with _note_missing(target):
        clock = SteppedClock(folder / "clock")
        server.program = str(clock.program)
        target.troubles.append(clock)
    return target


@contextmanager
def _note_missing(target: Target) -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        target.missing.append(str(error))


@contextmanager
def _open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="jobmon-chaos-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _add_mariadb(stack: ExitStack, folder: Path, server: EmbeddedServer) -> Trouble:
    """One of its own: it is to be killed."""
    mariadb = MariaDB(folder / "mariadb")
    stack.callback(mariadb.stop)
    mariadb.start()
    run_mariadb(mariadb.socket, "CREATE DATABASE jobmon CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    server.environment.update(
        JOBMON_DB="mysql", JOBMON_DB_HOST=str(mariadb.socket), JOBMON_DB_USER="root", JOBMON_DB_NAME="jobmon"
    )
    return UnreliableDatabase(mariadb)


def _add_cluster(stack: ExitStack, folder: Path, executor: str, server: EmbeddedServer) -> Trouble:
    """A real one of its own, behind commands that have moods. Its parts come from the executors' tests."""
    from tests.e2e.clusters import sge_settings, slurm_settings
    from tests.executors.cluster import SgeCluster, SlurmCluster, running

    cluster = stack.enter_context(running(SgeCluster if executor == "sge" else SlurmCluster))
    commands = MoodyCommands(folder / "commands", cluster.binaries, COMMANDS[executor])
    make = sge_settings if executor == "sge" else slurm_settings
    server.environment.update(make(cluster, BIN_DIR=str(commands.folder), **SLOW_COMMANDS))
    server.environment["JOBMON_EXECUTORS"] = executor
    return commands


def make_second_user(server: EmbeddedServer) -> str:
    """The token of somebody who is in one group with everybody."""
    manage = [sys.executable, str(REPOSITORY / "manage.py"), "shell", "-v", "0", "-c", SECOND_USER]
    done = subprocess.run(manage, env=server.environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def end_quietly(trouble: Trouble) -> None:
    """For a session that is given up in the middle."""
    with contextlib.suppress(Exception):
        trouble.end()
