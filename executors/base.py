"""The executor protocol and the frozen values that cross it.

An executor hands attempts (job instances) to a machine or a batch system. It owns no state that matters: the
database says what was meant, the attempt store (see `spool.py`) says what happened, the executor only carries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol


class ExecutorError(Exception):
    """Base of everything an executor may raise."""


class SubmitRejected(ExecutorError):
    """The batch system refused for good: trying again cannot help. The message is its own words."""


class ExecutorUnavailable(ExecutorError):
    """We could not ask, or got no readable answer. What was submitted before the error is in `accepted`;
    about the rest nothing is known: it may have been accepted or not."""

    def __init__(self, message: str, accepted: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.accepted: dict[str, str] = dict(accepted or {})


class PartlyUnavailable(ExecutorUnavailable):
    """A listing for which some could not be asked. `listing` holds the others' attempts; about those in `unasked`
    (instance ids) nothing is known."""

    def __init__(self, message: str, listing: Mapping[str, Listed], unasked: Set[int]) -> None:
        super().__init__(message)
        self.listing = listing
        self.unasked = unasked


@dataclass(frozen=True, slots=True)
class Resources:
    """What one attempt asks for. `mem_free` in GB (10**9 bytes), `max_runtime` in seconds (None: no limit).
    A batch system starts it on none of the `excluded_hosts`; the executors of this machine have no choice."""

    slots: int = 1
    mem_free: float = 2.0
    max_runtime: int | None = None
    project: str | None = None
    queue: str | None = None
    extra: tuple[tuple[str, str], ...] = ()
    excluded_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One attempt to start.

    `name` is unique for ever and deterministic. A single attempt has index 0 and `name == batch`; a member of an
    array has index 1..n in the batch and `name == f"{batch}.{index}"`.
    `stdout_path` and `stderr_path` are the absolute files to write; None means the attempt's own `out` and `err`.
    `account`: the Unix account that it must run as; None: whoever runs the jobs of this server.
    `secret_files`: variables, each with the absolute path of the file on the node that holds its value.
    """

    instance_id: int
    run_id: int
    name: str
    batch: str
    index: int
    command: str
    resources: Resources = field(default_factory=Resources)
    working_dir: str | None = None
    stdout_path: str | None = None
    stderr_path: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    account: str | None = None
    secret_files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AttemptRef:
    """An attempt as the database knows it. `executor_id` is None while the submission's answer is unknown;
    `intended_at` is the epoch second of the intent: no batch job submitted before it can be ours."""

    instance_id: int
    name: str
    executor_id: str | None
    intended_at: float


class Phase(StrEnum):
    """Where a listed attempt is in the batch system. STUCK is an error state that will not end by itself (Eqw)."""

    PENDING = "pending"
    RUNNING = "running"
    HELD = "held"
    STUCK = "stuck"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Listed:
    """One of ours in a listing. `message` is the batch system's own words, if it has any. `since` in epoch seconds."""

    name: str
    executor_id: str
    phase: Phase
    host: str | None = None
    message: str = ""
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt used: seconds of wall clock and CPU, bytes of peak memory and I/O. None: not measured."""

    wallclock: float | None = None
    cpu: float | None = None
    maxvmem: int | None = None
    io: int | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """What an executor may tell the engine of the place where it runs jobs, as its attribute `site`; without one, this.

    `max_live`: attempts handed over at a time (None: the engine's own number). `memory_cap` (GB) and `runtime_cap`
    (seconds): how far a retry may raise its request. `has_accounting`: usage can be had after the end. A failed
    attempt's verdict waits for its accounting record, at most `accounting_wait` seconds. `reason_interval`: how many
    seconds lie between two questions why attempts wait, for an executor with `explain_queue`; 0: it is never asked.
    """

    max_live: int | None = None
    memory_cap: float | None = None
    runtime_cap: int | None = None
    has_accounting: bool = False
    accounting_wait: float = 0.0
    reason_interval: float = 0.0


@dataclass(frozen=True, slots=True)
class QueueReasons:
    """Why attempts wait, by name: those that were asked about, '' where nothing is said. `advice`: what an administrator
    may change when the batch system is set up to say nothing, else ''."""

    by_name: Mapping[str, str]
    advice: str = ""


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """An ending as accounting tells it. `over` is "memory" or "runtime" when a limit ended it; `node_failed` when the
    batch system blames the node; `words` is what it said. Never proof of success (see `Exit`)."""

    exit_code: int | None = None
    signal: int | None = None
    over: str | None = None
    node_failed: bool = False
    host: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    usage: Usage = field(default_factory=Usage)
    words: str = ""


class TokenKind(StrEnum):
    START = "start"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Token:
    """The start-or-void token of an attempt: who won. `started_at` in epoch seconds for a start, if known."""

    kind: TokenKind
    nonce: str
    host: str | None = None
    process_group_id: int | None = None
    executor_id: str | None = None
    started_at: float | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """The wrapper's own record of the end: the only proof of success. A code over 128 carries the signal."""

    code: int
    signal: int | None
    ended_at: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that an attempt's own files say. `over` names a limit that our own executor enforced."""

    token: Token | None = None
    exit: Exit | None = None
    usage: Usage | None = None
    over: str | None = None


class Hint(NamedTuple):
    """'This attempt has probably ended': a bell, never evidence."""

    run_id: int
    instance_id: int


@dataclass(frozen=True, slots=True)
class SubmitResult:
    """`accepted`: name → executor id. `rejected`: name → the batch system's own words; these are refused for good."""

    accepted: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)


class AttemptStore(Protocol):
    """Where attempts leave their evidence. Files on a (shared) file system, or memory for the dummy executor."""

    def read(self, instance_ids: Iterable[int]) -> dict[int, Evidence]:
        """Evidence for those that have any; an attempt without a token is simply absent from the answer."""

    def void(self, instance_ids: Iterable[int], who: str) -> dict[int, Token]:
        """Try to win the token of each with `void`; answer the token that now stands for each of them. Those without
        one (no room, no answer) are left out: nothing is decided about them, and they are asked about again."""

    def hints(self) -> list[Hint]:
        """Attempts that rang the bell and have not been cleared yet."""

    def count_hints(self) -> Counter[int]:
        """Run → how many of its attempts are among them. Asked many times a second."""

    def read_usage(self, hint: Hint) -> Usage | None:
        """What the executor measured of this attempt, if it is not in the evidence anyway."""

    def clear_hints(self, hints: Iterable[Hint]) -> None:
        """Forget these hints; call it once their outcome is committed."""

    def tail(self, instance_id: int, stream: str, limit: int, path: str = "") -> bytes | None:
        """The last `limit` bytes of `stdout` or `stderr`; None when there is no file. `path`: where it is, if the run
        named a folder of its own."""


class Executor(Protocol):
    """All a back end must be able to do. Calls block for at most their own time-outs and never touch the database.

    An executor may also have `site`, a `Site`, and `check()`: a sentence about what makes it unable to run any job, or
    None. It is asked when the server starts; raises ExecutorUnavailable. One whose listing does not say why attempts
    wait may have `explain_queue(waiting: Sequence[Listed]) -> QueueReasons`: for a few of them, seldom, in one command
    with a short limit; raises ExecutorUnavailable.
    """

    name: str
    kind: str
    poll_interval: float
    grace: float

    @property
    def store(self) -> AttemptStore:
        """Where its attempts leave their evidence."""

    def plan_batches(self, resources: Sequence[tuple[Resources, str | None]]) -> list[list[int]]:
        """Pure: which of these (resources, working_dir) may share one submission; lists of positions. Executors
        without arrays answer one list per position."""

    def submit(self, specs: Sequence[JobSpec]) -> SubmitResult:
        """Prepare the attempts and hand all of them over. Members of one batch come together.
        Raises ExecutorUnavailable when the outcome of some is unknown."""

    def poll(self) -> dict[str, Listed]:
        """All of ours, by name, in one listing. Raises ExecutorUnavailable; never guesses."""

    def exit_info(self, refs: Sequence[AttemptRef]) -> dict[str, ExitInfo]:
        """Accounting, by name; absent = not known yet."""

    def cancel(self, refs: Sequence[AttemptRef]) -> None:
        """End them. Idempotent; gone is fine. Confirmation is their absence from a later listing."""

    def find(self, refs: Sequence[AttemptRef]) -> dict[str, str]:
        """After a submission with unknown outcome: name → executor id of those that the batch system has."""

    def refuse(self, resources: Resources) -> str | None:
        """A sentence if this executor can never run such a request, else None. Pure and cheap."""
