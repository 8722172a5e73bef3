"""Somebody else's small workflows beside a large one: whether others starve."""

from __future__ import annotations

import threading
import time

from jobmon import BashTask, Workflow
from jobmon.api import Client
from jobmon.exceptions import JobmonError
from tests.services import EmbeddedServer

PAUSE = 10.0
LENGTH = 10


class Neighbour:
    """Seconds from submission to the end of each workflow, a chain of ten jobs; `alone` is that of the first, before
    there is anybody else."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._client = Client(server=server.url, token=server.token)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.alone = 0.0
        self.times: list[float] = []
        self.failures: list[str] = []

    def _work(self) -> None:
        number = 0
        while not self._over.wait(PAUSE):
            number += 1
            try:
                self.times.append(self._run_one(number))
            except (JobmonError, AssertionError) as error:
                self.failures.append(f"neighbour {number}: {error}")

    def _run_one(self, number: int) -> float:
        begun = time.perf_counter()
        workflow = Workflow(f"neighbour {number}", executor="dummy", working_dir="/tmp", client=self._client)
        tasks: list[BashTask] = []
        for link in range(LENGTH):
            tasks.append(BashTask(f"ok {number} {link}", name=f"n{link}", upstream_tasks=tasks[-1:]))
        workflow.add_tasks(tasks)
        workflow.run(wait=False)
        assert workflow.workflow_run_id is not None
        while self._client.get_run(workflow.workflow_run_id)["status"] == "R" and not self._over.is_set():
            time.sleep(0.05)
        return time.perf_counter() - begun

    def __enter__(self) -> Neighbour:
        self.alone = self._run_one(0)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)
