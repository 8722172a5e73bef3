"""What all batch systems share: arrays, one runner of commands, the checks before a deletion.

A concrete executor is an argument builder and an output parser (see `sge_parse.py`, `slurm_parse.py`); what touches the
world is here and, for the attempts' folders, in `batch_folders.py`.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from executors import faults, shell
from executors.base import (
    AttemptRef,
    AttemptStore,
    ExecutorUnavailable,
    ExitInfo,
    JobSpec,
    Listed,
    Phase,
    Resources,
    Site,
    SubmitRejected,
    SubmitResult,
)
from executors.batch_config import BatchConfig, refuse_spec
from executors.batch_folders import BatchFolders
from executors.shell import Completed
from executors.spool import Spool

JOB_ID = re.compile(r"[0-9]+([._][0-9]+)?")
IDS_PER_COMMAND = 2000
SMALLEST = JobSpec(0, 0, "check", "check", 0, "true", Resources(mem_free=0.001))
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,253}")
_TASK = re.compile(r"\.[0-9]+$")


@dataclass(frozen=True, slots=True)
class Row:
    """One task of a listing. `since` is its start or, before that, its submission, in epoch seconds."""

    batch: str
    job: str
    task: int | None
    owner: str
    phase: Phase
    host: str | None = None
    message: str = ""
    since: float | None = None

    @property
    def name(self) -> str:
        return self.batch if self.task is None else f"{self.batch}.{self.task}"


def batch_of(name: str) -> str:
    """The batch of an attempt: `jm1-b7.3` is task 3 of `jm1-b7`."""
    return _TASK.sub("", name)


def plan_batches(resources: Sequence[tuple[Resources, str | None]], size: int) -> list[list[int]]:
    """Positions of requests of the same shape (resources and working directory), at most `size` together."""
    shapes: dict[tuple[Resources, str | None], list[int]] = {}
    for position, shape in enumerate(resources):
        shapes.setdefault(shape, []).append(position)
    return [same[at : at + size] for same in shapes.values() for at in range(0, len(same), size)]


def _include_all_hosts(spec: JobSpec) -> JobSpec:
    return replace(spec, resources=replace(spec.resources, excluded_hosts=()))


def group_by_batch(specs: Iterable[JobSpec]) -> dict[str, list[JobSpec]]:
    batches: dict[str, list[JobSpec]] = {}
    for spec in specs:
        batches.setdefault(spec.batch, []).append(spec)
    return batches


def check_host(host: str) -> str:
    """The name, or ValueError: in the commands of batch systems names of hosts may be patterns and lists."""
    if not HOST.fullmatch(host):
        raise ValueError(f"{host!r} is not the name of a host")
    return host


def check_ids(ids: Iterable[str]) -> list[str]:
    """The ids, in order, or ValueError: the batch systems' delete commands take patterns, which must not reach them."""
    listed = list(ids)
    for one in listed:
        if not JOB_ID.fullmatch(one):
            raise ValueError(f"{one!r} is not the number of a batch job; nothing was cancelled")
    return listed


class BatchExecutor(ABC):
    """An executor whose attempts are jobs of a batch system. Subclasses build arguments and read answers."""

    kind: str

    def __init__(self, config: BatchConfig, environment: Mapping[str, str], store: Spool | None = None) -> None:
        self.config = config
        self.name = config.name
        self.poll_interval = config.poll_interval
        self.grace = config.grace
        self.site = Site(
            max_live=config.max_live,
            memory_cap=config.max_memory,
            runtime_cap=config.max_runtime,
            has_accounting=True,
            accounting_wait=min(config.accounting_wait, config.grace),
        )
        self._spool = store or Spool(config.spool)
        self.store: AttemptStore = self._spool
        self._folders = BatchFolders(config, self._spool)
        # Times are printed in the zone of the command's environment: UTC can be read without knowing the machine's.
        self._environment = {**environment, "TZ": "UTC"}

    # What a batch system must say of itself

    @abstractmethod
    def submit_argv(self, specs: Sequence[JobSpec], wrapper: Path, target: Path) -> list[str]:
        """The submission of one batch: a single attempt (index 0) or an array."""

    @abstractmethod
    def test_argv(self, specs: Sequence[JobSpec], wrapper: Path) -> list[str]:
        """What asks whether such a submission would be accepted, and submits nothing."""

    @abstractmethod
    def read_submission(self, answer: Completed) -> str:
        """The job's number. Raises SubmitRejected or ExecutorUnavailable with the raw answer."""

    @abstractmethod
    def member_id(self, job: str, task: int | None) -> str:
        """How this batch system writes a task of an array."""

    @abstractmethod
    def list_rows(self) -> list[Row]:
        """One listing of all jobs of our user. Raises ExecutorUnavailable."""

    @abstractmethod
    def cancel_argv(self, ids: Sequence[str]) -> list[str]:
        """The deletion of checked ids."""

    @abstractmethod
    def read_cancellation(self, answer: Completed) -> None:
        """Raises ExecutorUnavailable unless everything was ended or is gone."""

    @abstractmethod
    def exit_info(self, refs: Sequence[AttemptRef]) -> dict[str, ExitInfo]:
        """Accounting, by name; absent = not known yet."""

    @abstractmethod
    def refuse(self, resources: Resources) -> str | None:
        """A sentence if this executor can never run such a request, else None."""

    @abstractmethod
    def check_site(self, wrapper: Path) -> str | None:
        """A sentence if the smallest request would be refused, else None. Raises ExecutorUnavailable."""

    # What they share

    def check(self) -> str | None:
        """A sentence if no job can be run here, else None. Asks the batch system once; raises ExecutorUnavailable."""
        if sentence := self._spool.check():
            return sentence
        if closed := self._folders.find_closed():
            return f"{self.name}: {self.config.user} may not pass {closed} on the way to the spool; move JOBMON_SPOOL"
        wrapper = self._folders.create()
        program = self.submit_argv([SMALLEST], wrapper, Path("/dev/null"))[0]
        if not os.access(program, os.X_OK):
            return f"{self.name}: there is no {program}; set JOBMON_{self.name.upper().replace('-', '_')}_BIN_DIR"
        return self.check_site(wrapper)

    def run(self, argv: Sequence[str], timeout: float | None = None) -> Completed:
        limit = self.config.query_timeout if timeout is None else timeout
        return shell.run([*self.config.command_prefix, *argv], timeout=limit, environment=self._environment)

    def ask_listing(self, argv: Sequence[str]) -> Completed:
        """The command that lists the jobs of our user."""
        return self.run(argv)

    def binary(self, name: str) -> str:
        return str(self.config.bin_dir / name)

    def plan_batches(self, resources: Sequence[tuple[Resources, str | None]]) -> list[list[int]]:
        return plan_batches(resources, self.config.array_size)

    def submit(self, specs: Sequence[JobSpec]) -> SubmitResult:
        """The folders of all batches come first: a full disk shows before anything is handed over."""
        rejected = self.find_impossible(specs)
        batches = group_by_batch(spec for spec in specs if spec.name not in rejected)
        try:
            wrapper = self._folders.create()
            prepared = [ready for batch in batches.values() if (ready := self._folders.prepare(batch))]
            targets = [self._folders.make_target(batch) for batch in prepared]
        except OSError as error:
            where = error.filename or self.config.spool
            raise ExecutorUnavailable(f"cannot prepare attempts at {where}: {error.strerror}") from error
        accepted = self._hand_over_all(prepared, targets, wrapper, rejected)
        return SubmitResult(accepted=accepted, rejected=rejected)

    def find_impossible(self, specs: Sequence[JobSpec]) -> dict[str, str]:
        """Name → why, of those that no batch system may be given."""
        return {spec.name: words for spec in specs if (words := refuse_spec(spec) or self.refuse(spec.resources))}

    def _hand_over_all(
        self, prepared: Sequence[list[JobSpec]], targets: Sequence[Path], wrapper: Path, rejected: dict[str, str]
    ) -> dict[str, str]:
        """Name → executor id. What the batch system refuses is added to `rejected`; when it does not answer, the
        rest is not tried."""
        accepted: dict[str, str] = {}
        for batch, target in zip(prepared, targets, strict=True):
            try:
                job = self._submit_batch(batch, wrapper, target)
            except SubmitRejected as refusal:
                rejected.update((spec.name, str(refusal)) for spec in batch)
            except ExecutorUnavailable as error:
                raise ExecutorUnavailable(str(error), accepted) from error
            else:
                accepted.update((spec.name, self.member_id(job, spec.index or None)) for spec in batch)
        return accepted

    def _submit_batch(self, batch: Sequence[JobSpec], wrapper: Path, target: Path) -> str:
        faults.point("pause_before_submit")
        faults.point("submit_refused")
        answer = self.run(self.submit_argv(batch, wrapper, target), self.config.submit_timeout)
        faults.point("after_submit")
        try:
            return self.read_submission(answer)
        except SubmitRejected as refusal:
            excluded = batch[0].resources.excluded_hosts
            if excluded and not self.find_refusal([_include_all_hosts(spec) for spec in batch], wrapper):
                said = f"no host is left for it; excluded are {', '.join(excluded)} ({' '.join(str(refusal).split())})"
                raise ExecutorUnavailable(said) from refusal  # hosts come back; it is not refused for good
            raise

    def find_refusal(self, specs: Sequence[JobSpec], wrapper: Path) -> str:
        """The batch system's words if it would refuse such a submission for good, else ''. Raises
        ExecutorUnavailable if it does not say."""
        answer = self.run(self.test_argv(specs, wrapper))
        if answer.code != 0:
            try:
                self.read_submission(answer)
            except SubmitRejected as refusal:
                return " ".join(str(refusal).split())
        return ""

    def poll(self) -> dict[str, Listed]:
        return {row.name: self._listed(row) for row in self._own_rows()}

    def cancel(self, refs: Sequence[AttemptRef]) -> None:
        """Only what a listing shows under the right name, owner and time is ended."""
        faults.point("in_kill")
        if not refs:
            return
        rows = self._own_rows()
        wanted = set(self._match(refs, rows))
        ids = check_ids(self._shortest_ids(rows, wanted))
        self.delete([ref for ref in refs if ref.name in wanted], ids)

    def delete(self, refs: Sequence[AttemptRef], ids: Sequence[str]) -> None:
        """End these attempts, whose checked ids these are."""
        for at in range(0, len(ids), IDS_PER_COMMAND):
            self.read_cancellation(self.run(self.cancel_argv(ids[at : at + IDS_PER_COMMAND])))

    def find(self, refs: Sequence[AttemptRef]) -> dict[str, str]:
        found = self._match(refs, self._own_rows())
        return {name: self.member_id(row.job, row.task) for name, row in found.items()}

    def is_recent(self, ref: AttemptRef, since: float | None) -> bool:
        """Whether a job of that time can be this attempt: none was submitted before its intent."""
        return since is None or since >= ref.intended_at - self.config.clock_slack

    def _own_rows(self) -> list[Row]:
        prefix, user = self.config.name_prefix, self.config.user
        return [row for row in self.list_rows() if row.owner == user and row.batch.startswith(prefix)]

    def _match(self, refs: Sequence[AttemptRef], rows: Sequence[Row]) -> dict[str, Row]:
        by_name = {row.name: row for row in rows}
        pairs = ((ref, by_name.get(ref.name)) for ref in refs)
        return {ref.name: row for ref, row in pairs if row is not None and self.is_recent(ref, row.since)}

    def _shortest_ids(self, rows: Sequence[Row], wanted: set[str]) -> list[str]:
        """The job's own number when all its listed tasks are to be ended, else the tasks one by one."""
        jobs: dict[str, list[Row]] = {}
        for row in rows:
            jobs.setdefault(row.job, []).append(row)
        ids: list[str] = []
        for job, tasks in jobs.items():
            chosen = [row for row in tasks if row.name in wanted]
            ids += [job] if len(chosen) == len(tasks) else [self.member_id(job, row.task) for row in chosen]
        return ids

    def _listed(self, row: Row) -> Listed:
        executor_id = self.member_id(row.job, row.task)
        return Listed(row.name, executor_id, row.phase, host=row.host, message=row.message, since=row.since)
