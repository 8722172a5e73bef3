"""Hosts that are taken out of use, on a real Grid Engine and a real Slurm."""

# ruff: noqa: F811 - fixtures are taken by their names
from __future__ import annotations

import re
import socket
from typing import Any

import pytest

from executors.base import ExecutorUnavailable
from tests.executors.batch_harness import make_sge, make_slurm, tmp_path  # noqa: F401 - fixtures
from tests.executors.contract import evidence, run

pytestmark = pytest.mark.first


@pytest.mark.sge
class TestGridEngine:
    """This cluster has one host. Others that are excluded beside it may be gone for long."""

    def test_they_arrive_as_they_are_and_the_rest_runs_it(self, make_sge: Any) -> None:
        harness = make_sge()
        harness.close_queue()
        spec = harness.spec("true", excluded_hosts=("gone", "c042.example.org"))
        job = harness.executor.submit([spec]).accepted[spec.name]
        requests = re.findall(r"^hard resource_list: +(.*)$", harness.cluster.command("qstat", "-j", job), re.MULTILINE)
        assert "hostname=!(gone|c042.example.org)" in requests[0].split(",")
        harness.open_queue()
        harness.wait_for_end([spec.name])
        found = evidence(harness, spec)
        assert found.exit is not None
        assert found.exit.code == 0

    def test_a_job_waits_until_a_host_comes_back(self, make_sge: Any) -> None:
        """It is refused for good only if it were so without them."""
        harness = make_sge()
        excluded = ("gone", socket.gethostname())
        with pytest.raises(
            ExecutorUnavailable, match=r"no host is left for it; excluded are gone, .*no suitable queues"
        ):
            harness.executor.submit([harness.spec("true", excluded_hosts=excluded)])
        spec = harness.spec("true", excluded_hosts=excluded, project="nosuch")
        assert "nosuch" in harness.executor.submit([spec]).rejected[spec.name]


@pytest.mark.slurm
class TestSlurm:
    """This cluster has one node. sbatch refuses to exclude nodes that it does not know."""

    def test_those_that_are_gone_are_left_out(self, make_slurm: Any) -> None:
        harness = make_slurm()
        spec = harness.spec("true", excluded_hosts=("gone", "c042.example.org"))
        (found,) = run(harness, spec)
        assert found.exit is not None
        assert found.exit.code == 0

    def test_a_job_waits_until_a_host_comes_back(self, make_slurm: Any) -> None:
        """The node goes by Slurm's name for it; a job is refused for good only if it were so without the exclusion."""
        harness = make_slurm()
        node = harness.cluster.command("sinfo", "-h", "-N", "-o", "%N").split()[0]
        spec = harness.spec("true", excluded_hosts=("gone", f"{node}.example.org"))
        with pytest.raises(ExecutorUnavailable, match=f"no host is left for it; .*{node}.* is not available"):
            harness.executor.submit([spec])
        record = harness.cluster.command("scontrol", "-o", "show", "job")
        (line,) = (line for line in record.splitlines() if f"JobName={spec.name} " in line)
        assert f" ExcNodeList={node} " in line
        other = harness.spec("true", excluded_hosts=(node,), project="nosuch")
        assert "account" in harness.executor.submit([other]).rejected[other.name]
