"""Twenty browsers look at a workflow on Grid Engine: it is asked no more often than without them."""

from __future__ import annotations

import re
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon import BashTask
from tests.e2e.clients import find_dag_id
from tests.e2e.clusters import find_job_id, make_workflow, open_folder, serving, sge_settings, sign_in
from tests.executors.cluster import SgeCluster
from tests.services import EmbeddedServer
from tests.waiting import wait_until

pytestmark = [pytest.mark.sge, pytest.mark.first, pytest.mark.timeout(600)]
TABS = 20
INTERVAL = 2.0
LISTINGS = 4


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


def write_clocked_qstat(folder: Path) -> Path:
    """Grid Engine's commands; its qstat first writes the machine's clock (seconds since boot) into `times`."""
    programs = folder / "programs"
    programs.mkdir()
    for name in ("qsub", "qdel", "qacct"):
        (programs / name).symlink_to(SgeCluster.binaries / name)
    qstat = programs / "qstat"
    clock = f"read -r up rest </proc/uptime\necho $up >>{folder}/times"
    qstat.write_text(f'#!/bin/sh\n{clock}\nexec {SgeCluster.binaries}/qstat "$@"\n')
    qstat.chmod(0o755)
    return programs


def read_times(folder: Path) -> list[float]:
    path = folder / "times"
    return [float(line) for line in path.read_text().split()] if path.exists() else []


class Tab:
    """One page in a browser's session of its own, which asks for its live part as the page tells it to."""

    def __init__(self, server: EmbeddedServer, path: str, closed: threading.Event) -> None:
        self.answers = 0
        self.failure: Exception | None = None
        self._browser = sign_in(server)
        self._closed = closed
        with self._browser.open(server.url + path, timeout=60) as answer:
            page = answer.read().decode()
        found = re.search(r'hx-get="([^"]+)" hx-trigger="every ([0-9.]+)s', page)
        assert found is not None, f"{path} is not live"
        self._url, self._pause = server.url + found[1].replace("&amp;", "&"), float(found[2])
        self._thread = threading.Thread(target=self._look_again_and_again)
        self._thread.start()

    def _look_again_and_again(self) -> None:
        request = urllib.request.Request(self._url, headers={"HX-Request": "true"})
        while not self._closed.wait(self._pause):
            try:
                with self._browser.open(request, timeout=60) as answer:
                    answer.read()
            except OSError as error:
                self.failure = error
                return
            self.answers += 1

    def close(self) -> None:
        self._closed.set()
        self._thread.join()


def test_twenty_tabs_cause_no_listing(sge_cluster: SgeCluster, folder: Path) -> None:
    """An executor, a log and a server of its own: every qstat in it is this server's. The queue's scheduler is left
    alone; the jobs wait for a file."""
    programs = write_clocked_qstat(folder)
    settings = sge_settings(sge_cluster, "TABBED", BIN_DIR=str(programs)) | {
        "JOBMON_TABBED_POLL_INTERVAL": str(INTERVAL)
    }
    with serving("tabbed", **settings) as server:
        wait = f"touch {folder}/started; until test -e {folder}/go; do sleep 0.2; done"
        tasks = [BashTask(f"{wait}; : {n}", name=f"j{n}", mem_free=0.01) for n in range(8)]
        workflow = make_workflow(server, tasks, folder, "tabbed")
        workflow.run(wait=False)
        wait_until(lambda: (folder / "started").exists(), 60, "the jobs run")
        wait_until(lambda: _are_all_running(server, workflow.workflow_id), 60, "it is known that all jobs run")
        closed = threading.Event()
        paths = list_pages(server, workflow.workflow_id, find_job_id(server, workflow, "j0"))
        tabs = [Tab(server, paths[number % len(paths)], closed) for number in range(TABS)]
        try:
            before = len(read_times(folder))
            wait_until(lambda: len(read_times(folder)) > before + LISTINGS, 120, "some listings")
            wait_until(lambda: all(tab.answers >= 3 or tab.failure for tab in tabs), 120, "every tab has been answered")
            times = read_times(folder)[before:]
        finally:
            closed.set()
            for tab in tabs:
                tab.close()
            (folder / "go").touch()
        assert [tab.failure for tab in tabs if tab.failure] == []
        # A listing may be up to a tenth early; a program may start a little late on a busy machine.
        assert times[-1] - times[0] >= (len(times) - 1) * INTERVAL * 0.9 - 0.5, times


def _are_all_running(server: EmbeddedServer, workflow_id: int | None) -> bool:
    assert workflow_id is not None
    dag_id = find_dag_id(server, workflow_id)
    return server.query(f"SELECT count(*) FROM job WHERE dag_id={dag_id} AND status='R'")[0][0] == 8


def list_pages(server: EmbeddedServer, workflow_id: int | None, job_id: int) -> list[str]:
    """Pages that are live while jobs run."""
    ((run_id,),) = server.query(f"SELECT id FROM workflow_run WHERE workflow_id={workflow_id}")
    ((instance_id,),) = server.query(f"SELECT job_instance_id FROM job_instance WHERE job_id={job_id}")
    return [
        "/workflows/",
        f"/workflows/{workflow_id}/",
        f"/workflows/{workflow_id}/jobs/",
        f"/jobs/{job_id}/",
        f"/job-instances/{instance_id}/",
        f"/workflow-runs/{run_id}/",
    ]
