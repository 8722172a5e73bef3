"""One executor in front of its owners' twins: every attempt goes to the account of its workflow's owner, or nowhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from executors.base import (
    AttemptRef,
    AttemptStore,
    ExecutorUnavailable,
    ExitInfo,
    JobSpec,
    Listed,
    PartlyUnavailable,
    QueueReasons,
    Resources,
    SubmitResult,
)
from executors.batch import BatchExecutor
from executors.run_as import ACCOUNT, RunAs
from executors.run_as_batch import OwnedSge, OwnedSlurm, make_owned
from executors.run_as_store import Owners, RoutedStore
from executors.sge import SgeExecutor

T = TypeVar("T")
NO_ACCOUNT = "its workflow's owner has no Unix account, and no job runs as the service"


class RunAsExecutor:
    """`base` is the executor as configured. It submits nothing; it answers for what the service itself had submitted
    before the server ran jobs as their owners."""

    def __init__(self, base: BatchExecutor, run_as: RunAs, owners: Owners, store: RoutedStore) -> None:
        make_owned(base, run_as, "nobody")  # a kind that cannot is refused at once
        self.base = base
        self.name, self.kind = base.name, base.kind
        self.poll_interval, self.grace, self.site = base.poll_interval, base.grace, base.site
        self._run_as = run_as
        self._owners = owners
        self._twins: dict[str, OwnedSge | OwnedSlurm] = {}
        self._lock = threading.Lock()
        self.store: AttemptStore = store

    def twin(self, account: str) -> OwnedSge | OwnedSlurm:
        """Raises ExecutorUnavailable for what cannot be the name of an account."""
        if not ACCOUNT.fullmatch(account):
            raise ExecutorUnavailable(f"{account!r} is not the name of a Unix account")
        with self._lock:
            if account not in self._twins:
                self._twins[account] = make_owned(self.base, self._run_as, account)
            return self._twins[account]

    def check(self) -> str | None:
        if fault := self._run_as.find_fault():
            return f"{self.name}: {fault}"
        config = self._run_as.read_config()
        if self.name not in config.get("systems", {}):
            return f"{self.name}: the helper's jobmon-as.json has no system of this name"
        prefix = str(config.get("prefix", ""))
        if not prefix or not self.base.config.name_prefix.startswith(prefix):
            return f"{self.name}: jobs are named {self.base.config.name_prefix}…, but jobmon-as.json has {prefix!r}"
        bell, ended = str(config.get("bell", "")), str(self.base.config.spool / "ended")
        if bell and bell != ended:
            return f"{self.name}: jobs ring at {bell}, says jobmon-as.json, but JOBMON_SPOOL is heard at {ended}"
        return None

    def plan_batches(self, resources: Sequence[tuple[Resources, str | None]]) -> list[list[int]]:
        return self.base.plan_batches(resources)

    def refuse(self, resources: Resources) -> str | None:
        return self.base.refuse(resources)

    def submit(self, specs: Sequence[JobSpec]) -> SubmitResult:
        """A job without an account is refused: it must never run as somebody else instead."""
        rejected = {spec.name: NO_ACCOUNT for spec in specs if not spec.account}
        accepted: dict[str, str] = {}
        by_account: dict[str, list[JobSpec]] = {}
        for spec in specs:
            if spec.account:
                by_account.setdefault(spec.account, []).append(spec)
        for account, own in by_account.items():
            try:
                result = self.twin(account).submit(own)
            except ExecutorUnavailable as error:
                raise ExecutorUnavailable(str(error), accepted | error.accepted) from error
            accepted |= result.accepted
            rejected |= result.rejected
        return SubmitResult(accepted, rejected)

    def poll(self) -> dict[str, Listed]:
        """Every account with live attempts. One that cannot be asked does not hide the others: PartlyUnavailable."""
        found: dict[str, Listed] = {}
        unasked: set[int] = set()
        words: list[str] = []
        for account, names in self._owners.live_accounts(self.name).items():
            executor = self.twin(account) if account else self.base
            try:
                # By name: somebody may well give a job of his own the name of another's attempt.
                found |= {name: listed for name, listed in executor.poll().items() if name in names}
            except ExecutorUnavailable as error:
                unasked.update(names.values())
                words.append(str(error))
        if words:
            raise PartlyUnavailable("; ".join(words), found, unasked)
        return found

    def explain_queue(self, waiting: Sequence[Listed]) -> QueueReasons:
        """A public question: the server asks it itself, once for the jobs of all owners."""
        if isinstance(self.base, SgeExecutor):
            return self.base.explain_queue(waiting)
        return QueueReasons({})

    def exit_info(self, refs: Sequence[AttemptRef]) -> dict[str, ExitInfo]:
        return self._merge(refs, lambda executor, own: executor.exit_info(own))

    def find(self, refs: Sequence[AttemptRef]) -> dict[str, str]:
        return self._merge(refs, lambda executor, own: executor.find(own))

    def _merge(
        self, refs: Sequence[AttemptRef], ask: Callable[[BatchExecutor, list[AttemptRef]], dict[str, T]]
    ) -> dict[str, T]:
        found: dict[str, T] = {}
        for executor, own in self._split(refs):
            found |= ask(executor, own)
        return found

    def cancel(self, refs: Sequence[AttemptRef]) -> None:
        """One account that cannot be asked must not keep the others' jobs alive."""
        failures: list[str] = []
        for executor, own in self._split(refs):
            try:
                executor.cancel(own)
            except ExecutorUnavailable as error:
                failures.append(str(error))
        if failures:
            raise ExecutorUnavailable("; ".join(failures))

    def _split(self, refs: Sequence[AttemptRef]) -> list[tuple[BatchExecutor, list[AttemptRef]]]:
        accounts = self._owners.accounts_of([ref.instance_id for ref in refs])
        by_account: dict[str, list[AttemptRef]] = {}
        for ref in refs:
            by_account.setdefault(accounts.get(ref.instance_id, ""), []).append(ref)
        return [(self.twin(account) if account else self.base, own) for account, own in by_account.items()]
