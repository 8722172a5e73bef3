"""`make cluster-up` and `make cluster-down` as a contributor types them, in folders and on ports of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clusters import open_folder
from tests.executors.cluster import AS_USER, USER
from tests.ports import find_ports
from tests.services import REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.sge,
    pytest.mark.slurm,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a batch system"),
    pytest.mark.timeout(600),
]
DAEMONS = ("sge_qmaster", "sge_execd", "slurmctld", "slurmd", "slurmdbd", "mariadbd", "munged")


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        made.chmod(0o755)
        yield made


def make(target: str, folder: Path, ports: int) -> str:
    """What it says. Into a file, not a pipe: the daemons would hold a pipe open."""
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "JOBMON_CLUSTER_SGE_ROOT": str(folder / "sge"),
        "JOBMON_CLUSTER_SGE_PORT": str(ports),
        "JOBMON_CLUSTER_SLURM_ROOT": str(folder / "slurm"),
        "JOBMON_CLUSTER_SLURM_PORT": str(ports + 2),
    }
    with open(folder / "make.log", "w+") as log:
        done = subprocess.run(
            ["make", target],
            cwd=REPOSITORY,
            env=environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            timeout=280,
        )
        log.seek(0)
        said = log.read()
    assert done.returncode == 0, said
    return said


def submit(settings: Path, *argv: str) -> str:
    """By hand, as the README says: the settings first, then the command, as the submit user."""
    script = f'. {settings} && cd / && exec {" ".join(AS_USER)} env PATH=$PATH "$@"'
    done = subprocess.run(["bash", "-c", script, "sh", *argv], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def find_daemons(folder: Path) -> list[str]:
    """Living daemons whose pid files are below the folder."""
    pids = [path.read_text().strip() for path in folder.rglob("*pid") if path.is_file()]
    names = [Path(f"/proc/{pid}/comm") for pid in pids if pid.isdigit()]
    return sorted(path.read_text().strip() for path in names if path.exists())


def test_up_twice_a_job_by_hand_and_down(folder: Path) -> None:
    ports = find_ports(6)
    try:
        said = make("cluster-up", folder, ports)
        assert said.count("ready on") == 2, said
        assert "started" not in make("cluster-up", folder, ports), "what runs is left alone"
        assert sorted(DAEMONS) == find_daemons(folder)
        out = folder / "out"
        out.mkdir()
        shutil.chown(out, USER)
        submit(
            folder / "sge" / "settings.sh",
            *("qsub", "-sync", "y", "-P", "demo", "-q", "all.q", "-pe", "smp", "2", "-l", "mem_free=100M,h_rt=60"),
            *("-b", "y", "-shell", "n", "-o", f"{out}/sge", "-e", "/dev/null", "/usr/bin/id", "-un"),
        )
        submit(
            folder / "slurm" / "settings.sh",
            *("sbatch", "--wait", "-A", "demo", "-p", "demo", "--mem=100M", "-o", f"{out}/slurm", "--wrap", "id -un"),
        )
        assert [(out / name).read_text().strip() for name in ("sge", "slurm")] == [USER, USER]
    finally:
        make("cluster-down", folder, ports)
    assert find_daemons(folder) == []
