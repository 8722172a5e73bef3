"""The executors of this machine: many attempts at once, or one at a time. Both hand over to one shepherd."""

from __future__ import annotations

import errno
import os
import pwd
import re
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from executors import faults, shepherd
from executors.base import (
    AttemptRef,
    ExecutorUnavailable,
    ExitInfo,
    JobSpec,
    Listed,
    Phase,
    Resources,
    SubmitResult,
)
from executors.local_client import Dialogue, ShepherdClient
from executors.local_queue import LOCAL, SEQUENTIAL, megabytes
from executors.local_spool import LocalSpool
from executors.script import SHELL, job_environment, refuse_environment, refuse_text
from executors.secret_files import is_installed
from executors.shell import MINIMAL_ENVIRONMENT

LONGEST_PIECE = 1.0  # seconds
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
# A disk that is full or gone is nobody's fault and passes; no attempt is used up.
_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def shepherd_command(root: Path, socket_dir: Path, slots: int, memory: float) -> list[str]:
    """The argument list that starts the shepherd of a spool. `memory` in GB. Start it with an empty environment."""
    arguments = ["--root", str(root), "--socket-dir", str(socket_dir), "--slots", str(slots), "--memory", f"{memory:g}"]
    return [sys.executable, "-I", "-S", str(Path(shepherd.__file__).resolve()), *arguments]


class LocalExecutor:
    """As many attempts at once as slots and memory allow. `slots` and `memory` (GB) are the machine's, as given to the
    shepherd."""

    queue = LOCAL

    def __init__(
        self, name: str, spool: LocalSpool, socket_dir: Path, *, slots: int, memory: float, timeout: float = 10.0
    ) -> None:
        self.name = name
        self.kind = self.queue
        self.poll_interval = 2.0
        self.grace = 4.0
        self.store = spool
        self.slots = slots
        self.memory = memory
        self._spool = spool
        self._client = ShepherdClient(socket_dir / shepherd.SOCKET_NAME, spool.root, timeout)

    def plan_batches(self, resources: Sequence[tuple[Resources, str | None]]) -> list[list[int]]:
        """One attempt per submission: the shepherd has no arrays, and needs none."""
        return [[position] for position in range(len(resources))]

    def submit(self, specs: Sequence[JobSpec]) -> SubmitResult:
        """An attempt that is prepared or void already is in neither answer: somebody else has decided about it. On a
        slow disk they are handed over in pieces: what was prepared first would be taken for lost before the last is."""
        accepted: dict[str, str] = {}
        rejected: dict[str, str] = {}
        with self._client.connect() as dialogue:
            for prepared, failure in self._prepare_pieces(specs, rejected):
                try:
                    accepted |= self._hand_over(dialogue, prepared, rejected)
                except ExecutorUnavailable as error:
                    raise ExecutorUnavailable(str(error), accepted) from error
                if failure is not None:
                    where = failure.filename or self._spool.root
                    raise ExecutorUnavailable(f"cannot prepare attempts at {where}: {failure.strerror}", accepted)
        return SubmitResult(accepted, rejected)

    def _prepare_pieces(
        self, specs: Sequence[JobSpec], rejected: dict[str, str]
    ) -> Iterator[tuple[list[dict[str, Any]], OSError | None]]:
        """What took about a second to prepare, again and again; with the last piece why the rest could not be."""
        prepared: list[dict[str, Any]] = []
        failure: OSError | None = None
        begun = time.monotonic()
        for spec in specs:
            try:
                environment = _environment(spec)
                reason = self._refuse_spec(spec, environment) or _make_output_folders(spec)
                if reason is not None:
                    rejected[spec.name] = reason
                elif self._spool.prepare(spec.instance_id, spec.command):
                    prepared.append(self._render(spec, environment))
            except OSError as error:
                failure = error
                break
            if time.monotonic() - begun > LONGEST_PIECE:
                yield prepared, None
                prepared, begun = [], time.monotonic()
        yield prepared, failure

    def _hand_over(
        self, dialogue: Dialogue, prepared: list[dict[str, Any]], rejected: dict[str, str]
    ) -> dict[str, str]:
        """Name → executor id, which is the name. What the shepherd rejects is added to `rejected`."""
        if not prepared:
            return {}
        faults.point("pause_before_submit")
        faults.point("submit_refused")
        reply = dialogue.ask("submit", attempts=prepared)
        faults.point("after_submit")
        rejected.update(reply["rejected"])
        return {name: name for name in reply["accepted"]}

    def _refuse_spec(self, spec: JobSpec, environment: dict[str, str]) -> str | None:
        if not _NAME.fullmatch(spec.name):
            return f"the attempt's name {spec.name!r} is not usable"
        if spec.secret_files and not is_installed(self._spool.root):
            return "names secret files, and the shepherd that runs is older than these; restart it"
        return self.refuse(spec.resources) or refuse_text(spec) or refuse_environment(environment)

    def _render(self, spec: JobSpec, environment: dict[str, str]) -> dict[str, Any]:
        return {
            "instance_id": spec.instance_id,
            "run_id": spec.run_id,
            "name": spec.name,
            "queue": self.queue,
            "slots": spec.resources.slots,
            "memory": megabytes(spec.resources.mem_free),
            "max_runtime": spec.resources.max_runtime,
            "working_dir": spec.working_dir or environment["HOME"] or "/",
            "stdout": spec.stdout_path or self._spool.file(spec.instance_id, "out"),
            "stderr": spec.stderr_path or self._spool.file(spec.instance_id, "err"),
            "environment": environment,
        }

    def poll(self) -> dict[str, Listed]:
        return self._list()

    def _list(self) -> dict[str, Listed]:
        attempts = self._client.ask("list")["attempts"]
        return {
            name: Listed(name, executor_id=name, phase=Phase(phase), message=message, since=since)
            for name, queue, phase, since, message in attempts
            if queue == self.queue
        }

    def exit_info(self, refs: Sequence[AttemptRef]) -> dict[str, ExitInfo]:
        """There is no accounting beside the attempts' own files."""
        return {}

    def cancel(self, refs: Sequence[AttemptRef]) -> None:
        faults.point("in_kill")
        if refs:
            self._client.ask("cancel", names=[ref.name for ref in refs])

    def find(self, refs: Sequence[AttemptRef]) -> dict[str, str]:
        listed = self._list()
        return {ref.name: listed[ref.name].executor_id for ref in refs if ref.name in listed}

    def refuse(self, resources: Resources) -> str | None:
        """A sentence if the machine, even when idle, has less than this."""
        if resources.slots > self.slots:
            return (
                f"asks for {resources.slots} slots; executor {self.name} has {self.slots}. "
                "Ask for less, or give it more with JOBMON_LOCAL_SLOTS."
            )
        if megabytes(resources.mem_free) > megabytes(self.memory):
            return (
                f"asks for {resources.mem_free:g} GB of memory; executor {self.name} has {self.memory:g}. "
                "Ask for less, or give it more with JOBMON_LOCAL_MEMORY."
            )
        return None


class SequentialExecutor(LocalExecutor):
    """One attempt at a time, in the order of the instances."""

    queue = SEQUENTIAL


def _environment(spec: JobSpec) -> dict[str, str]:
    default = _login()
    if any(name == "LANG" for name, _ in spec.environment):
        default = {name: value for name, value in default.items() if name != "LC_CTYPE"}  # it would win over LANG
    return job_environment(spec, default)


@cache
def _login() -> dict[str, str]:
    """What a login sets, for the account that runs the jobs, which is ours. Without HOME and SHELL each bash looks the
    account up, at some sites over the network. Characters are UTF-8; no other part of a locale is loaded for each job."""
    found = {"PATH": MINIMAL_ENVIRONMENT["PATH"], "LC_CTYPE": MINIMAL_ENVIRONMENT["LANG"], "HOME": "/"}
    found["SHELL"] = "/bin/bash" if os.access("/bin/bash", os.X_OK) else SHELL
    try:
        account = pwd.getpwuid(os.getuid())
    except KeyError:
        return found
    return {**found, "HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}


def _make_output_folders(spec: JobSpec) -> str | None:
    """A sentence if a folder for output cannot be had. Raises OSError when that may pass (disk full)."""
    for path in filter(None, (spec.stdout_path, spec.stderr_path)):
        folder = Path(path).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in _PASSING:
                raise
            return f"cannot make the folder {folder} for output: {error.strerror}. Name another one, or ask its owner."
    return None
