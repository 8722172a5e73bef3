"""Whatever is put to the helper: it answers, and what it accepts is of the known form. And its polite other side."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from executors import sge_parse, slurm_parse
from executors.base import ExecutorUnavailable, JobSpec, Resources, SubmitRejected
from executors.run_as import RunAs, _read_answer
from executors.run_as_batch import render_attempt
from executors.sge_config import SgeConfig
from executors.shell import Completed
from executors.slurm_config import SlurmConfig
from tests.run_as.people import DEPLOY

LIBEXEC = DEPLOY / "libexec"


def load() -> ModuleType:
    made = importlib.util.spec_from_file_location("jobmon_as_checks", LIBEXEC / "jobmon_as_checks.py")
    assert made is not None
    assert made.loader is not None
    module = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    return module


checks = load()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary().map(repr),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ["version", "verb", "seconds", "system", "batch", "options", "attempts", "instances", "ids", "who", "stream"]
SYSTEMS = {"sge": {"kind": "sge", "options": ["soft"]}, "slurm": {"kind": "slurm", "options": ["nice"]}}
SAFE = re.compile(r"[A-Za-z0-9_.@%|!()=-]*")
WORDS = st.sampled_from(
    ["-P", "-q", "-l", "-pe", "-t", "-tc", "-w", "e", "demo", "h_rt=60", "smp", "4", "-o", "-S", "/bin/sh", "*", "$(id)", "--account=demo", "--array=1-5", "--wrap=id", "--uid=0", "--nodes=1", "--output=/x", "-soft", "--nice=5", "\n"]
)  # fmt: skip


@hypothesis_settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=8))
def test_a_request_is_understood_or_refused(request_: dict[str, Any]) -> None:
    try:
        found = checks.parse(json.dumps({"version": 1, "verb": "list", "seconds": 5, **request_}).encode())
    except checks.Refused:
        return
    for read in (checks.read_instances, lambda one: checks.read_system({"systems": SYSTEMS}, one)):
        try:
            read(found)
        except checks.Refused:
            continue
    try:
        checks.read_attempts(found.get("attempts"), is_array=True)
    except checks.Refused:
        return


@hypothesis_settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_are_understood_or_refused(data: bytes) -> None:
    with pytest.raises(checks.Refused):
        checks.parse(data)


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SYSTEMS)), st.lists(WORDS | st.text(max_size=20), max_size=6))
def test_options_that_pass_are_of_the_known_form(system: str, words: list[str]) -> None:
    try:
        passed = checks.read_options(SYSTEMS[system], words)
    except checks.Refused:
        return
    assert passed == words
    for word in words:
        assert not {"-o", "-S", "--wrap", "--uid", "--output"} & {word.partition("=")[0]} or "-soft" in words
        if "-soft" not in words and "--nice" not in "".join(words):
            assert SAFE.fullmatch(word)


@hypothesis_settings(max_examples=300, deadline=None)
@given(
    st.text(min_size=1).filter(lambda text: "\0" not in text),
    st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True), st.text(max_size=50), max_size=3),
)
def test_what_the_server_sends_is_accepted(command: str, environment: dict[str, str]) -> None:
    """Its own submissions pass the helper's own examination, for both batch systems."""
    if any("\0" in value for value in environment.values()):
        return
    resources = Resources(slots=4, mem_free=1.5, max_runtime=90, excluded_hosts=("node1", "node2.x"))
    specs = [
        JobSpec(n, 3, f"jm1-b9.{n}", "jm1-b9", n, command, resources, environment=tuple(environment.items()))
        for n in (1, 3)
    ]
    sge = SgeConfig(spool=Path("/s"), parallel_environment="smp", default_project="demo", concurrent_tasks=7)
    slurm = SlurmConfig(spool=Path("/s"), default_project="demo", default_queue="long", concurrent_tasks=7)
    checks.read_options(SYSTEMS["sge"], sge_parse.build_options(sge, specs))
    checks.read_options(SYSTEMS["slurm"], slurm_parse.build_options(slurm, specs))
    try:
        command.encode()
        [value.encode() for value in environment.values()]
    except UnicodeEncodeError:
        return
    checks.read_attempts(json.loads(json.dumps([render_attempt(spec) for spec in specs])), is_array=True)


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.text(), st.text(), st.integers(0, 255))
def test_the_server_survives_any_answer(out: str, err: str, code: int) -> None:
    try:
        found = _read_answer("alice", "list", Completed(code, out, err))
    except (ExecutorUnavailable, SubmitRejected):
        return
    assert isinstance(found, dict)


def test_the_helper_starts_alone_and_says_what_is_wrong() -> None:
    """Isolated, as sudo starts it, from a folder where nothing is configured; and small enough to be read."""
    done = subprocess.run(
        [sys.executable, "-I", LIBEXEC / "jobmon-as"], input="{}", capture_output=True, text=True, timeout=60
    )
    assert json.loads(done.stdout)["code"] in ("account", "unavailable")
    lines = [path.read_text().count("\n") for path in (LIBEXEC / "jobmon-as", LIBEXEC / "jobmon_as_checks.py")]
    assert max(lines) <= 350


def test_no_helper_is_said_in_words(tmp_path: Path) -> None:
    run_as = RunAs(tmp_path / "v1" / "jobmon-as")
    assert "docs/run-as.md" in (run_as.find_fault() or "")
    assert run_as.root("alice") == Path("?/alice")
    with pytest.raises(ExecutorUnavailable, match="cannot be read"):
        run_as.read_config()
    with pytest.raises(ExecutorUnavailable, match="not the name"):
        run_as.ask("-u", "list")
