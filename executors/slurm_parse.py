"""Slurm's commands as pure functions: arguments in, answers out. Checked on Slurm 22.05.

Whatever cannot be read raises ExecutorUnavailable with the raw text: an answer that we do not understand is not an
answer, and an error is never an empty listing.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Sequence
from pathlib import Path

from executors.base import ExecutorUnavailable, JobSpec, Phase, Resources, SubmitRejected
from executors.batch import Row, check_host
from executors.shell import Completed
from executors.slurm_config import SlurmConfig

_SUBMITTED = re.compile(r"([0-9]+)(?:;[A-Za-z0-9_.-]+)?")
_RAW_LIMIT = 500

# A refusal that a later try may escape comes first: limits on what a user may have at once, and an excluded node that has
# gone from the cluster since we asked for its name, which is no fault of the job.
_BUSY = re.compile(
    r"submit limit|MaxSubmitJob|temporarily|try again|Socket timed out|Unable to contact|Invalid node name",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"Invalid (?:\w+ )*(?:partition|account|qos|--\w|job array|feature|generic resource|wckey|license)"
    r"|can not be satisfied|Requested (?:node configuration|time limit|partition configuration)|[Pp]ermission denied"
    r"|unrecognized option|invalid (?:option|partition)|Invalid node|More processors requested"
    r"|violates accounting/QOS policy"
)
_GONE = re.compile(r"Invalid job id|already completing or completed|Job/step already|does not exist")

_PENDING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED"})
_RUNNING = frozenset({"RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "RESIZING"})
_HELD = {"SUSPENDED": "suspended", "STOPPED": "stopped", "REQUEUE_HOLD": "requeued and held", "RESV_DEL_HOLD": "held"}
ENDED = frozenset(
    {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE", "PREEMPTED"}
    | {"REVOKED"}
)
_HOLDS = ("JobHeldUser", "JobHeldAdmin", "held")
# Waiting for these never ends by itself.
_STUCK = frozenset(
    {"PartitionConfig", "BadConstraints", "PartitionNodeLimit", "PartitionTimeLimit", "AccountNotAllowed"}
    | {"InvalidAccount", "InvalidQOS", "DependencyNeverSatisfied", "QOSNotAllowed"}
)

LISTING_FORMAT = "%F|%K|%j|%u|%T|%S|%V|%N|%r"
_LISTING_HEADER = "ARRAY_JOB_ID|ARRAY_TASK_ID|NAME|USER|STATE|START_TIME|SUBMIT_TIME|NODELIST|REASON"


def unreadable(command: str, answer: Completed) -> ExecutorUnavailable:
    raw = " ".join((answer.stderr.strip() or answer.stdout.strip() or "no text").split())
    return ExecutorUnavailable(f"{command} answered with code {answer.code}: {raw[:_RAW_LIMIT]}")


def read_time(text: str) -> float | None:
    """`2026-11-22T12:48:42`, printed in UTC; None for `Unknown` and `N/A`."""
    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        return None


def format_memory(gigabytes: float) -> str:
    """Mebibytes, rounded up: `M` is 1024 * 1024 to Slurm."""
    return f"{max(1, -(-int(gigabytes * 10**9) // 2**20))}M"


def build_submission(config: SlurmConfig, specs: Sequence[JobSpec], wrapper: Path, target: Path) -> list[str]:
    """The arguments of sbatch for one batch. Nothing of the user is in them but checked names, numbers and listed
    options; the job finds the submit user's own login environment, never the server's."""
    first = specs[0]
    argv = [str(config.bin_dir / "sbatch"), "--parsable", "--export=NONE", "--no-requeue", f"--job-name={first.batch}"]
    argv += ["--output=/dev/null", "--error=/dev/null", "--input=/dev/null", "--chdir=/"]
    return [*argv, *build_options(config, specs), str(wrapper), str(target)]


def build_options(config: SlurmConfig, specs: Sequence[JobSpec]) -> list[str]:
    """The part that differs from batch to batch, apart from its name."""
    argv = _build_request(config, specs[0].resources)
    if specs[0].index:
        limit = f"%{config.concurrent_tasks}" if config.concurrent_tasks else ""
        argv.append(f"--array=1-{max(spec.index for spec in specs)}{limit}")
    return argv


def read_nodes(answer: Completed) -> dict[str, str]:
    """What nodes are called, in short → their names to Slurm, of `sinfo -N -o '%N|%n'`. Raises ExecutorUnavailable."""
    pairs = [line.split("|") for line in answer.stdout.split()]
    if answer.code != 0 or not pairs or any(len(pair) != 2 for pair in pairs):
        raise unreadable("sinfo", answer)
    return {called.split(".")[0]: name for name, host in pairs for called in (host, name)}


def _build_request(config: SlurmConfig, resources: Resources) -> list[str]:
    argv = ["--nodes=1", "--ntasks=1", f"--cpus-per-task={int(resources.slots)}"]
    project, queue = resources.project or config.default_project, resources.queue or config.default_queue
    argv += [f"--account={project}"] if project else []
    argv += [f"--partition={queue}"] if queue else []
    argv += [f"--mem={format_memory(resources.mem_free)}"] if resources.mem_free > 0 else []
    argv += [f"--time={-(-int(resources.max_runtime) // 60)}"] if resources.max_runtime is not None else []
    excluded = ",".join(check_host(host) for host in resources.excluded_hosts)
    argv += [f"--exclude={excluded}"] if excluded else []
    argv += [f"--{option}={value}" for option, value in resources.extra]
    return argv


def read_submission(answer: Completed) -> str:
    """The job's number. Raises SubmitRejected with sbatch's own words, or ExecutorUnavailable."""
    match = _SUBMITTED.fullmatch(answer.stdout.strip())
    if answer.code == 0 and match:
        return match[1]
    words = answer.stderr.strip()
    if answer.code != 0 and not answer.stdout.strip() and _REFUSED.search(words) and not _BUSY.search(words):
        raise SubmitRejected(words)
    raise unreadable("sbatch", answer)


def read_cancellation(answer: Completed) -> None:
    """scancel complains about jobs that are gone; what it says counts, line by line."""
    lines = [line for line in answer.stderr.splitlines() if line.strip()]
    if any(not _GONE.search(line) for line in lines) or (answer.code != 0 and not lines):
        raise unreadable("scancel", answer)


def read_phase(state: str, reason: str) -> tuple[Phase, str]:
    """Phase and message; what is not known stays unknown."""
    words = "" if reason in ("None", "") else reason
    if state in _HELD:
        return Phase.HELD, words or _HELD[state]
    if state == "SPECIAL_EXIT" or (state in _PENDING and reason in _STUCK):
        return Phase.STUCK, words or state
    if state in _PENDING:
        return (Phase.HELD if any(hold in reason for hold in _HOLDS) else Phase.PENDING), words
    if state in _RUNNING:
        return Phase.RUNNING, words
    return Phase.UNKNOWN, f"state {state} {words}".strip()


def read_listing(answer: Completed) -> list[Row]:
    """Every task of `squeue -r`. Its header must be there: without one, nothing was listed at all."""
    lines = answer.stdout.splitlines()
    if answer.code != 0 or lines[:1] != [_LISTING_HEADER]:
        raise unreadable("squeue", answer)
    return [row for line in lines[1:] if line and (row := _read_row(line))]


def _read_row(line: str) -> Row | None:
    fields = line.split("|", 8)
    if len(fields) < 9 or not fields[0].isdecimal():
        raise ExecutorUnavailable(f"squeue's listing cannot be read: {line[:_RAW_LIMIT]!r}")
    job, task, name, owner, state, start, submission, host, reason = fields
    if state in ENDED:
        return None
    if task != "N/A" and not task.isdecimal():
        raise ExecutorUnavailable(f"squeue's listing has a task {task!r}, which cannot be read")
    phase, message = read_phase(state, reason)
    since = read_time(start) if phase is Phase.RUNNING else read_time(submission)
    member = None if task == "N/A" else int(task)
    return Row(name, job, member, owner, phase, host=host or None, message=message, since=since)
