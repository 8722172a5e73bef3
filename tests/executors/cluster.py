"""A Grid Engine and a Slurm of the suite's own, in a temporary folder on free ports.

A test never meets a batch system that was there before: each process of the suite brings up its own, and ends it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from executors.sge_config import SgeConfig
from executors.slurm_config import SlurmConfig
from tests.ports import find_ports
from tests.waiting import wait_until

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "deploy" / "cluster"
USER = "jobmon-demo"
UNAVAILABLE = 69  # what the scripts answer when the packages cannot be had
AS_USER = ("/usr/sbin/runuser", "-u", USER, "--")
# A command may take its time on a busy machine.
PATIENCE: dict[str, Any] = {"query_timeout": 120.0, "submit_timeout": 120.0}
# A crash of qmaster alone: its node reports again within half a minute.
RECOVERY = 120.0
# A job that was on its way to the node when qmaster died is sent again after 300 s, not sooner.
SECOND_DELIVERY = 420.0


def is_alive(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


class Cluster:
    """A batch system in a folder of its own."""

    prefix: str
    ports: int
    binaries: Path
    programs: tuple[str, ...]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = find_ports(self.ports)

    def knobs(self) -> dict[str, str]:
        raise NotImplementedError

    def pid_file(self, daemon: str) -> Path:
        raise NotImplementedError

    def up(self) -> None:
        done = self._script("up")
        if done.returncode == UNAVAILABLE:
            pytest.skip(f"no {self.prefix}: {done.stdout.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stdout

    def down(self) -> None:
        done = self._script("down", "--purge")
        assert done.returncode == 0, done.stdout
        shutil.rmtree(self.folder, ignore_errors=True)

    def _script(self, what: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [str(SCRIPTS / f"{self.prefix}_{what}"), *arguments]
        given = {name: text for name, text in os.environ.items() if name.startswith("JOBMON_CLUSTER_")}
        own = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "JOBMON_CLUSTER_USER": USER}
        environment = {**given, **own, **self.knobs()}
        # A file, not a pipe: the daemons would hold a pipe open.
        with open(self.folder / "script.log", "w+") as log:
            done = subprocess.run(argv, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, timeout=280)
            log.seek(0)
            return subprocess.CompletedProcess(argv, done.returncode, log.read(), "")

    def kill(self, daemon: str) -> None:
        """End one of our own daemons as a crash would."""
        pid = int(self.pid_file(daemon).read_text())
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), what=f"the end of {daemon}")

    def command(self, *argv: str, user: bool = False) -> str:
        prefix = list(AS_USER) if user else []
        done = subprocess.run([*prefix, *argv], env=self.environment(), capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def environment(self) -> dict[str, str]:
        raise NotImplementedError

    def list_jobs(self) -> str:
        """All jobs of the submit user, as text that holds their names."""
        raise NotImplementedError


class SgeCluster(Cluster):
    prefix = "sge"
    ports = 2
    binaries = Path("/usr/lib/gridengine")
    programs = ("qsub", "qstat", "qdel", "qacct")

    def list_jobs(self) -> str:
        return self.command("qstat", "-xml", "-u", USER)

    def empty(self) -> None:
        """Nobody's jobs are left. What was deleted runs on for a moment."""
        self.command("qdel", "-u", "*")
        wait_until(lambda: not self.command("qstat", "-u", "*").strip(), 60, "no jobs are listed", 0.2)

    def pause_deliveries(self) -> None:
        """Until qmaster is started again no job is sent to the node, and none is on its way. One that is on its way
        when qmaster dies is sent again 300 s later: a constant of Grid Engine, which no setting changes."""
        self.command("qconf", "-kt", "scheduler")
        wait_until(lambda: "<state>t</state>" not in self.list_jobs(), 30, "no job is on its way")

    @property
    def root(self) -> Path:
        return self.folder / "sge"

    def knobs(self) -> dict[str, str]:
        return {
            "JOBMON_CLUSTER_SGE_ROOT": str(self.root),
            "JOBMON_CLUSTER_SGE_PORT": str(self.port),
            "JOBMON_CLUSTER_SGE_SLOTS": "32",
        }

    def pid_file(self, daemon: str) -> Path:
        return self.root / "spool" / {"qmaster": "qmaster/qmaster.pid", "execd": "execd.pid"}[daemon]

    def environment(self) -> dict[str, str]:
        return {**self.config(self.folder).environment, "PATH": f"{self.binaries}:/usr/bin:/bin"}

    def config(self, spool: Path, **given: Any) -> SgeConfig:
        defaults = {**PATIENCE, "parallel_environment": "smp", "default_project": "demo", "default_queue": "all.q"}
        return SgeConfig(
            spool=spool,
            sge_root=self.root,
            qmaster_port=self.port,
            execd_port=self.port + 1,
            user=USER,
            command_prefix=AS_USER,
            **{**defaults, **given},
        )


class SlurmCluster(Cluster):
    prefix = "slurm"
    ports = 4
    binaries = Path("/usr/bin")
    programs = ("sbatch", "squeue", "scancel", "sacct", "scontrol")

    def up(self) -> None:
        super().up()
        self.give_node_back()

    def give_node_back(self) -> None:
        """A slurmctld that was killed and gives numbers again may drain the node, and one whose slurmd was killed calls it
        down: both for good, until an administrator says otherwise."""
        wait_until(self._may_node_work, 120, "the node takes jobs", 0.5)

    def _may_node_work(self) -> bool:
        if self.command("sinfo", "-h", "-o", "%T").strip() in ("idle", "mixed", "allocated", "completing"):
            return True
        self.command("scontrol", "update", "nodename=ALL", "state=resume")
        return False

    def list_jobs(self) -> str:
        return self.command("squeue", "-h", "-r", "-u", USER, "-o", "%j %T")

    @property
    def root(self) -> Path:
        return self.folder / "slurm"

    def knobs(self) -> dict[str, str]:
        own = {"ROOT": str(self.root), "PORT": str(self.port), "CPUS": "32"}
        return {f"JOBMON_CLUSTER_SLURM_{knob}": text for knob, text in own.items()}

    def pid_file(self, daemon: str) -> Path:
        return self.root / "run" / f"{daemon}.pid"

    def environment(self) -> dict[str, str]:
        return {**self.config(self.folder).environment, "PATH": "/usr/bin:/bin"}

    def config(self, spool: Path, **given: Any) -> SlurmConfig:
        defaults = {**PATIENCE, "default_project": "demo", "default_queue": "demo"}
        conf = self.root / "slurm.conf"
        return SlurmConfig(spool=spool, slurm_conf=conf, user=USER, command_prefix=AS_USER, **{**defaults, **given})


@contextmanager
def running(kind: type[SgeCluster] | type[SlurmCluster]) -> Iterator[Any]:
    """Brings one up, and ends it. Skips, loudly, where none can be had."""
    if os.geteuid() != 0:
        pytest.skip(f"no {kind.prefix}: only root can start one")
    if not shutil.which("apt-get"):
        pytest.skip(f"no {kind.prefix}: its packages are known for Debian only")
    cluster = kind(Path(tempfile.mkdtemp(prefix=f"jobmon-{kind.prefix}-", dir="/tmp")))
    cluster.folder.chmod(0o755)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="session")
def sge_cluster() -> Iterator[SgeCluster]:
    with running(SgeCluster) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[SlurmCluster]:
    with running(SlurmCluster) as cluster:
        yield cluster


def log_commands(binaries: Path, names: Sequence[str], folder: Path) -> tuple[Path, Path]:
    """Programs of these names that write one line into a log and become the real ones; (folder, log)."""
    folder.mkdir()
    log = folder / "log"
    log.touch()
    log.chmod(0o666)
    for name in names:
        program = folder / name
        program.write_text(f'#!/bin/sh\necho {name} >>{log}\nexec {binaries / name} "$@"\n')
        program.chmod(0o755)
    return folder, log


def write_waiting_program(cluster: type[Cluster], name: str, folder: Path) -> Path:
    """The cluster's programs, of which one makes the file `waiting` and waits for the file `go` before it begins."""
    programs, _ = log_commands(cluster.binaries, cluster.programs, folder / "programs")
    hold = f": >{folder}/waiting; until [ -e {folder}/go ]; do sleep 0.05; done"
    (programs / name).write_text(f'#!/bin/sh\n{hold}\nexec {cluster.binaries / name} "$@"\n')
    return programs
