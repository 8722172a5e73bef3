"""Grid Engine as an executor: qsub, qstat, qdel, and the accounting file for what ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from executors import sge_accounting, sge_parse
from executors.accounting_tail import AccountingTail
from executors.base import (
    AttemptRef,
    ExecutorUnavailable,
    ExitInfo,
    JobSpec,
    Listed,
    Phase,
    QueueReasons,
    Resources,
)
from executors.batch import SMALLEST, BatchExecutor, Row, batch_of, check_ids
from executors.batch_config import refuse_resources
from executors.sge_accounting import Record
from executors.sge_config import SgeConfig
from executors.sge_reasons import TURNED_OFF, explain_job
from executors.shell import Completed
from executors.spool import Spool

QACCT_LIMIT = 50
REASONS_PER_COMMAND = 100
EXPLAIN_SECONDS = 5.0


class SgeExecutor(BatchExecutor):
    """Attempts as Grid Engine jobs; attempts of the same shape as tasks of one array job."""

    kind = "sge"
    config: SgeConfig

    def __init__(self, config: SgeConfig, store: Spool | None = None) -> None:
        super().__init__(config, config.environment, store)
        self.config = config
        self.site = replace(self.site, reason_interval=config.reason_interval)
        self._reasons: dict[tuple[str, int], str] = {}
        self._accounting = AccountingTail(
            config.accounting_path, self._is_ours, config.name_prefix, config.accounting_limit, config.accounting_keep
        )

    def refuse(self, resources: Resources) -> str | None:
        if resources.slots > 1 and self.config.parallel_environment is None:
            return f"{resources.slots} slots need a parallel environment, and none is configured for {self.name}"
        return refuse_resources(resources, self.config)

    def check_site(self, wrapper: Path) -> str | None:
        if not self.config.verify:
            return None
        words = self.find_refusal([SMALLEST], wrapper)
        if not words:
            return None
        names = ", ".join(self.config.memory_resources)
        return (
            f"{self.name}: Grid Engine would refuse every job: {words}. Define {names} in"
            " the hosts' complex_values, choose another memory resource, or set verify to false"
        )

    def test_argv(self, specs: Sequence[JobSpec], wrapper: Path) -> list[str]:
        argv = sge_parse.build_submission(replace(self.config, verify=True), specs, wrapper, Path("/dev/null"))
        argv[argv.index("-w") + 1] = "v"
        return argv

    def submit_argv(self, specs: Sequence[JobSpec], wrapper: Path, target: Path) -> list[str]:
        return sge_parse.build_submission(self.config, specs, wrapper, target)

    def read_submission(self, answer: Completed) -> str:
        return sge_parse.read_submission(answer)

    def member_id(self, job: str, task: int | None) -> str:
        return job if task is None else f"{job}.{task}"

    def list_rows(self) -> list[Row]:
        answer = self.ask_listing([self.binary("qstat"), "-xml", "-u", self.config.user])
        return self._explain(sge_parse.read_listing(answer))

    def explain_queue(self, waiting: Sequence[Listed]) -> QueueReasons:
        """What the scheduler says of these, in one command. Anybody may ask it about anybody's jobs."""
        jobs = {one.name: one.executor_id.partition(".")[0] for one in waiting}
        ids = check_ids(dict.fromkeys(jobs.values()))
        seconds = min(EXPLAIN_SECONDS, self.config.query_timeout)
        info = sge_parse.read_scheduler_info(self.run([self.binary("qstat"), "-xml", "-j", ",".join(ids)], seconds))
        reasons = {name: explain_job(info, job) for name, job in jobs.items()}
        return QueueReasons(reasons, TURNED_OFF if info.is_turned_off else "")

    def cancel_argv(self, ids: Sequence[str]) -> list[str]:
        return [self.binary("qdel"), *ids]

    def read_cancellation(self, answer: Completed) -> None:
        sge_parse.read_cancellation(answer)

    def exit_info(self, refs: Sequence[AttemptRef]) -> dict[str, ExitInfo]:
        """From the accounting file; with qacct, name by name, where the file may not be read."""
        wanted = [(ref.name, ref.executor_id and ref.executor_id.partition(".")[0]) for ref in refs]
        try:
            records = self._accounting.find(wanted)
        except OSError:
            records = self._ask_qacct(refs)
        recent = {ref.name for ref in refs if ref.name in records and self._is_of(ref, records[ref.name])}
        return {name: record.info for name, record in records.items() if name in recent}

    def find(self, refs: Sequence[AttemptRef]) -> dict[str, str]:
        """The listing first, then accounting, for those that have ended meanwhile."""
        found = super().find(refs)
        missing = [ref for ref in refs if ref.name not in found]
        return self._find_ended(missing) | found

    def _find_ended(self, refs: Sequence[AttemptRef]) -> dict[str, str]:
        try:
            records = self._accounting.find((ref.name, None) for ref in refs)
        except OSError:
            return {}
        ended = ((ref, records[ref.name]) for ref in refs if ref.name in records)
        return {ref.name: self.member_id(one.job, one.task) for ref, one in ended if self._is_of(ref, one)}

    def _is_ours(self, record: Record) -> bool:
        return record.owner == self.config.user and record.batch.startswith(self.config.name_prefix)

    def _is_of(self, ref: AttemptRef, record: Record) -> bool:
        """Name and owner are checked before; job numbers are used again after a crash of qmaster."""
        return self.is_recent(ref, record.submitted_at)

    def _ask_qacct(self, refs: Sequence[AttemptRef]) -> dict[str, Record]:
        names = list(dict.fromkeys(batch_of(ref.name) for ref in refs))
        records: list[Record] = []
        for name in names[:QACCT_LIMIT]:
            answer = self.run([self.binary("qacct"), "-j", name])
            if answer.code != 0 and "not found" not in answer.stderr:
                raise sge_parse.unreadable("qacct", answer)
            records += sge_accounting.read_qacct(answer.stdout)
        return sge_accounting.keep_last(one for one in records if one.is_final and self._is_ours(one))

    def _explain(self, rows: Sequence[Row]) -> list[Row]:
        """Give rows in the error state Grid Engine's own reason, asked for once: one command at most."""
        stuck = {(row.job, row.task or 1) for row in rows if row.phase is Phase.STUCK}
        self._reasons = {key: words for key, words in self._reasons.items() if key in stuck}
        unexplained = sorted({job for job, task in stuck - self._reasons.keys()})
        if unexplained:
            self._reasons |= self._ask_reasons(unexplained[:REASONS_PER_COMMAND])
        return [self._with_reason(row) for row in rows]

    def _ask_reasons(self, jobs: Sequence[str]) -> Mapping[tuple[str, int], str]:
        try:
            answer = self.run([self.binary("qstat"), "-xml", "-j", ",".join(jobs)])
            return sge_parse.read_error_reasons(answer)
        except ExecutorUnavailable:
            return {}  # the listing itself is good; the reason can wait for the next one

    def _with_reason(self, row: Row) -> Row:
        words = self._reasons.get((row.job, row.task or 1)) if row.phase is Phase.STUCK else None
        return replace(row, message=words) if words else row
