"""Malformed graphs, as they may arrive. Each says what is wrong: status, code of the first error, a piece of text.

The large ones are made when they are asked for.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """`body` as it is posted; `code` is that of the first listed error (of the problem itself, if none is listed)."""

    name: str
    make: Callable[[], bytes]
    code: str
    text: str
    status: int = 400
    packed: bool = False


def job(name: str = "a", **values: Any) -> Json:
    return {"name": name, "command": f"run {name}", **values}


def body(*jobs: Any, **header: Any) -> bytes:
    return json.dumps({"workflow_args": "corpus", **header, "jobs": list(jobs)}).encode()


def case(label: str, code: str, text: str, /, *jobs: Any, **header: Any) -> Case:
    return Case(label, lambda: body(*jobs, **header), code, text)


def raw(name: str, code: str, text: str, content: bytes, status: int = 400) -> Case:
    return Case(name, lambda: content, code, text, status)


def field(name: str, literal: str, code: str = "invalid-field", text: str = "") -> Case:
    """One job with this JSON literal in a field."""
    given = {"name": '"a"', "command": '"x"', name: literal}
    fields = ", ".join(f'"{key}": {value}' for key, value in given.items())
    content = f'{{"workflow_args": "corpus", "jobs": [{{{fields}}}]}}'.encode()
    return raw(f"{name} = {literal[:20]}", code, text or ("" if code == "invalid-json" else "jobs[0]"), content)


def body_of(job: bytes, count: int) -> bytes:
    """The same so many times."""
    return b'{"workflow_args": "corpus", "jobs": [' + b",".join([job] * count) + b"]}"


def chain_back(count: int) -> bytes:
    """A cycle through all of them."""
    return body(*(job(f"j{n}", upstreams=[(n - 1) % count]) for n in range(count)))


EDGES = [
    case("waits for itself by name", "self-upstream", "waits for itself", job(upstreams=["a"])),
    case("waits for itself by position", "self-upstream", "waits for itself", job(upstreams=[0])),
    case("cycle of 2", "cycle", "wait for each other", job("a", upstreams=["b"]), job("b", upstreams=["a"])),
    case(
        "cycle of 3 behind a root",
        "cycle",
        "→",
        job("r"),
        job("a", upstreams=["r", "c"]),
        job("b", upstreams=["a"]),
        job("c", upstreams=["b"]),
    ),
    case(
        "two cycles",
        "cycle",
        "→",
        job("a", upstreams=[1]),
        job("b", upstreams=[0]),
        job("c", upstreams=[3]),
        job("d", upstreams=[2]),
    ),
    Case("cycle of 100,000", lambda: chain_back(100_000), "cycle", "(100000 jobs)"),
    case("duplicate edge", "duplicate-upstream", "twice", job("a"), job("b", upstreams=["a", "a"])),
    case("duplicate edge by name and position", "duplicate-upstream", "twice", job("a"), job("b", upstreams=["a", 0])),
    case(
        "unknown upstream", "unknown-upstream", "'c', which is not in this graph", job("a"), job("b", upstreams=["c"])
    ),
    case("upstream differs in case", "unknown-upstream", "'A'", job("a"), job("b", upstreams=["A"])),
    case(
        "upstream differs in normal form",
        "unknown-upstream",
        "not in this graph",
        job("\u00e9"),
        job("b", upstreams=["e\u0301"]),
    ),
    case("upstream with a space behind", "unknown-upstream", "'a '", job("a"), job("b", upstreams=["a "])),
    case("upstream is the empty name", "unknown-upstream", "''", job("a"), job("b", upstreams=[""])),
    case("upstream by the number of a foreign job", "unknown-upstream", "4711", job("a", upstreams=[4711])),
    case("position is negative", "unknown-upstream", "-1", job("a"), job("b", upstreams=[-1])),
    case("position just behind the end", "unknown-upstream", "2", job("a"), job("b", upstreams=[2])),
    case("position over 64 bits", "unknown-upstream", "9223372036854775808", job("a", upstreams=[2**63])),
    Case(
        "half a million jobs and one",
        lambda: body(*({"name": f"j{n}", "command": f"{n}"} for n in range(500_001))),
        "too-many-jobs",
        "500,001 jobs",
    ),
]
UPSTREAM_TYPES = [
    field("upstreams", literal)
    for literal in ('"a"', "null", "{}", "5", "[null]", "[[0]]", "[true]", "[1.5]", '[{"name": "a"}]')
]

NAMES = [
    case("same name twice", "duplicate-name", "jobs[0] has the name 'a'", job("a"), job("a", command="other")),
    case(
        "same command twice", "duplicate-command", "same command as 'a'", job("a", command="x"), job("b", command="x")
    ),
    *(
        case(f"name {label}", code, text, job(name, command="x"))
        for label, name, code, text in [
            ("is empty", "", "empty-name", "empty"),
            ("is a space", " ", "invalid-name", "space"),
            ("begins with a space", " a", "invalid-name", "space"),
            ("ends with a space", "a ", "invalid-name", "space"),
            ("ends with an ideographic space", "a\u3000", "invalid-name", "space"),
            ("ends with a no-break space", "a\u00a0", "invalid-name", "space"),
            ("begins with a dash", "-a", "invalid-name", "begins with '-'"),
            ("begins with a digit", "1a", "invalid-name", "begins with '1'"),
            ("begins with an Arabic digit", "\u0661a", "invalid-name", "begins with"),
            ("begins with a superscript digit", "\u00b2a", "invalid-name", "begins with"),
            ("holds a slash", "a/b", "invalid-name", "holds one of"),
            ("goes up", "../../etc/passwd", "invalid-name", "holds one of"),
            ("holds a quote", "a'b", "invalid-name", "holds one of"),
            ("holds a double quote", 'a"b', "invalid-name", "holds one of"),
            ("holds a backslash", "a\\b", "invalid-name", "holds one of"),
            ("holds NUL", "a\0b", "invalid-name", "control"),
            ("holds a line feed", "a\nb", "invalid-name", "control"),
            ("holds a carriage return", "a\rb", "invalid-name", "control"),
            ("ends with a line feed", "a\n", "invalid-name", "control"),
            ("holds a tab", "a\tb", "invalid-name", "control"),
            ("holds escape", "a\x1b[31mb", "invalid-name", "control"),
            ("holds delete", "a\x7fb", "invalid-name", "control"),
            ("holds a C1 control", "a\x85b", "invalid-name", "control"),
            ("holds a zero-width space", "a\u200bb", "invalid-name", "control"),
            ("holds a zero-width joiner", "a\u200db", "invalid-name", "control"),
            ("holds a byte order mark", "a\ufeffb", "invalid-name", "control"),
            ("holds a bidi override", "a\u202eb", "invalid-name", "control"),
            ("holds a bidi isolate", "a\u2066b", "invalid-name", "control"),
            ("holds an Arabic letter mark", "a\u061cb", "invalid-name", "control"),
            ("holds a line separator", "a\u2028b", "invalid-name", "control"),
            ("holds a paragraph separator", "a\u2029b", "invalid-name", "control"),
            ("holds a deprecated format character", "a\u206ab", "invalid-name", "control"),
            ("has 256 characters", "a" * 256, "invalid-name", "255"),
            ("has a million characters", "a" * 1_000_000, "invalid-name", "255"),
        ]
    ),
    raw(
        "name is a lone surrogate",
        "invalid-json",
        "",
        b'{"workflow_args": "c", "jobs": [{"name": "\\ud800", "command": "x"}]}',
    ),
    raw(
        "command is a lone surrogate",
        "invalid-json",
        "",
        b'{"workflow_args": "c", "jobs": [{"name": "a", "command": "\\udfff"}]}',
    ),
    *(field("name", literal) for literal in ("null", "5", "true", '["a"]', "{}")),
]
COMMANDS = [
    case("command is empty", "empty-command", "empty", job(command="")),
    case("command is white space", "empty-command", "empty", job(command=" \t\n ")),
    case("command holds NUL", "invalid-command", "NUL", job(command="echo a\0b")),
    Case("command of 10 MB", lambda: body(job(command="x" * 10_000_000)), "command-too-long", "1,048,576"),
    case("command is missing", "invalid-field", "jobs[0]", {"name": "a"}),
    case("name is missing", "invalid-field", "jobs[0]", {"command": "a"}),
    *(field("command", literal) for literal in ("null", "5", '["ls"]', "{}")),
]
TAGS = [
    case(f"tag {label}", "invalid-tag", "tag", job(tag=tag))
    for label, tag in [
        ("holds NUL", "a\0"), ("holds a line feed", "a\nb"), ("ends with a space", "a "), ("begins with a space", " a"),
        ("has 256 characters", "a" * 256), ("holds a bidi override", "\u202ea"), ("holds a zero-width space", "a\u200b"),
    ]
] + [field("tag", literal) for literal in ("null", "5", "[]")]  # fmt: skip

NUMBERS = [
    *(
        field("slots", literal, "invalid-slots", "slots")
        for literal in ("0", "-1", "-0", "100001", "9223372036854775807")
    ),
    *(field("slots", literal) for literal in ("true", '"2"', "1.5", "null", "[]")),
    field("slots", "9223372036854775808", "invalid-slots", "slots"),
    *(
        field("mem_free", literal, "invalid-mem-free", "positive")
        for literal in ("0", "-0.0", "-1", "-1e-300", "1e7", "1e300")
    ),
    *(field("mem_free", literal) for literal in ("true", '"1e9G"', '"2"', "null")),
    *(field("max_attempts", literal, "invalid-max-attempts", "1 to 1000") for literal in ("0", "-1", "1001")),
    *(field("max_attempts", literal) for literal in ("null", "true", "2.5", '"3"')),
    *(field("max_runtime", literal, "invalid-max-runtime", "positive") for literal in ("0", "-1", "99999999999")),
    *(field("max_runtime", literal) for literal in ("false", "0.5", '"1h"', "1e400")),
    *(
        field("mem_free", literal, "invalid-json", "")
        for literal in ("NaN", "Infinity", "-Infinity", "0x10", "01", "+1", ".5")
    ),
]
HEADERS = [
    case("no workflow_args", "empty-workflow-args", "UUID", job(), workflow_args=""),
    case("workflow_args is null", "invalid-field", "str", job(), workflow_args=None),
    case("workflow_args holds NUL", "invalid-field", "NUL", job(), workflow_args="a\0b"),
    case("workflow_args of 10,001", "invalid-field", "10,000", job(), workflow_args="a" * 10_001),
    case("the workflow's name holds a line feed", "invalid-name", "control", job(), name="a\nb"),
    case("name of 256", "invalid-name", "255", job(), name="a" * 256),
    case("description holds NUL", "invalid-field", "NUL", job(), description="a\0"),
    case("description of 100,001", "invalid-field", "100,000", job(), description="a" * 100_001),
    *(
        case(f"{key} {label}", "invalid-path", "absolute path", job(), **{key: value})
        for key in ("stdout", "stderr", "working_dir", "home")
        for label, value in [
            ("is relative", "out"),
            ("holds a line feed", "/a\nb"),
            ("holds NUL", "/a\0"),
            ("is too long", "/" + "a" * 1000),
        ]
    ),
    case("path holds a line feed", "invalid-field", "control", job(), path="/bin\n/sbin"),
    case("path of 32,001", "invalid-field", "32,000", job(), path="a" * 32_001),
    *(
        case(f"project {text!r}", "invalid-field", "letter", job(), project=text)
        for text in ("-P", "a b", "1a", "a;b", "$(x)", "a\n", "a,b", "*", "a" * 65)
    ),
    case("unknown executor", "unknown-executor", "'pbs'", job(), executor="pbs"),
    case("unknown executor of a tag", "unknown-executor", "'pbs'", job(), tag_executors={"x": "pbs"}),
    case("executor of a tag is a number", "invalid-field", "tag_executors", job(), tag_executors={"x": 1}),
    case("unknown executor of a job", "unknown-executor", "'pbs'", job(executor="pbs")),
    *(
        case(f"limit {number}", "invalid-number", "positive", job(), max_concurrently_running=number)
        for number in (0, -1, 2**31)
    ),
    *(
        case(f"time-out {number}", "invalid-number", "positive", job(), seconds_until_timeout=number)
        for number in (0, -5, 2**40)
    ),
    case("limit of a tag is 0", "invalid-number", "positive", job(), tag_limits={"x": 0}),
    case("limit of a tag is text", "invalid-field", "tag_limits", job(), tag_limits={"x": "5"}),
    case("limits of tags are a list", "invalid-field", "tag_limits", job(), tag_limits=[5]),
    case("fail_fast is a number", "invalid-field", "fail_fast", job(), fail_fast=1),
    case("attributes hold a number", "invalid-field", "attributes", job(), attributes={"a": 1}),
    case("unknown field", "invalid-field", "user", job(), user="root"),
    case("unknown field of a job", "invalid-field", "env", job(env={})),
]
ENVELOPES = [
    raw("nothing", "invalid-json", "JSON", b""),
    raw("white space", "invalid-json", "JSON", b"  \n "),
    raw("a number", "invalid-json", "JSON", b"5"),
    raw("a list", "invalid-json", "JSON", b"[]"),
    raw("null", "invalid-json", "JSON", b"null"),
    raw("cut off", "invalid-json", "JSON", b'{"workflow_args": "a", "jobs": [{"name": "a"'),
    raw("two objects", "invalid-json", "JSON", body(job()) * 2),
    raw("single quotes", "invalid-json", "JSON", b"{'workflow_args': 'a'}"),
    raw("a comment", "invalid-json", "JSON", b'{"workflow_args": "a", /* x */ "jobs": []}'),
    raw("a comma too much", "invalid-json", "", b'{"workflow_args": "a", "jobs": [],}'),
    raw("UTF-16", "invalid-json", "", body(job()).decode().encode("utf-16")),
    raw(
        "Latin-1",
        "invalid-json",
        "",
        '{"workflow_args": "c", "jobs": [{"name": "\u00e9", "command": "x"}]}'.encode("latin-1"),
    ),
    raw("a byte order mark", "invalid-json", "", b"\xef\xbb\xbf" + body(job())),
    raw("lists 100,000 deep", "invalid-json", "", b"[" * 100_000),
    raw(
        "jobs 100,000 deep",
        "invalid-json",
        "",
        b'{"workflow_args": "a", "jobs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ),
    raw("objects 100,000 deep", "invalid-json", "", b'{"workflow_args": "a", "attributes": ' + b'{"a":' * 100_000),
    raw(
        "a job 100,000 deep",
        "invalid-json",
        "",
        b'{"workflow_args": "a", "jobs": [{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]}",
    ),
    Case("a million empty objects", lambda: body_of(b"{}", 1_000_000), "too-many-jobs", "1,000,000 jobs"),
    Case("half a million empty objects", lambda: body_of(b"{}", 500_000), "invalid-field", "missing"),
    Case("three million lists", lambda: body_of(b"[]", 3_000_000), "too-many-jobs", "objects and lists"),
    Case("half a million lists", lambda: body_of(b"[]", 500_000), "invalid-field", "jobs[0]"),
    case("no jobs at all", "missing-jobs", "at least one"),
    raw("jobs are missing", "missing-jobs", "missing", b'{"workflow_args": "a"}'),
    raw("jobs are null", "invalid-json", "not a list", b'{"workflow_args": "a", "jobs": null}'),
    raw("jobs are an object", "invalid-json", "not a list", b'{"workflow_args": "a", "jobs": {"a": 1}}'),
    case("a job is null", "invalid-field", "jobs[1]", job(), None),
    case("a job is text", "invalid-field", "jobs[1]", job(), "b"),
    case("a job is a list", "invalid-field", "jobs[0]", ["a", "b"]),
    raw("workflow_args are missing", "invalid-field", "workflow_args", b'{"jobs": [{"name": "a", "command": "x"}]}'),
    Case("a gzip bomb", lambda: gzip.compress(b" " * (65 * 1024 * 1024)), "too-large", "unpacked", 413, packed=True),
    Case("gzip cut off", lambda: gzip.compress(body(job()))[:-6], "invalid-request", "gzip", packed=True),
    Case("gzip that is none", lambda: body(job()), "invalid-request", "gzip", packed=True),
    Case("gzip twice over", lambda: gzip.compress(body(job())) * 2, "invalid-request", "follows", packed=True),
]
CASES = [*EDGES, *UPSTREAM_TYPES, *NAMES, *COMMANDS, *TAGS, *NUMBERS, *HEADERS, *ENVELOPES]


def many_faults() -> tuple[bytes, set[str]]:
    """1,000 faults of 20 kinds in one graph, and those kinds."""
    faulty: dict[str, Callable[[str], Json]] = {
        "empty-name": lambda n: {"name": "", "command": f"x{n}"},
        "invalid-name": lambda n: {"name": f"-{n}", "command": f"x{n}"},
        "empty-command": lambda n: {"name": n, "command": " " * (int(n[1:]) + 1)},
        "invalid-command": lambda n: job(n, command=f"\0{n}"),
        "invalid-tag": lambda n: job(n, tag=" x"),
        "invalid-slots": lambda n: job(n, slots=0),
        "invalid-mem-free": lambda n: job(n, mem_free=0),
        "invalid-max-attempts": lambda n: job(n, max_attempts=0),
        "invalid-max-runtime": lambda n: job(n, max_runtime=0),
        "self-upstream": lambda n: job(n, upstreams=[n]),
        "unknown-upstream": lambda n: job(n, upstreams=["nobody"]),
        "duplicate-upstream": lambda n: job(n, upstreams=["root", "root"]),
        "duplicate-name": lambda n: job("root", command=f"again {n}"),
        "duplicate-command": lambda n: job(n, command="run root"),
        "unknown-executor": lambda n: job(n, executor="pbs"),
    }
    header = {
        "empty-workflow-args": {"workflow_args": ""},
        "invalid-path": {"stdout": "x"},
        "invalid-number": {"max_concurrently_running": 0},
        "invalid-field": {"project": "-"},
    }
    jobs = [job("root"), job("c0", upstreams=["c1"]), job("c1", upstreams=["c0"])]
    makers = list(faulty.values())
    jobs += [makers[number % len(makers)](f"j{number}") for number in range(995)]
    fields = {key: value for values in header.values() for key, value in values.items()}
    return json.dumps({"workflow_args": "x", **fields, "jobs": jobs}).encode(), {*faulty, *header, "cycle"}
