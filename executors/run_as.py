"""How the server has things done in the name of a workflow's owner: through the helper of deploy/libexec, by sudo.

The helper believes nothing that it is told here (see docs/run-as.md); this is the polite side of the conversation.
"""

from __future__ import annotations

import base64
import json
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from executors import shell
from executors.base import ExecutorUnavailable, SubmitRejected
from executors.shell import Completed

PROTOCOL = 1
SECRET_FILES_PROTOCOL = 2  # a submission with secret files: a helper that would not read them must refuse it
SUDO = ("/usr/bin/sudo", "-n", "-u")
AT_ONCE = 2000
MARGIN = 5.0  # seconds that sudo and the start of the helper may take beside its work
LONGEST = 100
ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


class LogRefused(Exception):
    """The helper did not read a log. `code`: missing, refused, account or unavailable."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


@dataclass(frozen=True, slots=True)
class LogPart:
    """A piece of a log: its bytes, where they begin, and the size of the whole."""

    data: bytes
    offset: int
    size: int


@dataclass(frozen=True)
class RunAs:
    """`helper`: the program's path. `prefix` comes before sudo: for tests, in which the server is not the service."""

    helper: Path
    prefix: tuple[str, ...] = ()
    timeout: float = 60.0
    _read_log_seconds: float = field(default=10.0, repr=False)

    def read_config(self) -> dict[str, Any]:
        """What the helper is configured with: root's file, which everybody may read. Raises ExecutorUnavailable."""
        path = self.helper.with_name("jobmon-as.json")
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ExecutorUnavailable(f"{path} cannot be read: {error}") from error
        if not isinstance(found, dict):
            raise ExecutorUnavailable(f"{path} holds no object")
        return found

    def find_fault(self) -> str | None:
        """A sentence if the helper is not one that sudo should run, else None."""
        for path in (self.helper.parent, self.helper, self.helper.with_name("jobmon-as.json")):
            try:
                status = path.stat()
            except OSError as error:
                return f"{path}: {error.strerror}; install the helper as docs/run-as.md says"
            if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return f"{path} must belong to root and be writable by root alone"
        return None

    def root(self, account: str) -> Path:
        """The folder of an owner's attempts; without a configuration that can be read, a word in its place."""
        try:
            return Path(str(self.read_config().get("spool", "?"))) / account
        except ExecutorUnavailable:
            return Path("?") / account

    def ask(self, account: str, verb: str, seconds: float | None = None, **fields: Any) -> dict[str, Any]:
        """One call as this account. Raises ExecutorUnavailable, or SubmitRejected if the helper refuses the request."""
        if not ACCOUNT.fullmatch(account):
            raise ExecutorUnavailable(f"{account!r} is not the name of a Unix account")
        limit = min(LONGEST, max(1, round(self.timeout if seconds is None else seconds)))
        request = json.dumps({"version": PROTOCOL, "verb": verb, "seconds": limit, **fields})
        argv = [*self.prefix, *SUDO, account, str(self.helper)]
        answer = shell.run(argv, timeout=limit + MARGIN, stdin=request)
        return _read_answer(account, verb, answer)

    def evidence(self, account: str, instances: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Token and time of its last change, of those that have one."""
        found: dict[int, dict[str, Any]] = {}
        for at in range(0, len(instances), AT_ONCE):
            answer = self.ask(account, "list", instances=list(instances[at : at + AT_ONCE]))
            found.update(read_evidence(answer))
        return found

    def void(self, account: str, instances: Sequence[int], who: str) -> dict[int, dict[str, Any]]:
        """Try to win the tokens of these; what then stands there."""
        name = re.sub(r"[^a-z-]", "-", who.lower())[:32] or "server"
        found: dict[int, dict[str, Any]] = {}
        for at in range(0, len(instances), AT_ONCE):
            answer = self.ask(account, "cancel", who=name, ids=[], instances=list(instances[at : at + AT_ONCE]))
            found.update(read_evidence(answer))
        return found

    def remove(self, account: str, instances: Sequence[int], batches: Sequence[str]) -> str:
        """Take these attempts' own folders away. "", or a sentence about what stays and why."""
        try:
            answer = self.ask(account, "remove", LONGEST, instances=list(instances), batches=list(batches))
            kept, words = int(answer["kept"]), [str(one) for one in answer["words"]]
        except (ExecutorUnavailable, SubmitRejected, KeyError, ValueError, TypeError) as error:
            return str(error)
        return f"{kept} folders of {account} stay: {'; '.join(words)}" if kept else ""

    def read_log(self, account: str, instance: int, stream: str, offset: int | None, limit: int) -> LogPart:
        """A piece of an attempt's log, read as its owner. Raises LogRefused."""
        wanted = {"instance": instance, "stream": stream, "offset": offset, "limit": limit}
        try:
            answer = self.ask(account, "read", self._read_log_seconds, **wanted)
            return LogPart(base64.b64decode(answer["data"]), int(answer["offset"]), int(answer["size"]))
        except SubmitRejected as error:
            missing = str(error).startswith("missing: ")
            raise LogRefused("missing" if missing else "refused", str(error).removeprefix("missing: ")) from error
        except (ExecutorUnavailable, KeyError, ValueError, TypeError) as error:
            raise LogRefused("unavailable", str(error)) from error


def _read_answer(account: str, verb: str, answer: Completed) -> dict[str, Any]:
    """Raises as `RunAs.ask` does."""
    try:
        found = json.loads(answer.stdout) if answer.code == 0 else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        words = " ".join((answer.stderr or answer.stdout).split())[:300] or f"code {answer.code}"
        raise ExecutorUnavailable(f"cannot act as {account}: {words}")
    if "error" not in found:
        return found
    code, words = str(found.get("code")), str(found["error"])
    if code in ("refused", "missing"):
        raise SubmitRejected(f"missing: {words}" if code == "missing" else words)
    raise ExecutorUnavailable(f"{verb} as {account}: {words}")


def read_evidence(answer: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The attempts of an answer, by number. Raises ExecutorUnavailable if it holds something else."""
    try:
        return {
            int(number): {"token": str(one["token"]), "modified": float(one["modified"])}
            for number, one in answer["attempts"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExecutorUnavailable(f"the helper's answer cannot be read: {error!r}") from error


def read_completed(answer: dict[str, Any]) -> Completed:
    """What the batch system said. Raises ExecutorUnavailable."""
    try:
        said = answer["answer"]
        return Completed(int(said["code"]), str(said["stdout"]), str(said["stderr"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ExecutorUnavailable(f"the helper's answer cannot be read: {error!r}") from error
