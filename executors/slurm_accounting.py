"""How jobs ended, as sacct or scontrol tell it, as pure functions: text in, records out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from executors.base import ExecutorUnavailable, ExitInfo, Usage
from executors.shell import Completed
from executors.slurm_parse import ENDED, read_time, unreadable

SACCT_FIELDS = (
    "JobID,JobName,User,State,ExitCode,Submit,Start,End,ElapsedRaw,TotalCPU,MaxRSS,MaxDiskRead,MaxDiskWrite,NodeList"
)
_JOB = re.compile(r"([0-9]+)(?:_([0-9]+))?(?:\.(.+))?")
_PAIR = re.compile(r"(?:^| )([A-Za-z][A-Za-z/:_]*)=(\S*)")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_RUNTIME = frozenset({"TIMEOUT", "DEADLINE"})
_NODE_FAILURES = frozenset({"NODE_FAIL", "BOOT_FAIL"})


@dataclass(frozen=True, slots=True)
class Record:
    """The ending of one job or task."""

    batch: str
    job: str
    task: int | None
    owner: str
    submitted_at: float | None
    info: ExitInfo

    @property
    def name(self) -> str:
        return self.batch if self.task is None else f"{self.batch}.{self.task}"


def is_disabled(answer: Completed) -> bool:
    return "accounting storage is disabled" in answer.stderr


def read_sacct(answer: Completed) -> list[Record]:
    """The endings in `sacct -P -D`; jobs that have not ended are left out. Raises ExecutorUnavailable."""
    lines = answer.stdout.splitlines()
    names = SACCT_FIELDS.split(",")
    if answer.code != 0 or lines[:1] != ["|".join(names)]:
        raise unreadable("sacct", answer)
    records: list[Record] = []
    for line in lines[1:]:
        fields = line.split("|")
        match = _JOB.fullmatch(fields[0])
        if len(fields) != len(names):
            raise ExecutorUnavailable(f"sacct's answer cannot be read: {line[:500]!r}")
        values = dict(zip(names, fields, strict=True))
        if match is None or (match[3] is None and values["State"].split(" ")[0] not in ENDED):
            continue  # the tasks of an array that still wait, or a job that still runs
        if match[3] is None:
            records.append(_read_job(match[1], match[2], values))
        elif records and (records[-1].job, records[-1].task) == (match[1], int(match[2]) if match[2] else None):
            records[-1] = _add_step(records[-1], values)
    return records


def _read_job(job: str, task: str | None, values: dict[str, str]) -> Record:
    state, _, _ = values["State"].partition(" ")
    usage = Usage(wallclock=_number(values["ElapsedRaw"]), cpu=read_duration(values["TotalCPU"]))
    info = _build_info(state, values["State"], values["ExitCode"], values["Start"], values["End"], values["NodeList"])
    return Record(
        batch=values["JobName"],
        job=job,
        task=int(task) if task else None,
        owner=values["User"],
        submitted_at=read_time(values["Submit"]),
        info=replace(info, usage=usage),
    )


def _build_info(state: str, words: str, exit_code: str, start: str, end: str, host: str) -> ExitInfo:
    code, _, signal = exit_code.partition(":")
    number = int(signal) if signal.isdecimal() else 0
    return ExitInfo(
        exit_code=int(code) if code.isdecimal() else None,
        signal=number if 0 < number <= 64 else None,  # 0:125 is how it writes "out of memory", 0:53 "no output file"
        over="runtime" if state in _RUNTIME else "memory" if state == "OUT_OF_MEMORY" else None,
        node_failed=state in _NODE_FAILURES,
        host=host if host and host != "None assigned" else None,
        started_at=read_time(start),
        ended_at=read_time(end),
        words="" if state == "COMPLETED" else words,
    )


def _add_step(record: Record, values: dict[str, str]) -> Record:
    """The job's line has no memory and no I/O; its steps have. Where sampling enforces the memory limit, the job is
    "failed by signal 9" and only its step says that the system itself ended it, over what was asked for."""
    memory, usage = read_size(values["MaxRSS"]), record.info.usage
    parts = [size for name in ("MaxDiskRead", "MaxDiskWrite") if (size := read_size(values[name])) is not None]
    merged = replace(
        usage,
        maxvmem=max((size for size in (usage.maxvmem, memory) if size is not None), default=None),
        io=(usage.io or 0) + sum(parts) if parts else usage.io,
    )
    info = replace(record.info, usage=merged)
    if info.over is None and values["State"].startswith("OUT_OF_MEMORY"):
        info = replace(info, over="memory")
    if info.over is None and info.signal == 9 and values["State"] == "CANCELLED by 0":
        info = replace(info, over="memory")
    return replace(record, info=info)


def read_scontrol(answer: Completed) -> list[Record]:
    """The endings in `scontrol -o show job`. Raises ExecutorUnavailable."""
    if answer.code != 0:
        raise unreadable("scontrol", answer)
    lines = [line for line in answer.stdout.splitlines() if line.strip()]
    if any(not line.startswith(("JobId=", "No jobs")) for line in lines):
        raise unreadable("scontrol", answer)
    return [record for line in lines if (record := _read_scontrol_line(line))]


def _read_scontrol_line(line: str) -> Record | None:
    values = dict(_PAIR.findall(line))
    task = values.get("ArrayTaskId", "")
    if values.get("JobState") not in ENDED or (task and not task.isdecimal()):
        return None
    reason = values.get("Reason", "None")
    words = values["JobState"] if reason == "None" else f"{values['JobState']} ({reason})"
    times = values.get("StartTime", ""), values.get("EndTime", "")
    info = _build_info(values["JobState"], words, values.get("ExitCode", ""), *times, values.get("NodeList", ""))
    return Record(
        batch=values.get("JobName", ""),
        job=values.get("ArrayJobId") or values.get("JobId", ""),
        task=int(task) if task else None,
        owner=values.get("UserId", "").partition("(")[0],
        submitted_at=read_time(values.get("SubmitTime", "")),
        info=replace(info, usage=Usage(wallclock=read_duration(values.get("RunTime", "")))),
    )


def read_duration(text: str) -> float | None:
    """`1-02:03:04`, `02:03:04` or `03:04.567` in seconds."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", text)
    if match is None:
        return None
    days, hours, minutes, seconds = match.groups()
    return int(days or 0) * 86400 + int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)


def read_size(text: str) -> int | None:
    """`2840K` in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGTP]?)", text)
    return None if match is None else int(float(match[1]) * _UNITS[match[2]])


def _number(text: str) -> float | None:
    return float(text) if text.isdecimal() else None


def keep_last(records: Iterable[Record]) -> dict[str, Record]:
    """The last record of each name: a job that was put back into the queue has several."""
    return {record.name: record for record in records}
