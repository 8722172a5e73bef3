"""Tasks: commands, names, hashes, and what is refused at construction."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobmon import BashTask, ExecutableTask, PythonTask, RTask, StataTask

# Arguments of a process can be anything but NUL and half surrogate pairs
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


def run_shell(command: str) -> str:
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


def test_defaults_are_one_slot_two_gb_three_attempts_no_limit() -> None:
    task = BashTask("true")
    assert (task.slots, task.mem_free, task.max_attempts, task.max_runtime, task.tag) == (1, 2, 3, None, "")


def test_bash_command_is_left_to_the_shell() -> None:
    assert BashTask("cp ~/a ~/b | wc").command == "cp ~/a ~/b | wc"


def test_python_command_with_environment() -> None:
    task = PythonTask("/opt/py/bin/python", "/code/runme.py", [1, 2], env_variables={"OP_NUM_THREADS": 1})
    assert task.command == "OP_NUM_THREADS=1 /opt/py/bin/python /code/runme.py 1 2"


def test_python_task_uses_this_python_by_default() -> None:
    assert PythonTask(script="/x.py").command == f"{sys.executable} /x.py"


def test_r_and_stata_commands() -> None:
    assert RTask("/usr/bin/Rscript", "/m/fit.R", ["a b"]).command == "/usr/bin/Rscript /m/fit.R 'a b'"
    assert RTask(script="/m/fit.R").command == "Rscript /m/fit.R"
    assert StataTask("/s/stata-mp", "/m/fit.do", [2019]).command == "/s/stata-mp -b do /m/fit.do 2019"
    assert StataTask(script="/m/fit.do").command == "stata-mp -b do /m/fit.do"


def test_leading_tilde_is_the_submitters_home(home: Path) -> None:
    task = PythonTask("~/bin/python", "~/my code.py", ["~/data", "a~/b"], env_variables={"D": "~/d"})
    assert task.command == f"D={home}/d {home}/bin/python '{home}/my code.py' {home}/data 'a~/b'"


@settings(max_examples=25, deadline=None)
@given(args=st.lists(TEXT, max_size=4), value=TEXT)
def test_arguments_and_variables_arrive_exactly(args: list[str], value: str) -> None:
    script = Path(__file__).with_name("show_arguments.py")
    task = PythonTask(script=str(script), args=args, env_variables={"SHOWN": value})
    expected = [os.path.expanduser("~") + one[1:] if one.startswith("~/") else one for one in [*args, value]]
    assert json.loads(run_shell(task.command)) == expected


def test_bash_variables_hold_for_every_part_of_the_command() -> None:
    task = BashTask('echo "$A"; echo "$A" | cat', env_variables={"A": "x y"})
    assert run_shell(task.command) == "x y\nx y\n"


def test_variables_are_sorted_so_that_the_command_is_the_same_again() -> None:
    one = BashTask("true", env_variables={"B": 1, "A": 2})
    assert one == BashTask("true", env_variables={"A": 2, "B": 1})


@pytest.mark.parametrize("name", ["DB_PASSWORD", "TOKEN", "api_key", "Secret"])
def test_secrets_in_variables_are_warned_of(name: str) -> None:
    with pytest.warns(UserWarning, match=f'{name}.*"{name}": SecretFile'):
        BashTask("true", env_variables={name: "x"})


@pytest.mark.parametrize("name", ["1A", "A B", "", "A=B", "A;rm", "A\n"])
def test_bad_variable_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="env_variables"):
        BashTask("true", env_variables={name: "x"})


def test_default_names_begin_with_letters_and_follow_from_the_command() -> None:
    assert BashTask("true").name == BashTask("true").name != BashTask("false").name
    prefixes = {
        "bash": BashTask("x"),
        "r": RTask(script="x"),
        "stata": StataTask(script="x"),
        "task": ExecutableTask("x"),
    }
    for prefix, task in {**prefixes, "python": PythonTask(script="x")}.items():
        head, digits = task.name.rsplit("_", 1)
        assert (head, len(digits), set(digits) <= set("0123456789abcdef")) == (prefix, 16, True)


@pytest.mark.parametrize("name", ["1st", "9", "a/b", "it's", 'a"b', "a\\b", "-x", "a\nb", " a", "x" * 256])
def test_bad_names_are_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match="task name") as caught:
        BashTask("true", name=name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"slots": 0}, "slots"), ({"slots": -1}, "slots"), ({"slots": 1.5}, "slots"), ({"slots": True}, "slots"),
        ({"mem_free": 0}, "mem_free"), ({"mem_free": float("nan")}, "mem_free"), ({"mem_free": "2G"}, "mem_free"),
        ({"mem_free": float("inf")}, "mem_free"), ({"max_attempts": 0}, "max_attempts"),
        ({"max_runtime": 0}, "max_runtime"), ({"max_runtime": "1h"}, "max_runtime"), ({"tag": "a\nb"}, "tag"),
        ({"tag": 7}, "tag"), ({"upstream_tasks": "write"}, "upstream_tasks"), ({"upstream_tasks": [7]}, "upstream"),
        ({"env_variables": ["A=1"]}, "env_variables"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_at_construction(options: dict[str, object], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        BashTask("true", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["", "  \n", None, 7, "a\0b"])
def test_wrong_commands_are_refused(command: object) -> None:
    with pytest.raises(ValueError, match="command"):
        BashTask(command)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{}, {"script": ""}, {"script": "x", "args": "1 2"}])
def test_wrong_scripts_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"script|args"):
        PythonTask(**options)  # type: ignore[arg-type]


def test_misspelt_arguments_are_errors() -> None:
    with pytest.raises(TypeError, match="slot"):
        PythonTask(script="x", slot=2)


def test_a_task_is_its_command() -> None:
    one, other = BashTask("true", name="one"), BashTask("true", name="other", slots=4)
    assert one == other
    assert hash(one) == hash(other)
    assert one.hash == other.hash
    assert one != BashTask("false")
    assert one != "true"


def test_upstreams_and_downstreams_mirror_each_other() -> None:
    one, two, three = BashTask("one"), BashTask("two"), BashTask("three")
    two.add_upstream(one)
    two.add_upstream(one)
    two.add_downstream(three)
    assert (two.upstream_tasks, two.downstream_tasks) == ([one], [three])
    assert (one.downstream_tasks, three.upstream_tasks) == ([two], [two])


def test_a_task_cannot_wait_for_itself() -> None:
    task = BashTask("true")
    with pytest.raises(ValueError, match="itself"):
        task.add_upstream(task)
