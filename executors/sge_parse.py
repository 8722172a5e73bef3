"""Grid Engine's commands as pure functions: arguments in, answers out. Checked on Son of Grid Engine 8.1.9.

Whatever cannot be read raises ExecutorUnavailable with the raw text: an answer that we do not understand is not an
answer, and an error is never an empty listing.
"""

from __future__ import annotations

import calendar
import re
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from pathlib import Path

from executors.base import ExecutorUnavailable, JobSpec, Phase, Resources, SubmitRejected
from executors.batch import Row, check_host
from executors.sge_config import SgeConfig
from executors.sge_reasons import SchedulerInfo
from executors.shell import Completed

MAX_TASK = 10_000_000
_SUBMITTED = re.compile(r"([0-9]+)(?:\.[0-9]+-[0-9]+:[0-9]+)?")
_TASKS = re.compile(r"([0-9]+)(?:-([0-9]+)(?::([0-9]+))?)?")
_LETTERS = frozenset("rtqwhsSTEdRP")
_SUSPENDED = {"s": "suspended", "S": "suspended with its queue", "T": "suspended by the queue's load threshold"}
_RAW_LIMIT = 500

# A refusal that a later try may escape comes first: limits on the number of jobs.
_BUSY = re.compile(r"jobs are allowed per user|allowed in the cluster|try again|max_u_jobs|max_jobs", re.IGNORECASE)
_REFUSED = re.compile(
    r"job rejected|job was rejected|was rejected because|unknown resource|unknown queue|no suitable queues"
    r"|denied:|is not a \w+ value|is not a valid|does not exist|invalid option|argument to -|not requestable"
    r"|more than [0-9]+ tasks|must not contain|no access to project|verification:|has no permission"
)
_UNREACHABLE = re.compile(
    r"commlib error|unable to (send message to|contact|connect)|got (send|read|select) error"
    r"|answer list"
)
_GONE = re.compile(
    r"(does not exist|has registered the job|has deleted job|have deleted job|job-array task|already in deletion)"
)


def unreadable(command: str, answer: Completed) -> ExecutorUnavailable:
    raw = " ".join((answer.stderr.strip() or answer.stdout.strip() or "no text").split())
    return ExecutorUnavailable(f"{command} answered with code {answer.code}: {raw[:_RAW_LIMIT]}")


# qsub


def format_memory(gigabytes: float) -> str:
    """Mebibytes, rounded up: `M` is 1024 * 1024 to Grid Engine."""
    return f"{max(1, -(-int(gigabytes * 10**9) // 2**20))}M"


def build_submission(config: SgeConfig, specs: Sequence[JobSpec], wrapper: Path, target: Path) -> list[str]:
    """The arguments of qsub for one batch. `-clear` undoes the site's defaults; `-b y -shell n` hands our wrapper over
    without a second parsing on the node; nothing of the user is in it but checked names, numbers and listed options."""
    first = specs[0]
    argv = [str(config.bin_dir / "qsub"), "-clear", "-terse", "-b", "y", "-shell", "n", "-r", "n", "-m", "n"]
    argv += ["-wd", "/", "-N", first.batch, "-ac", f"jobmon={first.batch}", "-o", "/dev/null", "-e", "/dev/null"]
    return [*argv, *build_options(config, specs), "/bin/sh", str(wrapper), str(target)]


def build_options(config: SgeConfig, specs: Sequence[JobSpec]) -> list[str]:
    """The part that differs from batch to batch, apart from its name."""
    argv = ["-w", "e"] if config.verify else []
    argv += _build_request(config, specs[0].resources)
    if specs[0].index:
        argv += ["-t", f"1-{max(spec.index for spec in specs)}"]
        argv += ["-tc", str(config.concurrent_tasks)] if config.concurrent_tasks else []
    return argv


def _build_request(config: SgeConfig, resources: Resources) -> list[str]:
    argv: list[str] = []
    project, queue = resources.project or config.default_project, resources.queue or config.default_queue
    argv += ["-P", project] if project else []
    argv += ["-q", queue] if queue else []
    argv += ["-pe", config.parallel_environment or "", str(resources.slots)] if resources.slots > 1 else []
    share = resources.slots if config.memory_is_per_slot else 1
    for name in config.memory_resources if resources.mem_free > 0 else ():
        argv += ["-l", f"{name}={format_memory(resources.mem_free / share)}"]
    if resources.max_runtime is not None:
        for name in config.runtime_resources:
            argv += ["-l", f"{name}={int(resources.max_runtime)}"]
    if resources.excluded_hosts:
        argv += ["-l", f"hostname=!({'|'.join(map(check_host, resources.excluded_hosts))})"]
    for option, value in resources.extra:
        argv += [f"-{option}", value]
    return argv


def read_submission(answer: Completed) -> str:
    """The job's number. Raises SubmitRejected with qsub's own words, or ExecutorUnavailable."""
    match = _SUBMITTED.fullmatch(answer.stdout.strip())
    if answer.code == 0 and match:
        return match[1]
    words = answer.stderr.strip()
    is_refusal = answer.code != 0 and not answer.stdout.strip() and not _UNREACHABLE.search(words)
    if is_refusal and _REFUSED.search(words) and not _BUSY.search(words):
        raise SubmitRejected(words.removesuffix("Exiting.").strip())
    raise unreadable("qsub", answer)


def read_cancellation(answer: Completed) -> None:
    """qdel answers 1 when one job of many is gone; what it says counts, line by line."""
    lines = [line for line in (answer.stdout + "\n" + answer.stderr).splitlines() if line.strip()]
    if any(not _GONE.search(line) for line in lines) or (answer.code != 0 and not lines):
        raise unreadable("qdel", answer)


# qstat


def expand_tasks(text: str | None) -> Iterator[int | None]:
    """`1-4:1,8,9,11-19:2` → 1 2 3 4 8 9 11 13 … ; not an array → None, once. Raises ValueError."""
    if not text:
        yield None
        return
    for part in text.split(","):
        match = _TASKS.fullmatch(part)
        if match is None:
            raise ValueError(f"tasks {text!r}")
        low, high, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if step < 1 or high > MAX_TASK:
            raise ValueError(f"tasks {text!r}")
        yield from range(low, high + 1, step)


def read_phase(letters: str) -> tuple[Phase, str]:
    """Phase and message. Letters combine, so each is looked for; what is not known stays unknown."""
    if not letters or set(letters) - _LETTERS:
        return Phase.UNKNOWN, f"state {letters}"
    if "E" in letters:
        return Phase.STUCK, f"error state {letters}"
    for letter, words in _SUSPENDED.items():
        if letter in letters:
            return Phase.HELD, words
    message = "its deletion has been asked for" if "d" in letters else ""
    if "r" in letters:
        return Phase.RUNNING, message
    if "h" in letters:
        return Phase.HELD, message or "held"
    return Phase.PENDING, message


def read_time(text: str | None) -> float | None:
    """`2026-11-22T12:23:52`, printed in UTC."""
    try:
        return float(calendar.timegm(time.strptime((text or "")[:19], "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        return None


def _parse_xml(answer: Completed, roots: Sequence[str]) -> ElementTree.Element:
    """The document, if it has one of these roots: qstat prints errors as other documents with code 0."""
    try:
        root = ElementTree.fromstring(answer.stdout)  # noqa: S314 - the batch system's own words
    except ElementTree.ParseError:
        raise unreadable("qstat", answer) from None
    if answer.code != 0 or root.tag not in roots:
        raise unreadable("qstat", answer)
    return root


def read_listing(answer: Completed) -> list[Row]:
    """Every task of `qstat -xml`. Raises ExecutorUnavailable."""
    root = _parse_xml(answer, ["job_info"])
    if root.find("queue_info") is None or root.find("job_info") is None:
        raise unreadable("qstat", answer)
    try:
        return [row for job in root.iter("job_list") for row in _read_job(job)]
    except ValueError as error:
        raise ExecutorUnavailable(f"qstat's listing cannot be read: {error}") from error


def _read_job(job: ElementTree.Element) -> Iterator[Row]:
    letters = job.findtext("state") or ""
    if letters == "z":  # ended; listed for a while
        return
    number = job.findtext("JB_job_number") or ""
    if not number.isdecimal():
        raise ValueError(f"job number {number!r}")
    phase, message = read_phase(letters)
    name = (job.findtext("JB_name") or "").replace("%lt;", "<")  # qstat's own bug
    since = read_time(job.findtext("JAT_start_time") or job.findtext("JB_submission_time"))
    host = (job.findtext("queue_name") or "").partition("@")[2] or None
    for task in expand_tasks(job.findtext("tasks")):
        owner = job.findtext("JB_owner") or ""
        yield Row(name, number, task, owner, phase, host=host, message=message, since=since)


def read_error_reasons(answer: Completed) -> dict[tuple[str, int], str]:
    """(job, task; 1 without an array) → why it is in the error state, of `qstat -xml -j`."""
    root = _parse_xml(answer, ["detailed_job_info", "unknown_jobs"])
    reasons: dict[tuple[str, int], str] = {}
    for job in root.iterfind("djob_info/element"):
        number = job.findtext("JB_job_number") or ""
        for task in job.iterfind("JB_ja_tasks/ulong_sublist"):
            messages = [message.text or "" for message in task.iter("QIM_message")]
            if messages:
                reasons[number, int(task.findtext("JAT_task_number") or 1)] = " / ".join(messages).replace("%lt;", "<")
    return reasons


def read_scheduler_info(answer: Completed) -> SchedulerInfo:
    """What the scheduler says of the jobs of `qstat -xml -j`, and of all jobs. Raises ExecutorUnavailable."""
    root = _parse_xml(answer, ["detailed_job_info", "message", "unknown_jobs"])
    info = SchedulerInfo()
    for one in root.iterfind(".//SME_message_list/element"):
        for number in one.iterfind("MES_job_number_list//ULNG_value"):
            info.own.setdefault(number.text or "", []).append(_read_message(one))
    info.of_all.extend(map(_read_message, root.iterfind(".//SME_global_message_list/element")))
    for job in root.iterfind("djob_info/element"):
        names = (name.text or "" for name in job.iterfind("JB_hard_queue_list//QR_name"))
        info.queues[job.findtext("JB_job_number") or ""] = [name for name in names if name]
    return info


def _read_message(element: ElementTree.Element) -> str:
    return " ".join((element.findtext("MES_message") or "").replace("%lt;", "<").split())
