"""What can go wrong, as exceptions. Every message says what happened, to what, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class JobmonError(Exception):
    """Base of everything the client raises on purpose, except plain ValueErrors of wrong task arguments."""


class ConfigError(JobmonError, ValueError):
    """A setting or a configuration file cannot be used."""


class ServerUnreachable(JobmonError):
    """No answer from the server."""


class AnswerLost(ServerUnreachable):
    """A call that changes something was sent, and the connection broke before its answer: the outcome is unknown."""


class ServerError(JobmonError):
    """The server answered, but with an internal error or something that is not its protocol."""


class StillRunning(JobmonError, TimeoutError):
    """The time given to `wait` is over and the run goes on."""


class RequestRefused(JobmonError):
    """The server refused a call. `status` is the HTTP status, `code` the problem's code, `problem` the whole answer."""

    def __init__(self, message: str, status: int = 0, code: str = "", problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.problem: dict[str, Any] = dict(problem or {})


class NotAuthenticated(RequestRefused):
    """No token, or one that the server does not accept."""


class NotAllowed(RequestRefused):
    """The server knows you, but you may not do this."""


class NotFound(RequestRefused):
    """There is no such thing, or you may not see it."""


class NotSupported(NotFound):
    """This server is too old for this call."""


class WorkflowAlreadyComplete(RequestRefused):
    """Every job of the workflow is done; there is nothing to run."""


class WorkflowInUse(RequestRefused):
    """The same workflow_args with the same tasks belong to somebody else."""


class WorkflowRunning(RequestRefused):
    """A run of this workflow is live; `run_id` names it, if the server said so."""

    @property
    def run_id(self) -> int | None:
        value = self.problem.get("run_id")
        return int(value) if value is not None else None


class LeftoversRemain(RequestRefused):
    """Attempts of an earlier run are not confirmed gone yet; a cold resume has to wait for that."""


class InvalidRequest(RequestRefused, ValueError):
    """The server did not understand the request; nothing was stored. `errors` lists what is wrong with it."""

    def __init__(
        self,
        message: str,
        status: int = 0,
        code: str = "",
        problem: Mapping[str, Any] | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(message, status, code, problem)
        listed = errors or self.problem.get("errors") or ()
        self.errors: list[dict[str, Any]] = [dict(error) for error in listed]


class InvalidGraph(InvalidRequest):
    """The tasks do not form a graph that can run: a cycle, an unknown upstream, a name or a command used twice."""
