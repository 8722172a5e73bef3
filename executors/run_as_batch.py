"""The executors of one owner: the same arguments and answers, but what is done is done by the helper, as the owner.

Listings, deletions and submissions go through the helper; only public questions (why a job is in its error state, and
accounting) are asked by the server itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from executors import faults, sge_parse, slurm_parse
from executors.base import AttemptRef, ExecutorUnavailable, JobSpec, SubmitRejected, SubmitResult
from executors.batch import BatchExecutor, group_by_batch
from executors.run_as import AT_ONCE, PROTOCOL, SECRET_FILES_PROTOCOL, RunAs, read_completed
from executors.script import job_environment
from executors.sge import SgeExecutor
from executors.sge_config import SgeConfig
from executors.shell import Completed
from executors.slurm import SlurmExecutor
from executors.slurm_config import SlurmConfig


def render_attempt(spec: JobSpec) -> dict[str, Any]:
    """What the helper needs to make the attempt's folder."""
    return {
        "instance": spec.instance_id,
        "run": spec.run_id,
        "index": spec.index,
        "command": spec.command,
        "working_dir": spec.working_dir or "",
        "stdout": spec.stdout_path or "",
        "stderr": spec.stderr_path or "",
        "environment": job_environment(spec),
    }


def choose_protocol(specs: Sequence[JobSpec]) -> int:
    """What the helper must understand to submit these."""
    return SECRET_FILES_PROTOCOL if any(spec.secret_files for spec in specs) else PROTOCOL


class _Owned(BatchExecutor):
    """What the owners' executors share."""

    _run_as: RunAs
    account: str

    def bind(self, run_as: RunAs, account: str) -> None:
        self._run_as = run_as
        self.account = account

    def submit_options(self, specs: Sequence[JobSpec]) -> list[str]:
        raise NotImplementedError

    def submit(self, specs: Sequence[JobSpec]) -> SubmitResult:
        rejected = self.find_impossible(specs)
        rejected |= {spec.name: "it belongs to another account" for spec in specs if spec.account != self.account}
        accepted: dict[str, str] = {}
        batches = group_by_batch(spec for spec in specs if spec.name not in rejected)
        for batch in batches.values():
            try:
                accepted |= self._hand_over(batch)
            except SubmitRejected as refusal:
                rejected.update((spec.name, str(refusal)) for spec in batch)
            except ExecutorUnavailable as error:
                raise ExecutorUnavailable(str(error), accepted) from error
        return SubmitResult(accepted, rejected)

    def _hand_over(self, batch: Sequence[JobSpec]) -> dict[str, str]:
        """Name → executor id; without those that somebody else has decided about."""
        faults.point("pause_before_submit")
        faults.point("submit_refused")
        answer = self._run_as.ask(
            self.account,
            "submit",
            self.config.submit_timeout,
            system=self.name,
            batch=batch[0].batch,
            options=self.submit_options(batch),
            attempts=[render_attempt(spec) for spec in sorted(batch, key=lambda spec: spec.index)],
            version=choose_protocol(batch),
        )
        faults.point("after_submit")
        prepared = set(answer.get("prepared") or ())
        if not prepared:
            return {}
        job = self.read_submission(read_completed(answer))
        handed = [spec for spec in batch if spec.instance_id in prepared]
        return {spec.name: self.member_id(job, spec.index or None) for spec in handed}

    def ask_listing(self, argv: Sequence[str]) -> Completed:
        seconds = self.config.query_timeout
        try:
            return read_completed(self._run_as.ask(self.account, "list", seconds, system=self.name, instances=[]))
        except SubmitRejected as refusal:
            raise ExecutorUnavailable(str(refusal)) from refusal

    def delete(self, refs: Sequence[AttemptRef], ids: Sequence[str]) -> None:
        """Void first: what has not started never will."""
        for at in range(0, max(len(refs), len(ids)), AT_ONCE):
            part = slice(at, at + AT_ONCE)
            instances, some = [ref.instance_id for ref in refs[part]], list(ids[part])
            try:
                answer = self._run_as.ask(
                    self.account, "cancel", system=self.name, who="cancel", instances=instances, ids=some
                )
            except SubmitRejected as refusal:
                raise ExecutorUnavailable(str(refusal)) from refusal
            if some:
                self.read_cancellation(read_completed(answer))


class OwnedSge(_Owned, SgeExecutor):
    """Grid Engine's jobs of one owner."""

    def __init__(self, config: SgeConfig, run_as: RunAs, account: str) -> None:
        super().__init__(replace(config, user=account))
        self.bind(run_as, account)

    def submit_options(self, specs: Sequence[JobSpec]) -> list[str]:
        return sge_parse.build_options(self.config, specs)


class OwnedSlurm(_Owned, SlurmExecutor):
    """Slurm's jobs of one owner."""

    def __init__(self, config: SlurmConfig, run_as: RunAs, account: str) -> None:
        super().__init__(replace(config, user=account))
        self.bind(run_as, account)

    def submit_options(self, specs: Sequence[JobSpec]) -> list[str]:
        return slurm_parse.build_options(self.config, self.exclude_known(specs))


def make_owned(base: BatchExecutor, run_as: RunAs, account: str) -> OwnedSge | OwnedSlurm:
    """The owner's twin of a configured executor. Raises ValueError for a kind the helper knows nothing of."""
    if isinstance(base, SgeExecutor):
        return OwnedSge(base.config, run_as, account)
    if isinstance(base, SlurmExecutor):
        return OwnedSlurm(base.config, run_as, account)
    raise ValueError(f"executor {base.name} (kind {base.kind}) cannot run jobs as their owners; only sge and slurm can")
