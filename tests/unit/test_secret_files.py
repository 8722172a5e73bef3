"""Values that are in files: as a submission and a command name them, as the client writes them, and the script that reads."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.base import JobSpec, Resources
from executors.local import LocalExecutor
from executors.local_spool import LocalSpool
from executors.run_as import PROTOCOL
from executors.run_as_batch import choose_protocol
from executors.script import SHELL, install_wrapper, job_environment, refuse_text
from executors.secret_files import FILES_VARIABLE, SCRIPT, SCRIPT_NAME
from jobmon import BashTask, SecretFile
from jobmon.workflow.description import describe_jobs, read_workflow
from workflows.graph import Header, InvalidGraph, JobInput, build_graph
from workflows.graph_text import parse_jobs
from workflows.masking import mask_secrets
from workflows.secret_files import describe_files, split_command, write_variables

NAMES = st.from_regex(r"X[A-Za-z0-9_]{0,6}", fullmatch=True)
TEXT = st.text(st.characters(exclude_characters="\0\n", exclude_categories=["Cs"]), max_size=20)
REFERENCES = TEXT.map(lambda text: {"file": f"/{text}"})
VALUES = TEXT.filter(lambda text: not text.startswith("~")) | REFERENCES
COMMANDS = st.sampled_from(["run", "a; b | c", "#comment\nrun", "run\n#JOBMON A from file /x", " #JOBMON "])
PASSWORD = "#JOBMON DB_PASSWORD from file /home/a/.pgpass\n"


def graph_of(*jobs: JobInput, args: str = "a") -> Any:
    return build_graph(Header(workflow_args=args), list(jobs))


def job(command: str = "run", **variables: Any) -> JobInput:
    return JobInput("fit", command, env_variables=variables or None)


def faults_of(one: JobInput) -> list[tuple[str, str, str]]:
    with pytest.raises(InvalidGraph) as refused:
        graph_of(one)
    assert {error.code for error in refused.value.errors} == {"invalid-env-variables"}
    return [(error.path, error.job, error.detail) for error in refused.value.errors]


@settings(deadline=None)
@given(COMMANDS, st.dictionaries(NAMES, VALUES, max_size=4))
def test_client_and_server_write_the_same_command(command: str, variables: dict[str, Any]) -> None:
    written, faults = write_variables(command, variables)
    assert faults == []
    assert BashTask(command, env_variables=variables).command == written
    references = {name: value for name, value in variables.items() if isinstance(value, dict)}
    assert describe_files(written) == references
    assert write_variables(written, describe_files(written)) == (written, [])
    assert BashTask(written, env_variables=references).command == written


def test_a_command_without_references_is_what_it_was() -> None:
    """Nor does its hash change, or that of its graph: what ran before is found again."""
    for command in ("run", "export A=1; run", "# JOBMON A from file /x\nrun", "#JOBMONA from file /x\nrun"):
        assert write_variables(command, {}) == (command, [])
        assert split_command(command) == ((), command)
    line = f"{hashlib.sha256(b'run fit').hexdigest()}:\n"
    assert graph_of(job("run fit")).dag_hash == hashlib.sha256(line.encode()).hexdigest()


def test_a_job_is_its_command_and_so_its_files() -> None:
    one, again = graph_of(job(X={"file": "/a"})), graph_of(job(X={"file": "/a"}))
    assert one.workflow_hash == again.workflow_hash == graph_of(job("#JOBMON X from file /a\nrun")).workflow_hash
    for other in (job(X={"file": "/b"}), job(Y={"file": "/a"}), job(X="/a"), job()):
        assert graph_of(other).workflow_hash != one.workflow_hash
    assert one.jobs[0].command == "#JOBMON X from file /a\nrun"
    assert graph_of(*one.jobs).workflow_hash == one.workflow_hash


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"file": "relative"}, "is not absolute"), ({"file": ""}, "is not absolute"), ({"file": "~/x"}, "is not absolute"),
        ({"file": "/a\0b"}, "NUL or a line break"), ({"file": "/a\nb"}, "NUL or a line break"),
        ({"file": "/" + "x" * 4096}, "over 4096 characters"), ({"file": 3}, "should be text, or"), ({}, "should be text, or"),
        ({"file": "/x", "mode": 1}, "should be text, or"), ({"path": "/x"}, "should be text, or"), (3, "should be text, or"),
        (None, "should be text, or"), (["/x"], "should be text, or"),
    ],
    ids=lambda value: str(value)[:30].encode("unicode_escape").decode().replace("\\", ""),
)  # fmt: skip
def test_references_that_cannot_be_are_refused_with_job_and_variable(value: object, words: str) -> None:
    ((path, name, detail),) = faults_of(job(DB_PASSWORD=value))
    assert (path.startswith("jobs[0].env_variables"), name) == (True, "fit")
    for part in (words, "'fit'", "DB_PASSWORD"):
        assert part in detail


@pytest.mark.parametrize("name", ["1A", "A B", "", "A=B", "IFS", "UID", "JOBMON_ATTEMPT", "JOBMON_SECRET_FILES", "É"])
def test_variables_that_cannot_be_read_from_files(name: str) -> None:
    ((_, _, detail),) = faults_of(job(**{name: {"file": "/x"}}))
    assert name in detail


@pytest.mark.parametrize(
    ("command", "variables", "words"),
    [
        ("#JOBMON A\nrun", {}, "is no reference"),
        ("#JOBMON A from file x\nrun", {}, "is not absolute"),
        (PASSWORD, {}, "nothing follows"),
        (PASSWORD + PASSWORD + "run", {}, "comes twice"),
        (PASSWORD + "run", {"DB_PASSWORD": {"file": "/other"}}, "comes twice"),
        (PASSWORD + "run", {"DB_PASSWORD": "plain"}, "read from a file already"),
        ("run", {f"X{number}": {"file": "/x"} for number in range(17)}, "at most 16"),
        ("run", {"A B": "x"}, "no name of a variable"),
    ],
    ids=["no line", "relative", "no command", "twice", "two files", "plain too", "many", "name"],
)
def test_heads_that_cannot_be_are_refused(command: str, variables: dict[str, Any], words: str) -> None:
    assert [words in detail for _, _, detail in faults_of(job(command, **variables))] == [True]


def test_workflows_as_plain_data_take_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `jobmon run` reads of a file, and what `to_dict` gives."""
    monkeypatch.setenv("HOME", "/home/a")
    given = {"name": "fit", "command": "run", "env_variables": {"DB_PASSWORD": {"file": "~/.pgpass"}, "A": 1}}
    _, dag = read_workflow({"workflow_args": "a", "jobs": [given]})
    (described,) = describe_jobs(dag)
    assert described["command"] == PASSWORD + "export A=1; run"
    _, again = read_workflow({"workflow_args": "a", "jobs": [{**described, "env_variables": {"B": 2}}]})
    assert [task.command for task in again] == [PASSWORD + "export B=2; export A=1; run"]
    given["env_variables"] = {"DB_PASSWORD": {"file": "pgpass"}}
    with pytest.raises(ValueError, match=r"jobs\[0\]: env_variables of 'fit': DB_PASSWORD: .*not absolute"):
        read_workflow({"workflow_args": "a", "jobs": [given]})


def test_posted_variables_are_typed() -> None:
    body = b'[{"name": "fit", "command": "run", "env_variables": {"A": "x y", "B": {"file": "/b"}}}]'
    (one,) = graph_of(*parse_jobs(body)).jobs
    assert one.command == "#JOBMON B from file /b\nexport A='x y'; run"
    with pytest.raises(InvalidGraph) as refused:
        parse_jobs(body.replace(b'{"A": "x y", "B": {"file": "/b"}}', b'["A=1"]'))
    assert refused.value.errors[0].path == "jobs[0].env_variables"


def test_paths_are_not_masked_and_the_rest_is() -> None:
    head = "#JOBMON DB_PASSWORD from file /x PASSWORD=a --token b\n"
    assert mask_secrets(head + "API_KEY=x run") == head + "API_KEY=**** run"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"P": {"file": "relative"}}, "not absolute"), ({"P": {"file": "/x", "k": 1}}, "should be text"),
        ({"P": {"file": "/a\nb"}}, "on one line"), ({"P": {"file": "/" + "x" * 4096}}, "over 4096"),
    ],
    ids=["relative", "keys", "newline", "long"],
)  # fmt: skip
def test_the_client_refuses_them_too(variables: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        BashTask("run", name="fit", env_variables=variables)
    assert "'fit': P: " in str(refused.value)


@pytest.mark.parametrize("files", [(("X", "x"),), (("X", "/a\nY=/b"),), (("X Y", "/x"),), (("X", "/x"), ("X", "/y"))],
                         ids=["relative", "newline", "name", "twice"])  # fmt: skip
def test_executors_check_again(files: tuple[tuple[str, str], ...]) -> None:
    assert refuse_text(JobSpec(1, 1, "a", "a", 0, "run", secret_files=files)) is not None


def test_a_helper_that_knows_nothing_of_them_refuses_them() -> None:
    plain = JobSpec(1, 1, "a", "a", 0, "run")
    assert choose_protocol([plain]) == PROTOCOL
    assert choose_protocol([plain, replace(plain, secret_files=(("X", "/x"),))]) == PROTOCOL + 1


def test_a_shepherd_that_knows_nothing_of_them_gets_none(tmp_path: Path) -> None:
    """Which script is there, the shepherd's start has decided; nothing is submitted to one of before."""
    executor = LocalExecutor("local", LocalSpool(tmp_path), tmp_path, slots=1, memory=1)
    spec = JobSpec(1, 1, "a", "a", 0, "run", Resources(mem_free=0.1), secret_files=(("X", "/x"),))
    for one, is_refused in ((spec, True), (replace(spec, secret_files=()), False)):
        assert (executor._refuse_spec(one, job_environment(one)) is not None) == is_refused
    install_wrapper(tmp_path)
    assert executor._refuse_spec(spec, job_environment(spec)) is None


def test_the_variable_that_carries_them_is_ours() -> None:
    spec = JobSpec(1, 1, "a", "a", 0, "run", environment=((FILES_VARIABLE, "X=/etc/shadow"),))
    assert FILES_VARIABLE not in job_environment(spec)
    spec = JobSpec(1, 1, "a", "a", 0, "run", secret_files=(("X", "/a b"), ("Y", "/c")))
    assert job_environment(spec)[FILES_VARIABLE] == "X=/a b\nY=/c"
    assert refuse_text(spec) is None


def test_jobs_without_files_do_not_touch_the_script(tmp_path: Path) -> None:
    spool = LocalSpool(tmp_path)
    spool.create()
    wrapper = install_wrapper(tmp_path)
    (tmp_path / SCRIPT_NAME).unlink()
    spool.prepare(1, "echo ran")
    words = [SHELL, str(wrapper), spool.prefix(1), "n", "h", "x", "0", "/", spool.file(1, "out"), spool.file(1, "err")]
    subprocess.run(words, env={}, check=True)
    assert spool.tail(1, "stdout", 100) == b"ran\n"


@pytest.mark.parametrize("shell", [["/bin/sh"], ["/bin/bash"], ["/bin/bash", "--posix"]], ids=["sh", "bash", "posix"])
def test_a_traced_shell_tells_no_value(tmp_path: Path, shell: list[str]) -> None:
    (tmp_path / "script").write_text(SCRIPT)
    (tmp_path / "command").write_text('[ "$X" = s3cret ] && echo ran\n')
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    environment = {FILES_VARIABLE: f"X={secret}", "PATH": os.defpath, "IFS": "/0", "POSIXLY_CORRECT": "1"}
    words = [*shell, "-xv", str(tmp_path / "script"), str(tmp_path / "command")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "ran\n"
    assert "set +xv" in done.stderr
    assert "s3cret" not in done.stderr


def test_secret_files_are_equal_by_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/a")
    one = SecretFile("~/.pgpass")
    assert one == SecretFile(Path("/home/a/.pgpass"))
    assert len({one, SecretFile("/home/a/.pgpass")}) == 1
    assert one != SecretFile("/other")
    assert repr(one) == "SecretFile('/home/a/.pgpass')"
    assert BashTask("run", env_variables={"DB_PASSWORD": one}).command == PASSWORD + "run"
