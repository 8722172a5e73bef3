"""The smallest executor: it prints each command and records success. A pattern for executors of your own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from executors.base import AttemptRef, ExitInfo, Hint, JobSpec, Listed, Resources, SubmitResult, TokenKind, Usage
from executors.spool import Spool


class PrintExecutor:
    """Ends every attempt at once, in `submit`; so there is never anything to list or to cancel."""

    kind = "print"
    poll_interval = 1.0
    grace = 1.0

    def __init__(self, name: str, store: Spool, word: str) -> None:
        self.name = name
        self.store = store
        self._word = word

    def plan_batches(self, resources: Sequence[tuple[Resources, str | None]]) -> list[list[int]]:
        return [[position] for position in range(len(resources))]

    def submit(self, specs: Sequence[JobSpec]) -> SubmitResult:
        self.store.create()
        accepted: dict[str, str] = {}
        for spec in specs:
            if self.store.prepare(spec.instance_id, spec.command):
                self._run(spec)
                accepted[spec.name] = spec.name
        return SubmitResult(accepted=accepted)

    def _run(self, spec: JobSpec) -> None:
        """Win the token, do the work, record the end: what a real executor's wrapper does on the node."""
        folder = self.store.folder(spec.instance_id)
        try:
            with open(folder / "token", "x", encoding="utf-8") as token:
                token.write(f"{TokenKind.START} nonce here 0 {spec.name} {time.time():.0f}\n")
                print(f"{self._word} {spec.name}: {spec.command}")
                token.write("exit 0\n")
        except FileExistsError:
            return  # somebody voided the attempt first
        self.store.ring(Hint(spec.run_id, spec.instance_id), Usage(wallclock=0.0))

    def poll(self) -> dict[str, Listed]:
        return {}

    def exit_info(self, refs: Sequence[AttemptRef]) -> dict[str, ExitInfo]:
        return {}

    def cancel(self, refs: Sequence[AttemptRef]) -> None:
        return None

    def find(self, refs: Sequence[AttemptRef]) -> dict[str, str]:
        return {}

    def refuse(self, resources: Resources) -> str | None:
        return None


def create(name: str, spool: Spool, settings: Mapping[str, str]) -> PrintExecutor:
    """The entry point. `settings` are the variables JOBMON_<NAME>_…, their names in small letters."""
    unknown = sorted(settings.keys() - {"word"})
    if unknown:
        raise ValueError(f"there is no setting {unknown[0].upper()}; there is WORD")
    return PrintExecutor(name, spool, settings.get("word", "would run"))
