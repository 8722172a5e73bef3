"""What impatient people do to one workflow: everything twice at the same time, and stops in the middle."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from jobmon.api import Client
from jobmon.exceptions import (
    ConfigError,
    LeftoversRemain,
    RequestRefused,
    ServerError,
    ServerUnreachable,
    WorkflowAlreadyComplete,
    WorkflowRunning,
)
from tests.chaos.facts import query
from tests.chaos.graphs import Graph, Work
from tests.services import EmbeddedServer

T = TypeVar("T")
PATIENCE = 180.0
PAUSE = 0.25


@dataclass(frozen=True, slots=True)
class Habit:
    """`stop` is "", "kill" or "drain", asked for after `after` seconds. Who `waits` resumes when the run is at rest; others
    resume at once, and `hot` ones adopt what still runs."""

    stop: str = ""
    after: float = 0.0
    waits: bool = True
    hot: bool = False


def choose_habit(rng: random.Random) -> Habit:
    return _make_habit(rng, rng.choice(("", "", "kill", "drain")), rng.uniform(0.5, 4.0))


def choose_kill(rng: random.Random) -> Habit:
    """When points are armed, and long jobs alive."""
    return _make_habit(rng, "kill", rng.uniform(14.0, 20.0))


def _make_habit(rng: random.Random, stop: str, after: float) -> Habit:
    waits, hot = rng.choice(((True, False), (True, False), (False, False), (False, True)))
    return Habit(stop, round(after, 2), waits, hot)


class User:
    """Two people with one workflow on a server that may be away at any moment: whoever is first owns it, and the other
    one is of a group that may operate it. `broken` are the answers that say the server is at fault itself."""

    def __init__(
        self, server: EmbeddedServer, workflow_args: str, graph: Graph, folder: Path, work: Work, second_token: str
    ) -> None:
        self._server = server
        self._second_token = second_token
        self._body = graph.as_body(workflow_args, folder, work)
        self.workflow_id = 0
        self.has_finished_acting = False
        self.broken: list[str] = []

    def act(self, habit: Habit) -> None:
        """Submit and start; stop and resume, if that is the habit."""
        first, second = self._twice(lambda client: client.submit_workflow(self._body))
        assert first["id"] == second["id"], f"the same graph became the workflows {first['id']} and {second['id']}"
        self.workflow_id = int(first["id"])
        self._twice(self._start)
        if habit.stop:
            time.sleep(habit.after)
            self._twice(lambda client: self._stop(client, habit.stop))
            if habit.waits:
                self._wait_until_at_rest()
            self._twice(lambda client: self._start(client, "hot" if habit.hot else "cold"))
        self.has_finished_acting = True

    def _twice(self, call: Callable[[Client], T]) -> list[T]:
        """Both at the same time."""
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda token: self._insist(call, token), ("", self._second_token)))

    def _insist(self, call: Callable[[Client], T], token: str) -> T:
        """Ask until there is an answer: the server may be away, and may come back elsewhere."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                client = Client(server=self._server.url, token=token or self._server.token)
                return call(client)
            except (ServerUnreachable, ServerError, ConfigError, KeyError, OSError) as error:
                if "failed with 500" in str(error):
                    self.broken.append(str(error))
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE)

    def _start(self, client: Client, resume: str = "cold") -> str:
        """Until a run is live or nothing is left to do: leftovers of a stop need a moment."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                client.start_run(self.workflow_id, {"resume": resume})
            except (WorkflowRunning, WorkflowAlreadyComplete) as error:
                return type(error).__name__
            except LeftoversRemain:
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE)
            else:
                return "started"

    def _stop(self, client: Client, mode: str) -> None:
        run = client.get_workflow(self.workflow_id)["latest_run"]
        if run is None:
            return
        try:
            client.stop_run(int(run["id"]), mode)
        except RequestRefused as error:
            assert "is over" in str(error), f"a stop was refused: {error}"

    def _wait_until_at_rest(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.status() == "R":
            assert time.monotonic() < deadline, f"workflow {self.workflow_id} does not stop"
            time.sleep(PAUSE)

    def status(self) -> str:
        return ask_status(self._server, self.workflow_id)

    def is_done(self) -> bool:
        return self.has_finished_acting and self.status() == "D"


def ask_status(server: EmbeddedServer, workflow_id: int) -> str:
    return str(query(server, f"SELECT status FROM workflow WHERE id = {workflow_id}")[0][0])
