"""A job that no host of Grid Engine can ever run: its page says why it waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon import BashTask
from tests.e2e.clusters import (
    find_job_id,
    lists_none_of,
    make_workflow,
    open_folder,
    read_page,
    serving,
    sge_settings,
)
from tests.executors.cluster import SgeCluster
from tests.waiting import wait_until

pytestmark = [pytest.mark.sge, pytest.mark.first, pytest.mark.timeout(300)]


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


def test_the_page_of_a_job_that_asks_for_too_much_says_so(sge_cluster: SgeCluster, folder: Path) -> None:
    with serving("sge", **sge_settings(sge_cluster, VERIFY="0", REASON_INTERVAL="3")) as server:
        tasks = [BashTask("true", name="big", mem_free=900_000.0), BashTask("sleep 0", name="small", mem_free=0.01)]
        workflow = make_workflow(server, tasks, folder, "sge")
        workflow.run(wait=False)
        path = f"/jobs/{find_job_id(server, workflow, 'big')}/"
        page = wait_until(
            lambda: text if "because it says" in (text := read_page(server, path)) else "", 60, "the reason", 1.0
        )
        assert "In the queue of" in page
        assert "offers less mem_free than 819T" in page
        workflow.stop("kill")
        wait_until(lambda: lists_none_of(server, sge_cluster), 60, "nothing is left in the queue", 0.2)
