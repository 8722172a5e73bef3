"""Pure: from posted text to typed jobs, naming every job that is wrong. No database, no Django."""

from __future__ import annotations

from contextlib import suppress
from difflib import get_close_matches
from typing import Any

import msgspec

from workflows.graph import MAX_JOBS, GraphError, Header, InvalidGraph, JobInput, check_header
from workflows.json_keys import find_doubled_keys, has_more_parts_than

MOST_MENDED = 20_000
MOST_NAMED = 100_000
MOST_PARTS = 4 * MAX_JOBS + 1000  # a job is an object with at most a list and two objects in it
Kind = type[Header] | type[JobInput]


class _Counted(msgspec.Struct, gc=False):
    """Any object, of which nothing is kept: a tenth of what a job takes."""


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_HEADER = msgspec.json.Decoder(Header)
_JOBS = msgspec.json.Decoder(list[JobInput])
_COUNTED_JOBS = msgspec.json.Decoder(list[_Counted])
_RAW_JOBS = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_JOB = msgspec.json.Decoder(JobInput)
_TEXT = msgspec.json.Decoder(str)
_FIELDS: dict[Kind, dict[str, msgspec.json.Decoder[Any]]] = {
    kind: {field.name: msgspec.json.Decoder(field.type) for field in msgspec.structs.fields(kind)}
    for kind in (Header, JobInput)
}
_REQUIRED: dict[Kind, list[str]] = {
    kind: [field.name for field in msgspec.structs.fields(kind) if field.required] for kind in (Header, JobInput)
}


def _locate(error: msgspec.ValidationError, where: str) -> tuple[str, str]:
    """The message and the path of a msgspec error, the path rooted at `where`."""
    message, _, place = str(error).partition(" - at `")
    path = place.rstrip("`").removeprefix("$").lstrip(".")
    joint = "." if where and path and not path.startswith("[") else ""
    return message, f"{where}{joint}{path}"


def split_body(body: bytes) -> tuple[dict[str, msgspec.Raw], msgspec.Raw]:
    """The header's fields and the jobs of a posted workflow, both still as text. Raises InvalidGraph."""
    try:
        fields = _OBJECT.decode(body)
    except _UNREADABLE as error:
        raise InvalidGraph([GraphError("invalid-json", "", f"The body is not a JSON object: {error}")]) from error
    jobs = fields.pop("jobs", None)
    if jobs is None:
        raise InvalidGraph([GraphError("missing-jobs", "jobs", "`jobs` is missing: a list of at least one job.")])
    return fields, jobs


def refuse_too_much(body: bytes, jobs: msgspec.Raw) -> None:
    """Before anything is made of it: what no graph can be. Raises InvalidGraph."""
    if has_more_parts_than(MOST_PARTS, body):
        detail = (
            f"The body holds over {MOST_PARTS:,} objects and lists; {MAX_JOBS:,} jobs, the most possible, have less."
        )
        raise InvalidGraph([GraphError("too-many-jobs", "jobs", detail)])
    try:
        count = len(_COUNTED_JOBS.decode(jobs)) if body.count(b"{") > MAX_JOBS else 0
    except _UNREADABLE:
        return  # no list of objects: said where the jobs are read
    if count > MAX_JOBS:
        raise InvalidGraph([GraphError("too-many-jobs", "jobs", f"{count:,} jobs; at most {MAX_JOBS:,} are possible.")])


def find_doubled(body: bytes) -> list[GraphError]:
    """Keys that come twice in one object: which value is meant cannot be known."""
    return [
        GraphError("duplicate-key", path, f"The key `{path.rpartition('.')[2]}` comes twice in one object.")
        for path in find_doubled_keys(body)
    ]


def parse_header(body: bytes) -> Header:
    """Raises InvalidGraph naming the fields."""
    try:
        header = _HEADER.decode(body)
    except _UNREADABLE as error:
        wrong = _name_bad_fields(body, Header, "")
        raise InvalidGraph(wrong or [GraphError("invalid-field", "", str(error))]) from error
    errors = list(check_header(header))
    if errors:
        raise InvalidGraph(errors)
    return header


def parse_jobs(body: bytes, first: int = 0) -> list[JobInput]:
    """Decode a list of jobs; on failure go through it one by one, so that every wrong job is named."""
    try:
        return _JOBS.decode(body)
    except _UNREADABLE as error:
        raise InvalidGraph(_name_bad_jobs(body, first, error)) from error


def parse_some_jobs(body: bytes) -> list[JobInput]:
    """What can be read of a list that `parse_jobs` refuses, so that the other faults are found at once as well. A field that
    cannot be read is left to its default; nothing of a list that is too long for that."""
    try:
        raw_jobs = _RAW_JOBS.decode(body)
    except _UNREADABLE:
        return []
    return [_mend(raw, position) for position, raw in enumerate(raw_jobs)] if len(raw_jobs) <= MOST_MENDED else []


def _mend(raw: msgspec.Raw, position: int) -> JobInput:
    values: dict[str, Any] = {"name": f"jobs[{position}]", "command": f"jobs[{position}]"}
    for key, text in _read_fields(raw).items():
        decoder = _FIELDS[JobInput].get(key)
        with suppress(*_UNREADABLE):
            values |= {key: decoder.decode(text)} if decoder else {}
    return JobInput(**values)


def _name_bad_jobs(body: bytes, first: int, error: Exception) -> list[GraphError]:
    try:
        raw_jobs = _RAW_JOBS.decode(body)
    except _UNREADABLE:
        message, path = _locate(error, "jobs") if isinstance(error, msgspec.ValidationError) else (str(error), "jobs")
        return [GraphError("invalid-json", path, f"`jobs` is not a list of jobs: {message}")]
    errors: list[GraphError] = []
    for position, raw in enumerate(raw_jobs, first):
        if len(errors) >= MOST_NAMED:
            break
        try:
            _JOB.decode(raw)
        except msgspec.ValidationError as problem:
            where, name = f"jobs[{position}]", _name_of(raw)
            message, path = _locate(problem, where)
            wrong = _name_bad_fields(raw, JobInput, where, name)
            errors += wrong or [GraphError("invalid-field", path, message, name)]
        except _UNREADABLE as problem:
            errors.append(GraphError("invalid-json", f"jobs[{position}]", str(problem)))
    return errors or [GraphError("invalid-json", "jobs", str(error))]


def _name_bad_fields(text: bytes | msgspec.Raw, kind: Kind, where: str, job: str = "") -> list[GraphError]:
    """Every field that is missing, unknown or of the wrong kind; nothing for what is no object."""
    try:
        given = _OBJECT.decode(text)
    except _UNREADABLE:
        return []
    known, joint = _FIELDS[kind], f"{where}." if where else ""
    missing = [name for name in _REQUIRED[kind] if name not in given]
    found = [GraphError("invalid-field", f"{joint}{name}", f"`{name}` is missing.", job) for name in missing]
    for name, raw in given.items():
        if name not in known:
            found.append(GraphError("invalid-field", f"{joint}{name}", _say_unknown(name, list(known)), job))
            continue
        try:
            known[name].decode(raw)
        except msgspec.ValidationError as error:
            message, path = _locate(error, f"{joint}{name}")
            found.append(GraphError("invalid-field", path, f"`{name}`: {message}", job))
        except _UNREADABLE as error:
            found.append(GraphError("invalid-json", f"{joint}{name}", str(error), job))
    return found


def _say_unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"There is no field `{name}`" + (f"; is `{near[0]}` meant?" if near else ".")


def _read_fields(raw: msgspec.Raw) -> dict[str, msgspec.Raw]:
    try:
        return _OBJECT.decode(raw)
    except _UNREADABLE:
        return {}


def _name_of(raw: msgspec.Raw) -> str:
    try:
        return _TEXT.decode(_read_fields(raw).get("name", b'""'))
    except _UNREADABLE:
        return ""
