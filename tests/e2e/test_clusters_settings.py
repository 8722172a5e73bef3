"""Several executors at once: what is checked when a server starts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clusters import make_server, open_folder, sge_settings, slurm_settings
from tests.executors.cluster import SgeCluster, SlurmCluster
from tests.ports import find_ports
from tests.services import REPOSITORY, EmbeddedServer


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


def fail_to_start(server: EmbeddedServer) -> str:
    """What it says when it refuses to start."""
    process = server.launch()
    try:
        assert process.wait(120) == 1
    finally:
        server.close()
    return server.output.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("JOBMON_SGE_PARALEL_ENVIRONMENT", "smp", "did you mean PARALLEL_ENVIRONMENT"),
        ("JOBMON_SGE_MAX_LIVE", "many", "MAX_LIVE: 'many'"),
        ("JOBMON_BIGSGE_KIND", "pbs", "no executor of the kind 'pbs' is installed"),
        ("JOBMON_SGE_BIN_DIR", "/nowhere", "there is no /nowhere/qsub; set JOBMON_SGE_BIN_DIR"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_sentence(folder: Path, variable: str, text: str, words: str) -> None:
    given = {"JOBMON_BIGSGE_KIND": "sge", variable: text}
    said = fail_to_start(make_server(folder, {}, "local,sge,bigsge", **given))
    assert words in said
    assert said.startswith("jobmon: ")


def check_executors(server: EmbeddedServer) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "manage.py"), "check_executors"],
        env=server.environment, cwd=server.home.parent, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.sge
@pytest.mark.first
class TestGridEngine:
    def test_several_are_checked_and_one_that_is_silent_is_told_of(self, sge_cluster: SgeCluster, folder: Path) -> None:
        environment = sge_settings(sge_cluster)
        environment |= sge_settings(sge_cluster, "FAR") | {"JOBMON_FAR_QMASTER_PORT": str(find_ports(1))}
        server = make_server(folder, {}, "local,sge,far", **environment)
        done = check_executors(server)
        verdicts = [line.split("  ")[0] for line in done.stdout.splitlines()]
        assert verdicts == ["ok", "ok", "no answer"], done.stdout + done.stderr
        assert done.returncode == 0
        try:
            server.start()
            assert "jobmon: warning: executor far does not answer" in server.output
            assert [one["name"] for one in server.get("/api/v1/executors/")["results"]] == ["local", "sge", "far"]
        finally:
            server.close()

    def test_what_the_site_refuses_is_wrong(self, sge_cluster: SgeCluster, folder: Path) -> None:
        environment = sge_settings(sge_cluster, MEMORY_RESOURCES="nosuch")
        server = make_server(folder, {}, "local,sge", **environment)
        done = check_executors(server)
        assert done.returncode == 1
        assert "unknown resource" in done.stdout
        assert 'unknown resource "nosuch"' in fail_to_start(server)

    def test_a_closed_queue_is_not_a_wrong_setting(self, sge_cluster: SgeCluster, folder: Path) -> None:
        sge_cluster.command("qmod", "-d", "all.q")
        try:
            done = check_executors(make_server(folder, {}, "sge", **sge_settings(sge_cluster)))
        finally:
            sge_cluster.command("qmod", "-e", "all.q")
        assert done.stdout.split() == ["ok", "sge"]

    def test_a_spool_behind_a_closed_door(self, sge_cluster: SgeCluster, folder: Path) -> None:
        """The server is root and may go everywhere, its jobs may not."""
        door = folder / "door"
        door.mkdir(mode=0o700)
        environment = {**sge_settings(sge_cluster), "JOBMON_SPOOL": str(door / "spool")}
        done = check_executors(make_server(folder, {}, "sge", **environment))
        assert done.returncode == 1
        assert f"may not pass {door}" in done.stdout


@pytest.mark.slurm
@pytest.mark.first
class TestSlurm:
    def test_a_good_one_and_an_unknown_partition(self, slurm_cluster: SlurmCluster, folder: Path) -> None:
        environment = slurm_settings(slurm_cluster) | slurm_settings(slurm_cluster, "OTHER")
        environment["JOBMON_OTHER_DEFAULT_QUEUE"] = "nosuch"
        done = check_executors(make_server(folder, {}, "slurm,other", **environment))
        assert done.returncode == 1
        first, second = done.stdout.splitlines()
        assert first.split() == ["ok", "slurm"]
        assert "invalid partition" in second.lower()
