"""One executor on a real cluster, in the words of the contract; its fixtures are imported by the tests that use them."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from executors.base import AttemptRef, JobSpec, Phase
from executors.batch import BatchExecutor
from executors.sge import SgeExecutor
from executors.slurm import SlurmExecutor
from tests.executors.cluster import Cluster, SgeCluster, SlurmCluster
from tests.executors.harness import Specs
from tests.ports import find_ports
from tests.waiting import wait_until


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

    @property
    def uid(self) -> int:
        return pwd.getpwnam(self.executor.config.user).pw_uid

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

        wait_until(is_there, 120, f"{name} {phase}", 0.1)
        if phase is Phase.RUNNING:
            self.wait_for_token(name)

    def wait_for_token(self, name: str) -> None:
        number = next(spec.instance_id for spec in self._specs.made if spec.name == name)
        wait_until(lambda: (self.executor.store.folder(number) / "token").exists(), 60, f"the token of {name}")

    def wait_for_accounting(self, specs: Sequence[JobSpec]) -> dict[str, Any]:
        refs = [ref(spec) for spec in specs]
        wait_until(lambda: len(self.executor.exit_info(refs)) == len(specs), 120, "the accounting of all", 0.2)
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
        # A command asks again for as long as MessageTimeout allows: 10 s if nothing is said.
        text = text.replace(
            f"SlurmctldPort={self.cluster.port}\n", f"SlurmctldPort={find_ports(1)}\nMessageTimeout=2\n"
        )
        broken.write_text(text)
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
    slurm_cluster.give_node_back()

    def make(**given: Any) -> SlurmHarness:
        config = slurm_cluster.config(tmp_path / "spool", name_prefix=unique_prefix(), **given)
        made.append(SlurmHarness(slurm_cluster, SlurmExecutor(config)))
        return made[-1]

    yield make
    for harness in made:
        harness.clean_up()
