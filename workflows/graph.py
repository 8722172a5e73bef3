"""Pure: a submitted graph as text in, a checked graph or the list of all its errors out. No database, no Django."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from workflows.graph_hash import Hashes, hash_dag, hash_text
from workflows.graph_shape import References, Upstreams, find_cycle, find_levels
from workflows.secret_files import MARK, write_variables

MAX_JOBS = 500_000
MAX_NAME = 255
MAX_COMMAND = 1024 * 1024
MAX_PATH = 1000
MAX_ERRORS_LISTED = 100
MAX_RUNTIME = 10 * 366 * 24 * 3600
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
_FORBIDDEN_IN_NAME = frozenset("/'\"\\")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.:+=@-]{0,254}")
_BATCH_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.@-]{0,63}")


class JobInput(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One job as it is posted. `upstreams` holds names, or positions in the whole list of jobs. `env_variables` become part
    of the command."""

    name: str
    command: str
    tag: str = ""
    slots: int = 1
    mem_free: float = 2.0
    max_attempts: int = 3
    max_runtime: int | None = None
    executor: str = ""
    resource_scale: float = 0.5
    upstreams: list[str | int] = msgspec.field(default_factory=list)
    attributes: dict[str, str] = msgspec.field(default_factory=dict)
    env_variables: dict[str, Any] | None = None


class Header(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """All of a workflow but its jobs."""

    workflow_args: str
    name: str = ""
    description: str = ""
    project: str = ""
    stdout: str = ""
    stderr: str = ""
    working_dir: str = ""
    executor: str = ""
    home: str = ""
    path: str = ""
    max_concurrently_running: int | None = None
    tag_limits: dict[str, int] = msgspec.field(default_factory=dict)
    tag_executors: dict[str, str] = msgspec.field(default_factory=dict)
    fail_fast: bool = False
    seconds_until_timeout: int | None = None
    attributes: dict[str, str] = msgspec.field(default_factory=dict)
    group: str = ""
    group_may_operate: bool = False


@dataclass(frozen=True, slots=True)
class GraphError:
    """What is wrong, where (`path`), in which job."""

    code: str
    path: str
    detail: str
    job: str = ""


class InvalidGraph(Exception):
    """The graph has errors: `every` one, their `count` and `kinds`; `errors` lists a hundred, each kind among them."""

    def __init__(self, errors: Sequence[GraphError]) -> None:
        self.every = list(errors)
        self.count = len(errors)
        self.kinds = sorted({error.code for error in errors})
        self.errors = _choose(self.every)
        super().__init__(f"{self.count} error{'s' if self.count != 1 else ''} in the graph; nothing was stored.")


def _choose(errors: Sequence[GraphError]) -> list[GraphError]:
    """The first of each kind, and the first of all, in order."""
    chosen = {error.code: position for position, error in reversed(list(enumerate(errors)))}
    positions = set(sorted(chosen.values())[:MAX_ERRORS_LISTED])
    for position in range(len(errors)):
        if len(positions) == MAX_ERRORS_LISTED:
            break
        positions.add(position)
    return [errors[position] for position in sorted(positions)]


@dataclass(slots=True)
class Graph:
    """A graph that has passed every check. Upstreams are positions; `levels` is the longest way from a root."""

    header: Header
    jobs: list[JobInput]
    upstreams: Upstreams
    hashes: Hashes
    levels: list[int]
    dag_hash: str

    @property
    def edge_count(self) -> int:
        return self.upstreams.edge_count

    @property
    def workflow_hash(self) -> str:
        return hash_text(f"{self.header.workflow_args}\0{self.dag_hash}")


def check_header(header: Header) -> Iterable[GraphError]:
    if not header.workflow_args:
        yield GraphError(
            "empty-workflow-args", "workflow_args", "workflow_args is empty; send a UUID for a one-off workflow."
        )
    if len(header.workflow_args) > 10_000 or "\0" in header.workflow_args:
        yield GraphError("invalid-field", "workflow_args", "workflow_args holds a NUL or is over 10,000 characters.")
    if len(header.name) > MAX_NAME or _CONTROL.search(header.name):
        yield GraphError("invalid-name", "name", "The name is over 255 characters or holds control characters.")
    if len(header.description) > 100_000 or "\0" in header.description:
        yield GraphError("invalid-field", "description", "The description holds a NUL or is over 100,000 characters.")
    for key in ("stdout", "stderr", "working_dir", "home"):
        value = getattr(header, key)
        if value and (not value.startswith("/") or len(value) > MAX_PATH or _CONTROL.search(value)):
            yield GraphError("invalid-path", key, f"{key} must be an absolute path of at most {MAX_PATH} characters.")
    if len(header.path) > 32_000 or _CONTROL.search(header.path):
        yield GraphError("invalid-field", "path", "path is over 32,000 characters or holds control characters.")
    if header.project and not _BATCH_WORD.fullmatch(header.project):
        yield GraphError(
            "invalid-field", "project", "A project begins with a letter and holds letters, digits and _ . @ -"
        )
    for key in ("max_concurrently_running", "seconds_until_timeout"):
        value = getattr(header, key)
        if value is not None and not 0 < value < 2**31:
            yield GraphError("invalid-number", key, f"{key} must be a positive whole number.")
    if len(header.group) > 150 or _CONTROL.search(header.group):
        yield GraphError("invalid-name", "group", "The group is over 150 characters or holds control characters.")
    if header.group_may_operate and not header.group:
        yield GraphError("invalid-field", "group_may_operate", "group_may_operate wants a group.")
    for tag, limit in header.tag_limits.items():
        if not 0 < limit < 2**31:
            yield GraphError("invalid-number", f"tag_limits.{tag}", "A tag's limit must be a positive whole number.")
    if _holds_nul(header.attributes):
        yield GraphError("invalid-field", "attributes", "An attribute holds a NUL character.")


def _holds_nul(attributes: dict[str, str]) -> bool:
    return any("\0" in key or "\0" in value for key, value in attributes.items())


def _is_plain(job: JobInput) -> bool:
    """Surely right, told quickly: what nearly all jobs are. Of the others `check_job` says what is wrong, if anything."""
    command = job.command
    return (
        _PLAIN.fullmatch(job.name) is not None
        and (not job.tag or _PLAIN.fullmatch(job.tag) is not None)
        and not (not command or command.isspace() or len(command) > MAX_COMMAND or "\0" in command)
        and 1 <= job.slots <= 100_000
        and 0 < job.mem_free <= 1_000_000
        and 1 <= job.max_attempts <= 1000
        and 0 <= job.resource_scale <= 10
        and (job.max_runtime is None or 1 <= job.max_runtime <= MAX_RUNTIME)
        and not (job.attributes and _holds_nul(job.attributes))
        and job.env_variables is None
        and not command.startswith(MARK)
    )


def settle_variables(job: JobInput, position: int) -> Iterable[GraphError]:
    """Make the variables part of the command; what is wrong with them."""
    job.command, faults = write_variables(job.command, job.env_variables or {})
    job.env_variables = job.env_variables if faults else None
    for field, detail in faults:
        yield GraphError("invalid-env-variables", f"jobs[{position}].{field}", f"{job.name!r}: {detail}.", job.name)


def check_job(job: JobInput, position: int) -> Iterable[GraphError]:
    """Everything that is wrong with one job by itself."""
    where = f"jobs[{position}]"

    def error(code: str, key: str, detail: str) -> GraphError:
        return GraphError(code, f"{where}.{key}", detail, job.name)

    name = job.name
    if not name:
        yield error("empty-name", "name", "The name is empty.")
    elif name[0].isdigit() or name[0] == "-":
        yield error(
            "invalid-name", "name", f"The name {name!r} begins with {name[0]!r}; the batch systems want a letter first."
        )
    elif not _FORBIDDEN_IN_NAME.isdisjoint(name):
        yield error("invalid-name", "name", f"The name {name!r} holds one of / ' \" \\")
    elif len(name) > MAX_NAME or name != name.strip() or _CONTROL.search(name):
        yield error("invalid-name", "name", f"The name {name[:80]!r} is over 255 characters, begins or ends with a space, or holds control characters.")  # fmt: skip
    if not job.command.strip():
        yield error("empty-command", "command", f"The command of {name!r} is empty.")
    elif len(job.command) > MAX_COMMAND:
        yield error(
            "command-too-long",
            "command",
            f"The command of {name!r} is over {MAX_COMMAND:,} characters; put it into a script.",
        )
    elif "\0" in job.command:
        yield error("invalid-command", "command", f"The command of {name!r} holds a NUL character.")
    if len(job.tag) > MAX_NAME or job.tag != job.tag.strip() or _CONTROL.search(job.tag):
        yield error("invalid-tag", "tag", f"The tag of {name!r} is over 255 characters, begins or ends with a space, or holds control characters.")  # fmt: skip
    if not 1 <= job.slots <= 100_000:
        yield error("invalid-slots", "slots", f"{name!r} asks for {job.slots} slots; at least 1 is needed.")
    if not (math.isfinite(job.mem_free) and 0 < job.mem_free <= 1_000_000):
        yield error(
            "invalid-mem-free", "mem_free", f"{name!r} asks for {job.mem_free} GB; a positive number is needed."
        )
    if not 1 <= job.max_attempts <= 1000:
        yield error(
            "invalid-max-attempts",
            "max_attempts",
            f"max_attempts of {name!r} is {job.max_attempts}; 1 to 1000 is possible.",
        )
    if not (math.isfinite(job.resource_scale) and 0 <= job.resource_scale <= 10):
        yield error(
            "invalid-resource-scale",
            "resource_scale",
            f"resource_scale of {name!r} is {job.resource_scale}; 0 to 10 is possible.",
        )
    if job.max_runtime is not None and not 1 <= job.max_runtime <= MAX_RUNTIME:
        yield error(
            "invalid-max-runtime",
            "max_runtime",
            f"max_runtime of {name!r} is {job.max_runtime} s; a positive number is needed.",
        )
    if _holds_nul(job.attributes):
        yield error("invalid-field", "attributes", f"An attribute of {name!r} holds a NUL character.")


def _find_duplicates(jobs: Sequence[JobInput], hashes: Hashes) -> Iterable[GraphError]:
    if len({job.name for job in jobs}) == len(jobs) == len(set(hashes.digests())):
        return
    names: dict[str, int] = {}
    commands: dict[str, int] = {}
    for position, (job, job_hash) in enumerate(zip(jobs, hashes, strict=True)):
        first = names.setdefault(job.name, position)
        if first != position:
            yield GraphError(
                "duplicate-name",
                f"jobs[{position}].name",
                f"jobs[{first}] has the name {job.name!r} already.",
                job.name,
            )
        first = commands.setdefault(job_hash, position)
        if first != position:
            yield GraphError(
                "duplicate-command",
                f"jobs[{position}].command",
                f"{job.name!r} has the same command as {jobs[first].name!r}: a job is its command.",
                job.name,
            )


def _resolve_upstreams(jobs: Sequence[JobInput], references: References, errors: list[GraphError]) -> Upstreams:
    positions = {job.name: place for place, job in enumerate(jobs)} if references.has_names else {}
    resolved = Upstreams()
    total = len(jobs)
    for position, given in enumerate(references):
        if not given:
            resolved.append(given)
            continue
        ups: Sequence[int] = given
        if isinstance(given, list):
            ups = [positions.get(one, -1) if isinstance(one, str) else one for one in given]
        ordered = sorted(set(ups))
        if len(ordered) != len(ups) or ordered[0] < 0 or ordered[-1] >= total or position in ups:
            errors += _check_references(jobs[position], position, given, ups, total)
            ordered = [up for up in ordered if 0 <= up < total and up != position]
        resolved.append(ordered)
    return resolved


def _check_references(
    job: JobInput, position: int, references: Sequence[str | int], ups: Sequence[int], total: int
) -> Iterable[GraphError]:
    """What is wrong with the upstreams of one job; `ups` are their positions, outside of the graph if unknown."""
    seen: set[int] = set()
    for index, (reference, up) in enumerate(zip(references, ups, strict=True)):
        where = f"jobs[{position}].upstreams[{index}]"
        if not 0 <= up < total:
            detail = f"{job.name!r} waits for {reference!r}, which is not in this graph."
            yield GraphError("unknown-upstream", where, detail, job.name)
        elif up == position:
            yield GraphError("self-upstream", where, f"{job.name!r} waits for itself.", job.name)
        elif up in seen:
            detail = f"{job.name!r} names its upstream {reference!r} twice."
            yield GraphError("duplicate-upstream", where, detail, job.name)
        seen.add(up)


def _name_cycle(jobs: Sequence[JobInput], cycle: Sequence[int]) -> GraphError:
    names = [jobs[position].name for position in cycle[:10]]
    more = f" … ({len(cycle)} jobs)" if len(cycle) > 10 else ""
    text = " → ".join([*names, names[0]]) if not more else " → ".join(names) + more
    return GraphError("cycle", f"jobs[{cycle[0]}].upstreams", f"These jobs wait for each other: {text}", names[0])


def assign_executors_of_tags(header: Header, jobs: Sequence[JobInput]) -> None:
    """A job that names no executor takes its tag's; without one it stays with the workflow's."""
    for job in jobs if header.tag_executors else ():
        job.executor = job.executor or header.tag_executors.get(job.tag, "")


def build_graph(header: Header, jobs: list[JobInput], references: References | None = None) -> Graph:
    """Check everything and answer the graph. `references` are the upstreams of the jobs, where they were taken from
    the jobs already. Raises InvalidGraph with all errors at once."""
    if not jobs:
        raise InvalidGraph([GraphError("missing-jobs", "jobs", "`jobs` is empty: a list of at least one job.")])
    if len(jobs) > MAX_JOBS:
        raise InvalidGraph(
            [GraphError("too-many-jobs", "jobs", f"{len(jobs):,} jobs; at most {MAX_JOBS:,} are possible.")]
        )
    assign_executors_of_tags(header, jobs)
    errors = list(check_header(header))
    for position, job in enumerate(jobs):
        if not _is_plain(job):
            errors.extend(settle_variables(job, position))
            errors.extend(check_job(job, position))
    hashes = Hashes(job.command for job in jobs)
    errors.extend(_find_duplicates(jobs, hashes))
    if references is None:
        references = References(job.upstreams for job in jobs)
    upstreams = _resolve_upstreams(jobs, references, errors)
    levels, stuck = find_levels(upstreams)
    if stuck:
        errors.append(_name_cycle(jobs, find_cycle(upstreams, stuck)))
    if errors:
        raise InvalidGraph(errors)
    return Graph(header, jobs, upstreams, hashes, levels, hash_dag(hashes, upstreams))
