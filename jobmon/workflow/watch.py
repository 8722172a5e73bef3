"""Waiting for a run, and telling how it ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from jobmon import clock
from jobmon.exceptions import StillRunning
from jobmon.talk import tell
from jobmon.workflow.progress import describe_counts

if TYPE_CHECKING:
    from jobmon.api import Client
    from jobmon.workflow.progress import Progress

SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
JOBS_TOLD = 10
LINES_TOLD = 5
SHOW_EVERY = 1.0


def next_pause(pause: float, elapsed: float, has_changed: bool) -> float:
    """Seconds until the next look: 0.1 for what has just begun or just moved, up to 2 for what runs long or stands
    still. A run of minutes is never asked ten times a second, however much it moves."""
    floor = min(LONGEST_PAUSE, max(SHORTEST_PAUSE, elapsed / 50))
    return floor if has_changed else min(LONGEST_PAUSE, max(floor, pause * 1.5))


def wait_for_run(client: Client, run_id: int, progress: Progress, timeout: float | None = None) -> dict[str, Any]:
    """The run, once it has ended. `timeout` in seconds. Raises StillRunning when they are over."""
    started = time.monotonic()
    run = client.get_run(run_id)
    progress.show(run)
    pause = SHORTEST_PAUSE
    while run["status"] == "R":
        elapsed = time.monotonic() - started
        if timeout is not None and elapsed >= timeout:
            raise StillRunning(
                f"Run {run_id} is still going after {timeout:g} s: {describe_counts(run)}. It goes on without us; "
                f"come back with `jobmon workflow wait {run['workflow_id']}`."
            )
        clock.pause(pause if timeout is None else min(pause, timeout - elapsed))
        changed = client.get_run_if_changed(run_id, run["change_no"])
        pause = next_pause(pause, elapsed, changed is not None)
        run = changed or run
        progress.show(run)
    return run


def tell_how_to_return(workflow_id: int, page: str) -> str:
    """What somebody who goes away has to know."""
    return (
        f"detached from workflow {workflow_id}, which goes on without this script. "
        f"Come back with `jobmon workflow wait {workflow_id}` or at {page} ; "
        f"end it with `jobmon workflow stop {workflow_id} --drain` (or `--kill`)."
    )


def newest_failures(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest error of each job that failed for good; `errors` come newest first."""
    newest: dict[int, dict[str, Any]] = {}
    for error in errors:
        if error.get("job_status") == "F":
            newest.setdefault(error["job_id"], error)
    return list(newest.values())


def describe_failure(error: dict[str, Any]) -> str:
    """A failed job with the last lines that it wrote to stderr."""
    lines = [line for line in str(error.get("stderr_tail") or "").splitlines() if line.strip()][-LINES_TOLD:]
    why = error.get("description") or error.get("reason") or "no reason known"
    head = f"{error['job_name']} (job {error['job_id']}) failed: {why}"
    return "\n".join([head, *(f"    {line}" for line in lines)])


def tell_failures(client: Client, workflow_id: int, failed_count: int) -> None:
    """Tell of at most ten failed jobs, and where the others are."""
    failures = newest_failures(client.list_errors(workflow_id, limit=200))[:JOBS_TOLD]
    for error in failures:
        tell(describe_failure(error))
    if failed_count > len(failures):
        tell(f"{failed_count - len(failures)} more failed; see all with `jobmon workflow errors {workflow_id}`.")


def tell_outcome(client: Client, run: dict[str, Any]) -> bool:
    """Say how the run ended; True if all jobs are done."""
    workflow_id = run["workflow_id"]
    if run["status"] == "D":
        tell(f"workflow {workflow_id} is done: {describe_counts(run)}.")
        return True
    tell_failures(client, workflow_id, (run.get("counts") or {}).get("F", 0))
    word = "was stopped" if run["status"] == "S" else "ended with errors"
    tell(
        f"workflow {workflow_id} {word}: {describe_counts(run)}. See {run['page']} ; run the script again, or "
        f"`jobmon workflow resume {workflow_id}`: what is done is not run again."
    )
    return False
