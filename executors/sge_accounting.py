"""Grid Engine's accounting as pure functions: lines of the accounting file, or of qacct, in; records out."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

from executors.base import ExitInfo, Usage

_COLUMNS = (
    "qname hostname group owner job_name job_number account priority submission_time start_time end_time failed"
    " exit_status ru_wallclock ru_utime ru_stime ru_maxrss ru_ixrss ru_ismrss ru_idrss ru_isrss ru_minflt ru_majflt"
    " ru_nswap ru_inblock ru_oublock ru_msgsnd ru_msgrcv ru_nsignals ru_nvcsw ru_nivcsw project department granted_pe"
    " slots task_number cpu mem io category iow pe_taskid maxvmem arid ar_submission_time"
)
_FIELDS = _COLUMNS.split()
_COLUMN = {name: position for position, name in enumerate(_FIELDS)}
_RESCHEDULED = 25
_LIMIT = 37
_FAILED_WORDS = {
    26: "the output file could not be opened",
    27: "the shell could not be started",
    28: "the working directory could not be entered",
    30: "the job reported an application error",
    37: "a limit was enforced (h_rt, h_cpu or h_vmem)",
}
# What goes wrong between the batch system and the node, before or after the job itself.
_NODE_FAILURES = frozenset({*range(1, 8), *range(9, 14), *range(15, 22), 29, *range(31, 37), 38})
_NEAR_LIMIT = 0.95
_TIME_UNITS = (1, 60, 3600, 86400)
_SIZE_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True, slots=True)
class Record:
    """One line of accounting: an attempt of one task that the batch system considers over."""

    batch: str
    job: str
    task: int | None
    owner: str
    submitted_at: float
    failed: int
    info: ExitInfo

    @property
    def name(self) -> str:
        return self.batch if self.task is None else f"{self.batch}.{self.task}"

    @property
    def is_final(self) -> bool:
        """A job that was put back into the queue has a record too, but not its last."""
        return self.failed != _RESCHEDULED


def read_limits(category: str) -> dict[str, float]:
    """`-l h_rt=60,h_vmem=2G -pe smp 2` → seconds and bytes of those limits that can be read."""
    limits: dict[str, float] = {}
    for name, value in re.findall(r"\b(h_rt|h_vmem)=([^,\s]+)", category):
        try:
            limits[name] = _read_seconds(value) if name == "h_rt" else _read_bytes(value)
        except (ValueError, KeyError):
            continue
    return limits


def _read_seconds(text: str) -> float:
    return sum(float(part or 0) * unit for part, unit in zip(reversed(text.split(":")), _TIME_UNITS, strict=False))


def _read_bytes(text: str) -> float:
    number = text.rstrip("kmgtKMGT")
    return float(number) * _SIZE_UNITS[text[len(number) :]]


def read_record(line: str) -> Record | None:
    """One line of the accounting file; None for comments and what is not a whole record."""
    fields = line.rstrip("\n").split(":")
    if line.startswith("#") or not line.endswith("\n") or len(fields) < len(_FIELDS):
        return None
    values = {name: fields[position] for name, position in _COLUMN.items()}
    try:
        return _build_record(values)
    except (ValueError, OverflowError):
        return None


def _build_record(values: dict[str, str]) -> Record:
    number = {name: float(values[name]) for name in ("failed", "exit_status", "start_time", "end_time", "ru_wallclock")}
    number |= {name: float(values[name]) for name in ("cpu", "io", "maxvmem", "ru_maxrss", "slots")}
    task = int(values["task_number"])
    return Record(
        batch=values["job_name"],
        job=str(int(values["job_number"])),
        task=task or None,
        owner=values["owner"],
        submitted_at=float(values["submission_time"]),
        failed=int(number["failed"]),
        info=_build_exit_info(number, values["hostname"], read_limits(values["category"])),
    )


def _build_exit_info(number: dict[str, float], host: str, limits: dict[str, float]) -> ExitInfo:
    failed, status = int(number["failed"]), int(number["exit_status"])
    return ExitInfo(
        exit_code=status,
        signal=status - 128 if 128 < status <= 192 else None,
        over=_find_limit(number, limits),
        node_failed=failed in _NODE_FAILURES,
        host=host,
        started_at=number["start_time"] or None,
        ended_at=number["end_time"] or None,
        usage=Usage(
            wallclock=number["ru_wallclock"],
            cpu=number["cpu"],
            # Too short to be sampled: then the largest process counts.
            maxvmem=int(number["maxvmem"] or number["ru_maxrss"] * 1024),
            io=int(number["io"] * 2**30),
        ),
        words=_describe(failed, status, number),
    )


def _find_limit(number: dict[str, float], limits: dict[str, float]) -> str | None:
    """Grid Engine has one code for every limit, and for some none: what was used tells. h_vmem counts per slot."""
    if int(number["failed"]) not in (_LIMIT, 100):
        return None
    if "h_rt" in limits and number["exit_status"] > 128 and number["ru_wallclock"] >= limits["h_rt"]:
        return "runtime"
    memory = limits.get("h_vmem", 0) * max(1, number["slots"])
    if memory and number["maxvmem"] >= _NEAR_LIMIT * memory:
        return "memory"
    return None


def _describe(failed: int, status: int, number: dict[str, float]) -> str:
    if failed == 0 and status == 0 and not number["ru_wallclock"] and not number["ru_maxrss"]:
        return "nothing was measured: it may have been deleted by force"
    if failed == 0:
        return ""
    words = _FAILED_WORDS.get(failed, "")
    return f"Grid Engine's code {failed}" + (f": {words}" if words else "")


def read_qacct(text: str) -> list[Record]:
    """The records of `qacct -j`: blocks of `name   value` between lines of `=`; times printed in UTC."""
    blocks = re.split(r"^=+$", text, flags=re.MULTILINE)[1:]
    return [record for block in blocks if (record := _read_qacct_block(block))]


def _read_qacct_block(block: str) -> Record | None:
    items = dict(line.split(None, 1) for line in block.strip().splitlines() if len(line.split(None, 1)) == 2)
    try:
        task = items.get("taskid", "undefined").strip()
        values = {
            **{name: items[name].strip() for name in ("hostname", "owner", "slots", "category")},
            "job_name": items["jobname"].strip(),
            "job_number": items["jobnumber"].strip(),
            "task_number": task if task.isdecimal() else "0",
            "failed": items["failed"].split()[0],
            "exit_status": items["exit_status"].split()[0],
            "submission_time": str(_read_qacct_time(items["qsub_time"])),
            "start_time": str(_read_qacct_time(items["start_time"])),
            "end_time": str(_read_qacct_time(items["end_time"])),
            **{name: items[name].strip().rstrip("s") for name in ("ru_wallclock", "cpu")},
            "maxvmem": str(_read_qacct_size(items["maxvmem"])),
            "ru_maxrss": str(_read_qacct_size(items["ru_maxrss"])),  # it takes KiB for bytes, as the file has them
            "io": str(_read_qacct_size(items["io"]) / 2**30),
        }
        return _build_record(values)
    except (KeyError, ValueError, IndexError, OverflowError):
        return None


def _read_qacct_time(text: str) -> float:
    try:
        return float(calendar.timegm(time.strptime(text.strip(), "%a %b %d %H:%M:%S %Y")))
    except ValueError:
        return 0.0  # "-/-": never


def _read_qacct_size(text: str) -> float:
    """`3.137MB` → bytes."""
    match = re.fullmatch(r"([\d.]+)([KMGTP]?)B?s?", text.strip())
    if match is None:
        raise ValueError(text)
    return float(match[1]) * float(1 << 10 * " KMGTP".index(match[2] or " "))


def keep_last(records: Iterable[Record]) -> dict[str, Record]:
    """The last record of each name: one attempt of ours may leave several (rescheduled, error state)."""
    return {record.name: record for record in records}
