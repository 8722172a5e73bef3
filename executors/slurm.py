"""Slurm as an executor: sbatch, squeue, scancel, and sacct or scontrol for what ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from executors import slurm_accounting, slurm_parse
from executors.base import AttemptRef, ExitInfo, JobSpec, Resources, SubmitRejected
from executors.batch import SMALLEST, BatchExecutor, Row, batch_of
from executors.batch_config import refuse_resources
from executors.shell import Completed
from executors.slurm_accounting import Record
from executors.slurm_config import SlurmConfig
from executors.spool import Spool

NAMES_PER_COMMAND = 500


class SlurmExecutor(BatchExecutor):
    """Attempts as Slurm jobs; attempts of the same shape as tasks of one job array."""

    kind = "slurm"
    config: SlurmConfig

    def __init__(self, config: SlurmConfig, store: Spool | None = None) -> None:
        super().__init__(config, config.environment, store)
        self.config = config
        self._accounting = config.accounting

    def refuse(self, resources: Resources) -> str | None:
        return refuse_resources(resources, self.config)

    def check_site(self, wrapper: Path) -> str | None:
        argv = slurm_parse.build_submission(self.config, [SMALLEST], wrapper, Path("/dev/null"))
        answer = self.run([argv[0], "--test-only", *argv[1:]])
        if answer.code == 0:
            return None
        try:
            slurm_parse.read_submission(answer)
        except SubmitRejected as refusal:
            words = " ".join(str(refusal).split())
            return f"{self.name}: Slurm would refuse every job: {words}. See DEFAULT_PROJECT and DEFAULT_QUEUE"
        return None

    def submit_argv(self, specs: Sequence[JobSpec], wrapper: Path, target: Path) -> list[str]:
        return slurm_parse.build_submission(self.config, specs, wrapper, target)

    def read_submission(self, answer: Completed) -> str:
        return slurm_parse.read_submission(answer)

    def member_id(self, job: str, task: int | None) -> str:
        return job if task is None else f"{job}_{task}"

    def list_rows(self) -> list[Row]:
        answer = self.ask_listing(
            [self.binary("squeue"), "-r", "-u", self.config.user, "-o", slurm_parse.LISTING_FORMAT]
        )
        return slurm_parse.read_listing(answer)

    def cancel_argv(self, ids: Sequence[str]) -> list[str]:
        return [self.binary("scancel"), *ids]

    def read_cancellation(self, answer: Completed) -> None:
        slurm_parse.read_cancellation(answer)

    def exit_info(self, refs: Sequence[AttemptRef]) -> dict[str, ExitInfo]:
        found = self._find_records(refs)
        return {name: record.info for name, record in found.items()}

    def find(self, refs: Sequence[AttemptRef]) -> dict[str, str]:
        """The listing first, then accounting, for those that have ended meanwhile."""
        found = super().find(refs)
        missing = [ref for ref in refs if ref.name not in found]
        ended = self._find_records(missing)
        return {name: self.member_id(record.job, record.task) for name, record in ended.items()} | found

    def _find_records(self, refs: Sequence[AttemptRef]) -> dict[str, Record]:
        """By name and owner, never by number: numbers are used again after a crash of slurmctld."""
        if not refs:
            return {}
        records = self._ask_scontrol() if self._accounting == "scontrol" else self._ask_sacct(refs)
        last = slurm_accounting.keep_last(record for record in records if record.owner == self.config.user)
        pairs = ((ref, last.get(ref.name)) for ref in refs)
        return {ref.name: one for ref, one in pairs if one is not None and self.is_recent(ref, one.submitted_at)}

    def _ask_sacct(self, refs: Sequence[AttemptRef]) -> list[Record]:
        names = list(dict.fromkeys(batch_of(ref.name) for ref in refs))
        # sacct refuses to look from a time that is still to come.
        earliest = min(time.time(), *(ref.intended_at for ref in refs)) - self.config.clock_slack
        since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(max(0.0, earliest)))
        records: list[Record] = []
        for at in range(0, len(names), NAMES_PER_COMMAND):
            answer = self.run(self._sacct_argv(names[at : at + NAMES_PER_COMMAND], since))
            if self._accounting == "auto" and slurm_accounting.is_disabled(answer):
                self._accounting = "scontrol"
                return self._ask_scontrol()
            records += slurm_accounting.read_sacct(answer)
        return records

    def _sacct_argv(self, names: Sequence[str], since: str) -> list[str]:
        argv = [self.binary("sacct"), "-P", "-D", "-u", self.config.user, "-S", since, f"--name={','.join(names)}"]
        return [*argv, "-o", slurm_accounting.SACCT_FIELDS]

    def _ask_scontrol(self) -> list[Record]:
        return slurm_accounting.read_scontrol(self.run([self.binary("scontrol"), "-o", "show", "job"]))
