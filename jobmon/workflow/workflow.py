"""The workflow: tasks, what they share, and their runs on a server."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any, Union, cast

from jobmon import clock
from jobmon.exceptions import AnswerLost, JobmonError, LeftoversRemain
from jobmon.talk import tell
from jobmon.workflow import description
from jobmon.workflow.options import WorkflowOptions, check_resume, describe_process
from jobmon.workflow.progress import choose_progress
from jobmon.workflow.submission import plan_graph, submit_graph
from jobmon.workflow.task_dag import TaskDag
from jobmon.workflow.watch import tell_how_to_return, tell_outcome, wait_for_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jobmon.api import Client
    from jobmon.workflow.executable_task import ExecutableTask
    from jobmon.workflow.progress import Progress

LEFTOVERS_SECONDS = 300.0
LEFTOVERS_PAUSE = 2.0


class Workflow:
    """A graph of tasks that is run under `workflow_args`.

    The same workflow_args with the same tasks are the same workflow: running it again resumes it, and what is done is
    not run again. Without workflow_args it gets a UUID, for a one-off.

    stdout, stderr: folders for the output of the jobs. working_dir: where they run, the present folder if not given.
    executor: the server's default if not given. max_concurrently_running: jobs at a time. fail_fast: start nothing
    more once a job has failed for good. seconds_until_timeout: end the run after so many seconds. tag_limits: jobs at a time per
    tag. tag_executors: other executors than the workflow's, per tag. attributes: kept with the workflow, for people and filters. group: a group of yours on the
    server that may read the workflow, and with group_may_operate also stop and resume it. resume: "cold" ends
    what is left of an earlier run first, "hot" adopts it. A TaskDag may be given first, as older scripts do.
    Raises ValueError for values that cannot be.
    """

    def __init__(
        self,
        *positional: Union[TaskDag, str, None],
        workflow_args: str | None = None,
        name: str = "",
        description: str = "",
        project: str = "",
        stdout: str = "",
        stderr: str = "",
        working_dir: str | None = None,
        executor: str | None = None,
        max_concurrently_running: int | None = None,
        fail_fast: bool = False,
        seconds_until_timeout: int | None = None,
        tag_limits: dict[str, int] | None = None,
        attributes: dict[str, str] | None = None,
        tag_executors: dict[str, str] | None = None,
        group: str = "",
        group_may_operate: bool = False,
        resume: str = "cold",
        task_dag: TaskDag | None = None,
        client: Client | None = None,
    ) -> None:
        task_dag, workflow_args, name, description = _read_positional(
            positional, task_dag, workflow_args, name, description
        )
        self.task_dag = TaskDag() if task_dag is None else task_dag
        self.resume = check_resume(resume)
        self._client = client
        self._bound: dict[str, Any] | None = None
        self._run: dict[str, Any] | None = None
        self.options = WorkflowOptions(
            workflow_args or _make_workflow_args(),
            name,
            description,
            project,
            stdout,
            stderr,
            working_dir,
            executor,
            max_concurrently_running,
            fail_fast,
            seconds_until_timeout,
            tag_limits,
            attributes,
            tag_executors,
            group,
            group_may_operate,
        )

    @property
    def client(self) -> Client:
        """The server's client; made from the configuration when first needed."""
        if self._client is None:
            from jobmon.api import Client  # noqa: PLC0415 - a script that only builds needs no HTTP

            self._client = Client()
        return self._client

    @property
    def workflow_args(self) -> str:
        return self.options.workflow_args

    @property
    def name(self) -> str:
        return self.options.name

    @property
    def workflow_id(self) -> int | None:
        """The workflow's number on the server; None before `bind` or `run`."""
        return int(self._bound["id"]) if self._bound else None

    @property
    def workflow_run_id(self) -> int | None:
        """The number of the run that this object has started; None before `run`."""
        return int(self._run["id"]) if self._run else None

    @property
    def page(self) -> str | None:
        """The address of the workflow's page; None before `bind` or `run`."""
        return str(self._bound["page"]) if self._bound else None

    @property
    def status(self) -> str | None:
        """The workflow's letter, asked anew: C created, R running, S stopped, E error, D done. None before `bind`."""
        if self.workflow_id is None:
            return None
        return str(self.client.get_workflow(self.workflow_id)["status"])

    def add_task(self, task: ExecutableTask) -> ExecutableTask:
        """Add one task and return it. Raises ValueError if a task with the same command is in already."""
        self._check_unbound()
        return self.task_dag.add_task(task)

    def add_tasks(self, tasks: Iterable[ExecutableTask]) -> None:
        """Add many; their order does not matter."""
        self._check_unbound()
        self.task_dag.add_tasks(tasks)

    def bind(self) -> int:
        """Store the workflow on the server, or find it there, without running it; answers its number.

        Raises InvalidGraph, with all errors, if the tasks make no graph; WorkflowInUse if it is somebody else's.
        """
        self.task_dag.validate()
        self._bound = submit_graph(self.client, self.options.describe(), self.task_dag)
        tell(_describe_binding(self._bound))
        return int(self._bound["id"])

    def plan(self) -> dict[str, Any]:
        """What `run` would do, without doing it: `outcome` is "new", "resumed" or "complete", `sentence` and `groups`
        tell what is kept and what runs, and why. Raises what `bind` raises."""
        self.task_dag.validate()
        return plan_graph(self.client, self.options.describe(), self.task_dag)

    def run(self, resume: str | None = None, wait: bool = True) -> bool:
        """Start or resume the workflow, and wait for its end: True if all jobs are done, False if not.

        With wait=False it answers True as soon as the server has taken the run. Ctrl-C while waiting leaves the run
        going and raises KeyboardInterrupt. Raises WorkflowAlreadyComplete, WorkflowRunning, InvalidGraph, ….
        """
        mode = check_resume(self.resume if resume is None else resume)
        self.bind()
        self._run = self._start(mode)
        tell(f"run {self.workflow_run_id} of workflow {self.workflow_id} has started: {self.page}")
        return self.wait() if wait else True

    def wait(self, timeout: float | None = None, progress: Progress | None = None) -> bool:
        """Wait for the run's end: True if all jobs are done. `timeout` in seconds; raises StillRunning after it."""
        run_id = self._find_run_id()
        shown = choose_progress() if progress is None else progress
        try:
            self._run = wait_for_run(self.client, run_id, shown, timeout)
        except KeyboardInterrupt:
            shown.close()
            message = tell_how_to_return(cast(int, self.workflow_id), str(self.page))
            tell(message)
            raise KeyboardInterrupt(message) from None
        except BaseException:
            shown.close()
            raise
        shown.close()
        return tell_outcome(self.client, self._run)

    def stop(self, mode: str = "drain") -> dict[str, Any]:
        """End the run: "drain" lets running jobs finish, "kill" ends them. Answers the run; stopping again is the
        same stop."""
        if mode not in ("drain", "kill"):
            raise ValueError(f"mode is {mode!r}; it should be 'drain' (let running jobs finish) or 'kill'")
        return self.client.stop_run(self._find_run_id(), mode)

    def get_errors(self, limit: int = 100) -> list[dict[str, Any]]:
        """The newest failed attempts, each with job_name, reason, exit_code, description and stderr_tail."""
        return self.client.list_errors(self._need_id(), limit)

    def to_dict(self) -> dict[str, Any]:
        """The workflow as plain data, for JSON or YAML; `from_dict` and `jobmon run` take it."""
        return {**self.options.to_dict(), "jobs": description.describe_jobs(self.task_dag)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], client: Client | None = None) -> Workflow:
        """A workflow from plain data. Raises ValueError that names what is not understood, InvalidGraph for upstreams
        that are not there."""
        options, dag = description.read_workflow(data)
        return cls(task_dag=dag, client=client, **options)

    def _start(self, mode: str) -> dict[str, Any]:
        """Start a run; leftovers of an earlier one are given some minutes to be confirmed gone."""
        body = self.options.describe_run(mode, self._is_own())
        deadline = time.monotonic() + LEFTOVERS_SECONDS
        told = False
        while True:
            try:
                return self._start_once(body)
            except LeftoversRemain as error:
                if time.monotonic() > deadline:
                    raise
                if not told:
                    tell(f"waiting until what is left of the earlier run has ended: {error}")
                told = True
            clock.pause(LEFTOVERS_PAUSE)

    def _start_once(self, body: dict[str, Any]) -> dict[str, Any]:
        """Start a run; a start whose outcome cannot be found out is tried again: only one run is allowed."""
        return self._try_start(body) or self._try_start(body) or self.client.start_run(self._need_id(), body)

    def _try_start(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """The run; None if the answer was lost and the server knows of no run of ours."""
        try:
            return self.client.start_run(self._need_id(), body)
        except AnswerLost:
            run = self.client.get_workflow(self._need_id()).get("latest_run")
            return run if run is not None and self._is_our_new_run(run) else None

    def _is_our_new_run(self, run: dict[str, Any]) -> bool:
        before = (self._bound or {}).get("latest_run") or {}
        process = describe_process()
        return run["id"] != before.get("id") and all(run.get(key) == value for key, value in process.items())

    def _is_own(self) -> bool:
        """Whether the workflow on the server is ours; of another's, shared with us, we tell that it runs as theirs."""
        bound = self._bound or {}
        if bound.get("created") or bound.get("user") == self.client.get_info().get("user"):
            return True
        tell(
            f"workflow {self.workflow_id} belongs to {bound.get('user')}: it runs as theirs, with their folders, PATH "
            "and executor."
        )
        return False

    def _find_run_id(self) -> int:
        if self.workflow_run_id is not None:
            return self.workflow_run_id
        run = self.client.get_workflow(self._need_id())["latest_run"]
        if run is None:
            raise JobmonError(f"workflow {self.workflow_id} has never been run; start it with run()")
        return int(run["id"])

    def _need_id(self) -> int:
        if self.workflow_id is None:
            raise JobmonError("the workflow is not on the server yet; call bind() or run() first")
        return self.workflow_id

    def _check_unbound(self) -> None:
        if self._bound is not None:
            raise JobmonError(
                f"this is workflow {self.workflow_id} on the server already; other tasks make another workflow. "
                "Create a new Workflow object for it."
            )


def _read_positional(
    positional: tuple[TaskDag | str | None, ...],
    task_dag: TaskDag | None,
    workflow_args: str | None,
    name: str,
    description: str,
) -> tuple[TaskDag | None, str | None, str, str]:
    """Positional arguments: workflow_args, name, description; before them, in older scripts, a TaskDag."""
    rest = list(positional)
    if rest and isinstance(rest[0], TaskDag):
        task_dag = rest.pop(0)  # type: ignore[assignment]
    if len(rest) > 3:
        raise TypeError("Workflow takes at most workflow_args, name and description by position; name the others")
    texts = cast("list[str]", [*rest, *(workflow_args, name, description)[len(rest) :]])
    return task_dag, texts[0], texts[1], texts[2]


def _make_workflow_args() -> str:
    workflow_args = str(uuid.uuid4())
    tell(f"no workflow_args, so this is a one-off with workflow_args {workflow_args}; give them to resume it later.")
    return workflow_args


def _describe_binding(bound: dict[str, Any]) -> str:
    if bound.get("created"):
        jobs = "1 job" if bound["job_count"] == 1 else f"{bound['job_count']} jobs"
        return f"workflow {bound['id']} is new, with {jobs}: {bound['page']}"
    done = (bound.get("counts") or {}).get("D", 0)
    return f"workflow {bound['id']} is known, {done} of {bound['job_count']} jobs are done: {bound['page']}"
