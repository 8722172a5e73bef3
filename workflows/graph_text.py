"""Pure: from posted text to typed jobs, naming every job that is wrong. No database, no Django."""

from __future__ import annotations

import msgspec

from workflows.graph import GraphError, Header, InvalidGraph, JobInput, check_header

_HEADER = msgspec.json.Decoder(Header)
_JOBS = msgspec.json.Decoder(list[JobInput])
_RAW_JOBS = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_JOB = msgspec.json.Decoder(JobInput)


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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidGraph([GraphError("invalid-json", "", f"The body is not a JSON object: {error}")]) from error
    jobs = fields.pop("jobs", None)
    if jobs is None:
        raise InvalidGraph([GraphError("missing-jobs", "jobs", "`jobs` is missing: a list of at least one job.")])
    return fields, jobs


def parse_header(body: bytes) -> Header:
    """Raises InvalidGraph naming the field."""
    try:
        header = _HEADER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message, path = _locate(error, "") if isinstance(error, msgspec.ValidationError) else (str(error), "")
        raise InvalidGraph([GraphError("invalid-field", path, message)]) from error
    errors = list(check_header(header))
    if errors:
        raise InvalidGraph(errors)
    return header


def parse_jobs(body: bytes, first: int = 0) -> list[JobInput]:
    """Decode a list of jobs; on failure go through it one by one, so that every wrong job is named."""
    try:
        return _JOBS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidGraph(_name_bad_jobs(body, first, error)) from error


def _name_bad_jobs(body: bytes, first: int, error: Exception) -> list[GraphError]:
    try:
        raw_jobs = _RAW_JOBS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        message, path = _locate(error, "jobs") if isinstance(error, msgspec.ValidationError) else (str(error), "jobs")
        return [GraphError("invalid-json", path, f"`jobs` is not a list of jobs: {message}")]
    errors = []
    for position, raw in enumerate(raw_jobs, first):
        try:
            _JOB.decode(raw)
        except msgspec.ValidationError as problem:
            message, path = _locate(problem, f"jobs[{position}]")
            errors.append(GraphError("invalid-field", path, message, _name_of(raw)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            errors.append(GraphError("invalid-json", f"jobs[{position}]", str(problem)))
    return errors or [GraphError("invalid-json", "jobs", str(error))]


def _name_of(raw: msgspec.Raw) -> str:
    try:
        name = msgspec.json.decode(raw).get("name", "")
    except (msgspec.DecodeError, AttributeError, UnicodeDecodeError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""
