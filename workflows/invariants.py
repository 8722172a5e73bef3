"""What must hold in the database at every moment, as queries that change nothing. `manage.py fsck` shows the result.

Each check answers (what it found, about which object); none of them loads a whole table into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workflows import invariant_checks as checks
from workflows import invariant_files, invariant_ledger
from workflows import invariant_history as history
from workflows.invariant_checks import Found

MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class Violation:
    """`subject` names the object, `found` says what is wrong with it."""

    subject: str
    found: str


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule: its name, what it says, what a person does when it is broken, and the queries that look."""

    name: str
    says: str
    remedy: str
    checks: tuple[Callable[[], Found], ...]

    def violations(self) -> Iterator[Violation]:
        for check in self.checks:
            for subject, found in check():
                yield Violation(subject, found)


@dataclass(slots=True)
class Finding:
    """One broken invariant: how often, and the first hundred cases."""

    invariant: Invariant
    count: int = 0
    violations: list[Violation] = field(default_factory=list)


def check_all(names: Iterable[str] | None = None) -> list[Finding]:
    """Every invariant of the database that is broken (of these, if names are given)."""
    return find_broken(INVARIANTS if names is None else [INVARIANTS_BY_NAME[name] for name in names])


def find_broken(chosen: Iterable[Invariant]) -> list[Finding]:
    return [finding for invariant in chosen if (finding := _check(invariant)).count]


def _check(invariant: Invariant) -> Finding:
    finding = Finding(invariant)
    for violation in invariant.violations():
        finding.count += 1
        if finding.count <= MOST_LISTED:
            finding.violations.append(violation)
    return finding


INVARIANTS = [
    Invariant(
        "done-once",
        "A job is D if and only if exactly one attempt of it is D, or a person marked it done.",
        "Look at the attempts on the job's page; if its output is there, mark the job done, else run it again.",
        (checks.done_without_success, checks.success_without_done, checks.several_successes),
    ),
    Invariant(
        "one-live",
        "A job has at most one live attempt, a workflow at most one live run.",
        "Stop the workflow with kill and wait until it is over; check that the unique indexes of the schema exist.",
        (checks.several_live, checks.several_live_runs),
    ),
    Invariant(
        "job-follows-instance",
        "A job is I or R if and only if it has a live attempt, and then follows it.",
        "Stop the workflow with kill, wait until it is over and resume it; report the job if it stays.",
        (checks.job_against_instance, checks.job_without_instance),
    ),
    Invariant(
        "order",
        "No job starts or is done before all its upstreams are done.",
        "Check the job's output; if it was made from incomplete input, run the job again.",
        (checks.done_before_upstream, checks.started_before_upstream),
    ),
    Invariant(
        "readiness",
        "Stored counts agree with the rows that they count.",
        "Drain the workflow, since these counts decide what may start, and report it with the server's log; if you"
        " cannot wait, submit the graph again with other workflow_args.",
        (checks.upstreams_left, checks.group_counts, checks.dag_sizes),
    ),
    Invariant(
        "attempts",
        "No job uses more attempts than it may, and each that it used is on record.",
        "Look at the attempts on the job's page; resuming the workflow gives every job its attempts back.",
        (checks.too_many_attempts, checks.unproven_attempts),
    ),
    Invariant(
        "closed",
        "What is over has an end time and nothing live in it; a failed attempt says why.",
        "Resume the workflow hot, so that a run takes care of what is left, and let it end.",
        (checks.left_behind, checks.ended_iff_over, checks.workflow_against_run, checks.done_against_jobs),
    ),
    Invariant(
        "chain",
        "The status log of an attempt begins with I, only rises and ends with the attempt's status.",
        "The timeline of this attempt is not to be trusted; its status is. Report what the server's log says of it.",
        (checks.status_log, checks.log_against_status),
    ),
    Invariant(
        "names",
        "Names of attempts are unique, and so are the executor's ids among the living.",
        "Stop the workflow with kill; no job may be cancelled by its id by hand until this is gone.",
        (checks.equal_names, checks.equal_executor_ids),
    ),
    Invariant(
        "fence",
        "Attempts are made under a lease, each lease raises the run's fence, and what is over is not held.",
        "Restart the workers; if it comes back, somebody writes to the database beside Jobmon.",
        (history.unfenced_work, history.held_without_fence),
    ),
    Invariant(
        "limits",
        "Replayed from the log, never more attempts were live at once than a limit allowed.",
        "Check that every worker runs the same release; what ran too much has run, nothing needs to be repeated.",
        (history.exceeded_limits,),
    ),
    Invariant(
        "audit",
        "What a person brought about has one row in the audit log.",
        "Ask who has write access to the database: the log is not complete.",
        (history.unaudited_acts, history.doubly_audited_starts),
    ),
]
INVARIANTS_BY_NAME = {invariant.name: invariant for invariant in INVARIANTS}
# Promises that the database alone cannot prove: why not.
NOT_CHECKED = {
    "no-zombie": "needs a listing of each executor",
    "no-orphan": "needs a listing of each executor",
    "one-start": "needs the ledger of jobs that keep one (--ledger)",
    "one-success": "needs the ledger of jobs that keep one (--ledger)",
}


def spool_invariant(root: Path) -> Invariant:
    """What needs the files of the attempts."""
    return Invariant(
        "spool",
        "The files of an attempt agree with its row, are its owner's alone, and nothing half-written stays.",
        "Keep the named files and report them; temporaries go with `fsck --repair spool`.",
        (lambda: invariant_files.check_spool(root),),
    )


def ledger_invariants(paths: Sequence[Path]) -> list[Invariant]:
    """What needs the jobs' own account. Raises OSError and ValueError for a ledger that cannot be read."""
    ledgers = [invariant_ledger.read_ledger(path) for path in paths]
    remedy = "Keep the ledger and the server's logs and report them: this must not happen."
    return [
        Invariant(
            "one-start",
            "No attempt started twice, and none that was given up started at all.",
            remedy,
            tuple(_bind(invariant_ledger.check_starts, starts) for starts, _ in ledgers),
        ),
        Invariant(
            "one-success",
            "Each job succeeded at most once, and once if it is done.",
            remedy,
            tuple(_bind(invariant_ledger.check_successes, starts, good) for starts, good in ledgers),
        ),
    ]


def _bind(check: Callable[..., Found], *arguments: object) -> Callable[[], Found]:
    return lambda: check(*arguments)
