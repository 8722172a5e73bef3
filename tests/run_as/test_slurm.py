"""The same on a real Slurm: single jobs, an array, a deletion."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from executors.base import AttemptRef, JobSpec
from executors.run_as_batch import OwnedSlurm
from executors.run_as_store import OwnerStore
from tests.executors.cluster import SlurmCluster, slurm_cluster  # noqa: F401 - a fixture
from tests.run_as.people import People, uid_of
from tests.waiting import wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


@pytest.fixture
def twin(people: People, slurm_cluster: SlurmCluster) -> Iterator[OwnedSlurm]:  # noqa: F811
    config = slurm_cluster.config(people.spool, name="slurm", name_prefix=f"jm{secrets.token_hex(4)}")
    config = replace(config, command_prefix=())
    system = {"kind": "slurm", "bin": str(slurm_cluster.binaries), "environment": config.environment, "options": []}
    people.configure({"slurm": system})
    slurm_cluster.command("sacctmgr", "-i", "add", "user", people.alice, "account=demo")
    yield OwnedSlurm(config, people.run_as, people.alice)


def test_jobs_of_slurm_belong_to_their_owner(people: People, twin: OwnedSlurm) -> None:
    prefix = twin.config.name_prefix
    batch = f"{prefix}-b7001"
    array = [
        JobSpec(
            7000 + n, 1, f"{batch}.{n}", batch, n, "id -un; exit $((SLURM_ARRAY_TASK_ID - 1))", account=people.alice
        )
        for n in (1, 2)
    ]
    long = replace(
        array[0], instance_id=7010, name=f"{prefix}-7010", batch=f"{prefix}-7010", index=0, command="exec sleep 1000"
    )
    result = twin.submit([*array, long])
    assert len(result.accepted) == 3, result.rejected
    store = OwnerStore(people.run_as, people.alice)
    wait_until(lambda: len([one for one in store.read([7001, 7002]).values() if one.exit]) == 2, 60, "the array's end")
    assert [one.exit and one.exit.code for _, one in sorted(store.read([7001, 7002]).items())] == [0, 1]
    assert store.tail(7001, "stdout", 100) == f"{people.alice}\n".encode()
    out = Path(people.runs) / people.alice / "7" / "7001" / "out"
    assert out.stat().st_uid == uid_of(people.alice)
    assert {row.owner for row in twin.list_rows()} == {people.alice}
    twin.cancel([AttemptRef(7010, long.name, result.accepted[long.name], 0.0)])
    wait_until(lambda: long.name not in twin.poll(), 60, "the deletion")
