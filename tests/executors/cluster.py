"""A Grid Engine and a Slurm of the suite's own, in a temporary folder on free ports, and the contract's words for them.

A test never meets a batch system that was there before: each process of the suite brings up its own, and ends it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from executors.base import AttemptRef, JobSpec, Phase
from executors.batch import BatchExecutor
from executors.sge import SgeExecutor
from executors.sge_config import SgeConfig
from executors.slurm import SlurmExecutor
from executors.slurm_config import SlurmConfig
from tests.executors.harness import Specs
from tests.waiting import wait_until

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "deploy" / "cluster"
USER = "jobmon-demo"
UNAVAILABLE = 69  # what the scripts answer when the packages cannot be had
AS_USER = ("/usr/sbin/runuser", "-u", USER, "--")
# A crash of qmaster alone: its node reports again within half a minute.
# A job that was being handed to a daemon when it died is delivered again by Grid Engine after 300 s, not sooner.
RECOVERY = 400.0


def find_ports(count: int) -> int:
    """The first of `count` free ports in a row."""
    for _ in range(200):
        first = 20000 + secrets.randbelow(10000)
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")


def is_alive(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


class Cluster:
    """A batch system in a folder of its own."""

    prefix: str
    ports: int

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


class SgeCluster(Cluster):
    prefix = "sge"
    ports = 2
    binaries = Path("/usr/lib/gridengine")

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
        defaults: dict[str, Any] = {"parallel_environment": "smp", "default_project": "demo", "default_queue": "all.q"}
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
        defaults: dict[str, Any] = {"default_project": "demo", "default_queue": "demo"}
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


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in which the submit user may write, wherever a test makes folders in it."""
    folder = Path(tempfile.mkdtemp(prefix="jobmon-batch-", dir="/tmp"))
    folder.chmod(0o777)
    mask = os.umask(0)
    yield folder
    os.umask(mask)
    shutil.rmtree(folder)


def ref(spec: JobSpec, executor_id: str | None = None, intended_at: float = 0.0) -> AttemptRef:
    return AttemptRef(spec.instance_id, spec.name, executor_id, intended_at)


class BatchHarness:
    """One executor on a real cluster; its jobs' names begin with a prefix of its own."""

    def __init__(self, cluster: Cluster, executor: BatchExecutor) -> None:
        self.cluster = cluster
        self.executor = executor
        self.working = executor  # stays when a test breaks the back end
        self._specs = Specs(executor.config.name_prefix)

    def spec(self, command: str, **given: object) -> JobSpec:
        return self._specs.make(command, given)

    def array(self, commands: Sequence[str], **given: object) -> list[JobSpec]:
        """Attempts of one batch."""
        made = [self.spec(command, **given) for command in commands]
        batch = f"{self.executor.config.name_prefix}-b{made[0].instance_id}"
        return [replace(spec, name=f"{batch}.{at}", batch=batch, index=at) for at, spec in enumerate(made, 1)]

    def wait_for_end(self, names: Sequence[str]) -> None:
        def listed() -> set[str]:
            return set(names) & set(self.executor.poll())

        wait_until(lambda: not listed(), 120, f"the end of {names[:5]}", 0.2)

    def wait_for_phase(self, name: str, phase: Phase) -> None:
        def is_there() -> bool:
            listed = self.executor.poll().get(name)
            return listed is not None and listed.phase is phase

        wait_until(is_there, 60, f"{name} {phase}", 0.1)
        if phase is Phase.RUNNING:
            self.wait_for_token(name)

    def wait_for_token(self, name: str) -> None:
        number = next(spec.instance_id for spec in self._specs.made if spec.name == name)
        wait_until(lambda: (self.executor.store.folder(number) / "token").exists(), 60, f"the token of {name}")

    def wait_for_accounting(self, specs: Sequence[JobSpec]) -> dict[str, Any]:
        refs = [ref(spec) for spec in specs]
        wait_until(lambda: len(self.executor.exit_info(refs)) == len(specs), 60, "the accounting of all", 0.2)
        return self.executor.exit_info(refs)

    def exits(self, code: int) -> str:
        return f"exit {code}"

    def dies(self, signal: int) -> str:
        return f"kill -{signal} $$"

    def lasts(self) -> str:
        return "exec sleep 1000"

    def submit_pending(self, command: str = "true") -> JobSpec:
        self.close_queue()
        spec = self.spec(command)
        assert self.executor.submit([spec]).accepted
        self.wait_for_phase(spec.name, Phase.PENDING)
        return spec

    def let_start(self, spec: JobSpec) -> None:
        self.open_queue()

    def close_queue(self) -> None:
        raise NotImplementedError

    def open_queue(self) -> None:
        raise NotImplementedError

    def break_back_end(self) -> None:
        raise NotImplementedError

    def clean_up(self) -> None:
        """End all jobs of this test."""
        self.open_queue()
        self.executor = self.working
        made = [AttemptRef(0, name, listed.executor_id, 0.0) for name, listed in self.executor.poll().items()]
        self.executor.cancel(made)
        self.wait_for_end([one.name for one in made])


class SgeHarness(BatchHarness):
    cluster: SgeCluster

    def close_queue(self) -> None:
        self.cluster.command("qmod", "-d", "all.q")

    def open_queue(self) -> None:
        self.cluster.command("qmod", "-e", "all.q")

    def break_back_end(self) -> None:
        """Nobody listens on that port."""
        self.executor = SgeExecutor(replace(self.working.config, qmaster_port=find_ports(1)))


class SlurmHarness(BatchHarness):
    cluster: SlurmCluster

    def close_queue(self) -> None:
        self.cluster.command("scontrol", "update", "partitionname=demo", "state=down")

    def open_queue(self) -> None:
        self.cluster.command("scontrol", "update", "partitionname=demo", "state=up")

    def break_back_end(self) -> None:
        """Nobody listens on that port."""
        text = (self.cluster.root / "slurm.conf").read_text()
        broken = self.cluster.folder / "broken.conf"
        broken.write_text(text.replace(f"SlurmctldPort={self.cluster.port}\n", f"SlurmctldPort={find_ports(1)}\n"))
        self.executor = SlurmExecutor(replace(self.working.config, slurm_conf=broken))


def unique_prefix() -> str:
    return f"jm{secrets.token_hex(4)}"


@pytest.fixture
def make_sge(sge_cluster: SgeCluster, tmp_path: Path) -> Iterator[Any]:
    made: list[SgeHarness] = []

    def make(**given: Any) -> SgeHarness:
        config = sge_cluster.config(tmp_path / "spool", name_prefix=unique_prefix(), **given)
        made.append(SgeHarness(sge_cluster, SgeExecutor(config)))
        return made[-1]

    yield make
    for harness in made:
        harness.clean_up()


@pytest.fixture
def make_slurm(slurm_cluster: SlurmCluster, tmp_path: Path) -> Iterator[Any]:
    made: list[SlurmHarness] = []

    def make(**given: Any) -> SlurmHarness:
        config = slurm_cluster.config(tmp_path / "spool", name_prefix=unique_prefix(), **given)
        made.append(SlurmHarness(slurm_cluster, SlurmExecutor(config)))
        return made[-1]

    yield make
    for harness in made:
        harness.clean_up()


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
