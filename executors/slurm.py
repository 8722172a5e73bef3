"""Slurm as an executor: sbatch, squeue, scancel, and sacct or scontrol for what ended."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from executors import slurm_accounting, slurm_parse
from executors.base import AttemptRef, ExitInfo, JobSpec, Resources
from executors.batch import SMALLEST, BatchExecutor, Row, batch_of
from executors.batch_config import refuse_resources
from executors.shell import Completed
from executors.slurm_accounting import Record
from executors.slurm_config import SlurmConfig
from executors.spool import Spool

NAMES_PER_COMMAND = 500
NODES_KEPT = 60.0


class SlurmExecutor(BatchExecutor):
    """Attempts as Slurm jobs; attempts of the same shape as tasks of one job array."""

    kind = "slurm"
    config: SlurmConfig

    def __init__(self, config: SlurmConfig, store: Spool | None = None) -> None:
        super().__init__(config, config.environment, store)
        self.config = config
        self._accounting = config.accounting
        self._nodes: dict[str, str] = {}
        self._nodes_asked_at = -NODES_KEPT

    def refuse(self, resources: Resources) -> str | None:
        return refuse_resources(resources, self.config)

    def check_site(self, wrapper: Path) -> str | None:
        words = self.find_refusal([SMALLEST], wrapper)
        if not words:
            return None
        return f"{self.name}: Slurm would refuse every job: {words}. See DEFAULT_PROJECT and DEFAULT_QUEUE"

    def test_argv(self, specs: Sequence[JobSpec], wrapper: Path) -> list[str]:
        argv = slurm_parse.build_submission(self.config, specs, wrapper, Path("/dev/null"))
        return [argv[0], "--test-only", *argv[1:]]

    def submit_argv(self, specs: Sequence[JobSpec], wrapper: Path, target: Path) -> list[str]:
        return slurm_parse.build_submission(self.config, self.exclude_known(specs), wrapper, target)

    def exclude_known(self, specs: Sequence[JobSpec]) -> list[JobSpec]:
        """sbatch refuses to exclude a node that it does not know: excluded hosts go by the names of Slurm's nodes, and
        those that are gone from the cluster are left out."""
        has_any = any(spec.resources.excluded_hosts for spec in specs)
        nodes = self._ask_nodes() if has_any else {}
        return [self._exclude_known(spec, nodes) for spec in specs]

    def _exclude_known(self, spec: JobSpec, nodes: Mapping[str, str]) -> JobSpec:
        if not spec.resources.excluded_hosts:
            return spec
        short = (host.split(".")[0] for host in spec.resources.excluded_hosts)
        known = tuple(nodes[host] for host in short if host in nodes)
        return replace(spec, resources=replace(spec.resources, excluded_hosts=known))

    def _ask_nodes(self) -> dict[str, str]:
        """Asked for while hosts are excluded, once a minute at most."""
        if time.monotonic() - self._nodes_asked_at >= NODES_KEPT:
            self._nodes = slurm_parse.read_nodes(self.run([self.binary("sinfo"), "-h", "-N", "-o", "%N|%n"]))
            self._nodes_asked_at = time.monotonic()
        return self._nodes

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
