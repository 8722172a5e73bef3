"""The checks of `jobmon test`: each says what it found and what to do."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobmon.exceptions import JobmonError, NotAllowed, NotAuthenticated, RequestRefused, ServerUnreachable
from jobmon.talk import only_warnings
from jobmon.version import __version__
from jobmon.workflow.bash_task import BashTask
from jobmon.workflow.progress import describe_counts
from jobmon.workflow.watch import describe_failure, wait_for_run
from jobmon.workflow.workflow import Workflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobmon.api import Client
    from jobmon.config import Config


@dataclass(frozen=True)
class Result:
    """One line of the report. After a final failure the other checks could only repeat it."""

    name: str
    words: str
    advice: str = ""
    exit_code: int = 0
    is_final: bool = False

    @property
    def is_ok(self) -> bool:
        return self.exit_code == 0

    def describe(self) -> dict[str, Any]:
        return {"check": self.name, "ok": self.is_ok, "found": self.words, "advice": self.advice}


class QuietProgress:
    """Shows nothing: the report is one line per check."""

    def show(self, run: dict[str, Any]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Checks:
    """The checks against one server; `timeout` in seconds for the trial job."""

    def __init__(self, config: Config, get_client: Callable[[], Client], executor: str | None, timeout: float) -> None:
        self._config = config
        self._get_client = get_client
        self._executor = executor
        self._timeout = timeout

    def list_checks(self, with_job: bool) -> list[Callable[[], Result]]:
        """The checks, in the order in which one builds on the other."""
        checks = [self.check_server, self.check_token, self.check_version, self.check_executor]
        return [*checks, self.check_job] if with_job else checks

    def check_server(self) -> Result:
        address = f"{self._config.server.value} (from {self._config.server.origin})"
        try:
            self._get_client().get_info()
        except ServerUnreachable as error:
            return Result("server", f"no answer from {address}", str(error), 3, is_final=True)
        except RequestRefused:
            pass  # it answers; whether it likes the token is the next check
        except JobmonError as error:
            return Result("server", f"{address} is no Jobmon server", str(error), 3, is_final=True)
        return Result("server", f"{address} answers")

    def check_token(self) -> Result:
        try:
            info = self._get_client().get_info()
        except (NotAuthenticated, NotAllowed) as error:
            words = f"not accepted (from {self._config.token.origin})" if self._config.token.value else "there is none"
            return Result("token", words, str(error), 5, is_final=True)
        except JobmonError as error:
            return Result("token", "cannot be checked", str(error), 3, is_final=True)
        return Result("token", f"accepted, you are {info['user']}")

    def check_version(self) -> Result:
        server = str(self._get_client().get_info().get("version", "unknown"))
        words = f"client {__version__}, server {server}"
        if server.split(".")[:2] == __version__.split(".")[:2]:
            return Result("version", words)
        return Result("version", words, f"Install the client that fits: pip install 'jobmon=={server}'", 1)

    def check_executor(self) -> Result:
        info = self._get_client().get_info()
        wanted = self._executor or info.get("default_executor")
        known = ", ".join(info.get("executors") or ()) or "none"
        if wanted in (info.get("executors") or ()):
            return Result("executor", f"{wanted} is known (all: {known})")
        return Result("executor", f"{wanted} is not known", f"The server has: {known}. Choose one of them.", 1, True)

    def check_job(self) -> Result:
        key = f"jobmon-test-{uuid.uuid4()}"
        workflow = Workflow(workflow_args=key, name="jobmon test", executor=self._executor, client=self._get_client())
        workflow.add_task(BashTask(f"true # {key}", name="jobmon_test", max_attempts=1, mem_free=0.1))
        try:
            return self._run_job(workflow)
        except JobmonError as error:
            return Result("job", "the trial workflow could not be run", str(error), 1)

    def _run_job(self, workflow: Workflow) -> Result:
        client = self._get_client()
        with only_warnings():
            workflow_id = workflow.bind()
        run = client.start_run(workflow_id, workflow.options.describe_run("cold"))
        try:
            run = wait_for_run(client, run["id"], QuietProgress(), self._timeout)
        except TimeoutError:
            client.stop_run(run["id"], "kill")
            words = f"workflow {workflow_id} did not end within {self._timeout:g} s: {describe_counts(run)}"
            return Result("job", words, f"See why at {run['page']} ; it is being stopped.", 1)
        if run["status"] == "D":
            return Result("job", f"workflow {workflow_id} of one job ran to its end")
        failures = "; ".join(describe_failure(error) for error in client.list_errors(workflow_id, 1))
        return Result("job", f"workflow {workflow_id} failed: {failures}", f"See {run['page']}", 1)
