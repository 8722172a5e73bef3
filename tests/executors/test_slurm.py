"""The contract on a real Slurm."""

from __future__ import annotations

from typing import Any

import pytest

from tests.executors.cluster import SlurmHarness, make_slurm, slurm_cluster, tmp_path  # noqa: F401 - fixtures
from tests.executors.contract import ShellContract

pytestmark = [pytest.mark.slurm, pytest.mark.xdist_group("slurm")]


@pytest.fixture
def harness(make_slurm: Any) -> SlurmHarness:  # noqa: F811
    return make_slurm()


class TestContract(ShellContract):
    """Slurm."""
