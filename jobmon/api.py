"""The server's REST calls, one method each; see docs/rest.md for the shapes that go in and come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from jobmon.config import load_config
from jobmon.exceptions import NotFound, NotSupported, ServerError
from jobmon.problems import error_for
from jobmon.transport import Call, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jobmon.config import Config
    from jobmon.transport import Answer, Query

T = TypeVar("T")

ROOT = "/api/v1/"
PAGE = 1000
LONG = 900.0
"""Seconds for calls that store a whole graph."""
DRY_RUN = (("dry_run", "1"),)


class Client:
    """A Jobmon server. Methods answer the JSON of docs/rest.md as dictionaries and lists.

    All raise the exceptions of `jobmon.exceptions`: ServerUnreachable, NotAuthenticated, NotAllowed, NotFound, ….
    """

    def __init__(self, config: Config | None = None, server: str | None = None, token: str | None = None) -> None:
        self.config = config if config is not None else load_config(server=server, token=token)
        self.transport = Transport(
            self.config.server.value, self.config.token.value, float(self.config.retry_seconds.value)
        )
        self._info: dict[str, Any] | None = None

    def close(self) -> None:
        """Close the connection; the client can still be used."""
        self.transport.close()

    def get_info(self) -> dict[str, Any]:
        """Version, user, executors and features of the server; asked once."""
        if self._info is None:
            self._info = self._get("")
        return self._info

    def supports(self, feature: str) -> bool:
        """Whether the server names this feature."""
        return feature in (self.get_info().get("features") or ())

    def create_login_link(self) -> dict[str, Any]:
        """`{"url": …}` that signs a browser in once."""
        try:
            return self._post("login-links/", {})
        except NotFound as error:
            raise NotSupported(
                f"This server gives no sign-in links (version {self._version()}). Open {self.config.server.value} "
                "in a browser and sign in there.",
                404,
            ) from error

    def submit_workflow(self, body: dict[str, Any]) -> dict[str, Any]:
        """Store a whole graph at once; the same graph answers the same workflow."""
        return self._post("workflows/", body, is_repeatable=True, timeout=LONG)

    def plan_workflow(self, body: dict[str, Any]) -> dict[str, Any]:
        """What `submit_workflow` and a start would do; nothing is stored. `outcome` is new, resumed or complete."""
        self._require("dry_run_everywhere")
        return self._post("workflows/", body, query=DRY_RUN, is_repeatable=True, timeout=LONG)

    def create_draft(self, body: dict[str, Any]) -> str:
        """The id of a draft for a large graph. Repeatable: a draft too many is removed after a day."""
        return str(self._post("drafts/", body, is_repeatable=True)["id"])

    def put_chunk(self, draft: str, number: int, jobs: list[dict[str, Any]]) -> None:
        """Store one piece of a draft; storing it again is the same."""
        self._call(
            Call("PUT", f"{ROOT}drafts/{draft}/chunks/{number}/", body={"jobs": jobs}, is_repeatable=True, timeout=LONG)
        )

    def commit_draft(self, draft: str) -> dict[str, Any]:
        """Turn a draft into a workflow; answers as `submit_workflow`."""
        return self._post(f"drafts/{draft}/commit/", {}, is_repeatable=True, timeout=LONG)

    def plan_draft(self, draft: str) -> dict[str, Any]:
        """What `commit_draft` and a start would do; answers as `plan_workflow`."""
        self._require("dry_run_everywhere")
        return self._post(f"drafts/{draft}/commit/", {}, query=DRY_RUN, is_repeatable=True, timeout=LONG)

    def list_workflows(self, filters: Query = (), limit: int | None = None) -> list[dict[str, Any]]:
        return self._list("workflows/", filters, limit)

    def get_workflow(self, workflow_id: int) -> dict[str, Any]:
        return self._get(f"workflows/{workflow_id}/")

    def start_run(self, workflow_id: int, body: dict[str, Any]) -> dict[str, Any]:
        """Start or resume; not repeatable, so AnswerLost leaves the question to the caller."""
        return self._post(f"workflows/{workflow_id}/runs/", body, timeout=LONG)

    def plan_run(self, workflow_id: int, body: dict[str, Any]) -> dict[str, Any]:
        """What a resume would do, without doing it."""
        self._require("dry_run")
        return self._post(f"workflows/{workflow_id}/runs/", body, query=DRY_RUN)

    def list_runs(self, workflow_id: int, limit: int | None = None, filters: Query = ()) -> list[dict[str, Any]]:
        """Newest first."""
        return self._list(f"workflows/{workflow_id}/runs/", filters, limit)

    def list_jobs(self, workflow_id: int, filters: Query = (), limit: int | None = None) -> list[dict[str, Any]]:
        return self._list(f"workflows/{workflow_id}/jobs/", filters, limit)

    def list_errors(self, workflow_id: int, limit: int | None = None, filters: Query = ()) -> list[dict[str, Any]]:
        """Failed attempts, newest first."""
        return self._list(f"workflows/{workflow_id}/errors/", filters, limit)

    def list_error_groups(
        self, workflow_id: int, limit: int | None = None, filters: Query = ()
    ) -> list[dict[str, Any]]:
        """Failures with the same fingerprint, most frequent first."""
        parent = f"workflows/{workflow_id}/"
        return self._optional(lambda: self._list(f"{parent}error-groups/", filters, limit), parent)

    def get_graph(self, workflow_id: int) -> dict[str, Any]:
        """The graph of tags with counts."""
        parent = f"workflows/{workflow_id}/"
        return self._optional(lambda: self._get(f"{parent}graph/"), parent)

    def get_run(self, run_id: int) -> dict[str, Any]:
        return self._get(f"workflow-runs/{run_id}/")

    def get_run_if_changed(self, run_id: int, change_no: int) -> dict[str, Any] | None:
        """The run, or None if nothing has changed since that change number."""
        call = Call("GET", f"{ROOT}workflow-runs/{run_id}/", [("v", str(change_no))], is_repeatable=True)
        answer = self._call(call)
        return None if answer.status == 204 else _expect_object(answer.read_json())

    def stop_run(self, run_id: int, mode: str) -> dict[str, Any]:
        """Stop by "drain" or "kill"; stopping again is the same stop."""
        return self._post(f"workflow-runs/{run_id}/stop/", {"mode": mode}, is_repeatable=True)

    def plan_stop(self, run_id: int, mode: str) -> dict[str, Any]:
        """What a stop would do, without doing it."""
        self._require("dry_run")
        return self._post(f"workflow-runs/{run_id}/stop/", {"mode": mode}, query=DRY_RUN)

    def hold_run(self, run_id: int, reason: str) -> dict[str, Any]:
        """Submit nothing more until `release_run`; what is submitted or runs goes on."""
        return self._post(f"workflow-runs/{run_id}/hold/", {"reason": reason}, is_repeatable=True)

    def release_run(self, run_id: int) -> dict[str, Any]:
        """Take a hold away."""
        return self._post(f"workflow-runs/{run_id}/release/", {}, is_repeatable=True)

    def set_limits(self, workflow_id: int, body: dict[str, Any]) -> dict[str, Any]:
        """How many jobs may run at once, in the workflow and per tag; holds for a live run."""
        return self._put(f"workflows/{workflow_id}/limits/", body)

    def plan_limits(self, workflow_id: int, body: dict[str, Any]) -> dict[str, Any]:
        """What `set_limits` would mean for what is live."""
        self._require("dry_run_everywhere")
        return self._put(f"workflows/{workflow_id}/limits/", body, DRY_RUN)

    def plan_operation(self, workflow_id: int, body: dict[str, Any]) -> dict[str, Any]:
        """What an action on many jobs would do, without doing it."""
        self._require("operations")
        return self._post(f"workflows/{workflow_id}/operations/", body, query=DRY_RUN)

    def draft_operation(self, workflow_id: int, body: dict[str, Any]) -> dict[str, Any]:
        """Freeze the jobs of an action; nothing happens until `confirm_operation`. Repeatable: a draft that nobody
        confirms does nothing."""
        self._require("operations")
        return self._post(f"workflows/{workflow_id}/operations/", body, is_repeatable=True)

    def confirm_operation(self, operation_id: str, options: dict[str, Any]) -> dict[str, Any]:
        """Carry it out; confirming again is the same confirmation."""
        return self._post(f"operations/{operation_id}/confirm/", options, is_repeatable=True)

    def stop_operation(self, operation_id: str) -> dict[str, Any]:
        """Leave the rest as it is."""
        return self._post(f"operations/{operation_id}/stop/", {}, is_repeatable=True)

    def get_operation(self, operation_id: str) -> dict[str, Any]:
        return self._get(f"operations/{operation_id}/")

    def list_operations(self, filters: Query = (), limit: int | None = None) -> list[dict[str, Any]]:
        return self._list("operations/", filters, limit)

    def list_operation_jobs(
        self, operation_id: str, limit: int | None = None, filters: Query = ()
    ) -> list[dict[str, Any]]:
        """Its jobs, each with what became of it."""
        return self._list(f"operations/{operation_id}/jobs/", filters, limit)

    def get_job(self, job_id: int) -> dict[str, Any]:
        return self._get(f"jobs/{job_id}/")

    def explain_job(self, job_id: int) -> dict[str, Any]:
        """Why the job is where it is."""
        parent = f"jobs/{job_id}/"
        return self._optional(lambda: self._get(f"{parent}why/"), parent)

    def get_job_tree(self, job_id: int, up: int, down: int) -> dict[str, Any]:
        """The neighbourhood of a job: so many hops up and down."""
        parent = f"jobs/{job_id}/"
        query = [("up", str(up)), ("down", str(down))]
        return self._optional(lambda: self._get(f"{parent}tree/", query), parent)

    def rerun_job(self, job_id: int, downstream: bool, dry_run: bool) -> dict[str, Any]:
        """Put a job back to be run again, with or without all that depends on it."""
        return self._change_job(job_id, "rerun", {"downstream": downstream}, dry_run)

    def mark_job_done(self, job_id: int, note: str, dry_run: bool) -> dict[str, Any]:
        """Record a person's word that the job need not run."""
        return self._change_job(job_id, "done", {"note": note}, dry_run)

    def get_job_instance(self, instance_id: int) -> dict[str, Any]:
        return self._get(f"job-instances/{instance_id}/")

    def read_log(self, instance_id: int, stream: str, offset: int | None = None, limit: int | None = None) -> Answer:
        """A piece of `stdout` or `stderr`, offset and limit in bytes; the last 64 KB if neither is given. The header
        `x-log-offset`, if the server sends it, is where the piece begins."""
        wanted = {"offset": offset, "limit": limit}
        query = [(key, str(value)) for key, value in wanted.items() if value is not None]
        return self._call(Call("GET", f"{ROOT}job-instances/{instance_id}/log/{stream}/", query, is_repeatable=True))

    def _change_job(self, job_id: int, verb: str, body: dict[str, Any], dry_run: bool) -> dict[str, Any]:
        if dry_run:
            self._require("dry_run")
        parent = f"jobs/{job_id}/"
        query = DRY_RUN if dry_run else ()
        return self._optional(lambda: self._post(f"{parent}{verb}/", body, query=query), parent)

    def _call(self, call: Call) -> Answer:
        answer = self.transport.send(call)
        if not 200 <= answer.status < 300:
            raise error_for(answer, call.what)
        return answer

    def _read(self, path: str, query: Query = ()) -> Any:
        return self._call(Call("GET", ROOT + path, query, is_repeatable=True)).read_json()

    def _get(self, path: str, query: Query = ()) -> dict[str, Any]:
        return _expect_object(self._read(path, query))

    def _post(
        self,
        path: str,
        body: dict[str, Any],
        query: Query = (),
        is_repeatable: bool = False,
        timeout: float = 60.0,
    ) -> dict[str, Any]:
        answer = self._call(Call("POST", ROOT + path, query, body, is_repeatable, timeout))
        return _expect_object(answer.read_json())

    def _put(self, path: str, body: dict[str, Any], query: Query = ()) -> dict[str, Any]:
        return _expect_object(self._call(Call("PUT", ROOT + path, query, body, is_repeatable=True)).read_json())

    def _list(self, path: str, filters: Query, limit: int | None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for page in self._pages(path, filters, PAGE if limit is None else min(limit, PAGE)):
            found.extend(page)
            if limit is not None and len(found) >= limit:
                return found[:limit]
        return found

    def _pages(self, path: str, filters: Query, per_page: int) -> Iterator[Iterable[dict[str, Any]]]:
        """Page after page. Of a `next` address only the query is used: the token never follows it to another host."""
        query = [*filters, ("per_page", str(per_page))]
        while True:
            answer = self._read(path, query)
            if isinstance(answer, list):
                yield answer
                return
            yield answer["results"]
            if not answer.get("next"):
                return
            query = parse_qsl(urlsplit(answer["next"]).query, keep_blank_values=True)

    def _optional(self, make_call: Callable[[], T], parent: str) -> T:
        """A call that older servers lack: their 404 is told from a missing object by asking for the object."""
        try:
            return make_call()
        except NotFound:
            self._get(parent)
            raise self._not_supported() from None

    def _require(self, feature: str) -> None:
        """Refuse before sending: a server that does not know `dry_run` would ignore it and act."""
        if not self.supports(feature):
            raise self._not_supported()

    def _not_supported(self) -> NotSupported:
        return NotSupported(
            f"This server cannot do that yet (version {self._version()}). Ask its administrator to update it.", 404
        )

    def _version(self) -> str:
        return str(self.get_info().get("version", "unknown"))


def _expect_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ServerError(f"The server's answer is {str(value)[:80]!r} instead of an object. Are both of one version?")
    return value
