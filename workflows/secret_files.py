"""Pure: the variables of a job, and those whose values the node reads from a file of the job's account.

A job is its command, so both are part of it, as the client writes them too:

    #JOBMON DB_PASSWORD from file /home/alice/.pgpass
    export OMP_NUM_THREADS=1; fit --all

Lines of the first form count at the head of a command only; a shell takes them for comments.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from executors.secret_files import refuse_files

MARK = "#JOBMON "
_LINE = re.compile(r"#JOBMON ([^ \n]*) from file ([^\n]*)(?:\n|\Z)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Files = tuple[tuple[str, str], ...]


def split_command(command: str) -> tuple[Files, str]:
    """(variable, path) of each line at the head, and what is left of the command."""
    files, end = [], 0
    while command.startswith(MARK, end) and (found := _LINE.match(command, end)):
        files.append((found[1], found[2]))
        end = found.end()
    return tuple(files), command[end:]


def describe_files(command: str) -> dict[str, dict[str, str]]:
    """The references of a command, as a submission takes them for `env_variables`."""
    return {name: {"file": path} for name, path in split_command(command)[0]}


def write_variables(command: str, given: Mapping[str, object]) -> tuple[str, list[tuple[str, str]]]:
    """The command with these variables in it, in the order of their names; and what is wrong with them or with its head:
    (field, why). A reference that is at the head already may be given again."""
    head, rest = split_command(command)
    faults = _check_rest(head, rest)
    taken = dict(head)
    plain = {name: value for name, value in given.items() if isinstance(value, str)}
    files = list(head)
    for name, value in given.items():
        path = _read_path(value)
        if name in plain or path is None:
            faults += [(f"env_variables.{name}", words) for words in _find_faults(name, name in plain, taken)]
        elif taken.get(name) != path:
            files.append((name, path))
    if sentence := refuse_files(files):
        faults.append(("env_variables", sentence))
    if faults or not given:
        return command, faults
    assignments = " ".join(f"{name}={shlex.quote(plain[name])}" for name in sorted(plain))
    return _render_head(files) + (f"export {assignments}; {rest}" if plain else rest), []


def _check_rest(head: Files, rest: str) -> list[tuple[str, str]]:
    if rest.startswith(MARK):
        line = rest.splitlines()[0]
        return [("command", f"{line[:80]!r} is no reference; write {MARK}NAME from file /path")]
    return [("command", "nothing follows the references; add what is to be run")] if head and not rest.strip() else []


def _render_head(files: list[tuple[str, str]]) -> str:
    return "".join(f"{MARK}{name} from file {path}\n" for name, path in sorted(files))


def _read_path(value: object) -> str | None:
    """The path of a reference; None for anything else."""
    path = value.get("file") if isinstance(value, dict) and len(value) == 1 else None
    return path if isinstance(path, str) else None


def _find_faults(name: str, is_plain: bool, head: Mapping[str, str]) -> list[str]:
    """What is wrong with a variable that is no reference."""
    if not is_plain:
        return [f'{name} should be text, or {{"file": "/absolute/path"}} to have it read from there']
    if not _NAME.fullmatch(name):
        return [f"{name!r} is no name of a variable; use letters, digits and _"]
    return [f"{name} is read from a file already; give it one value"] if name in head else []
