"""Variables whose values the job reads from a file, and how a command says so."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

MAX_PATH = 4096
_LINE = re.compile(r"#JOBMON [^ \n]* from file [^\n]*(?:\n|\Z)")


class SecretFile:
    """The value of a variable that is in a file. Only the path is stored; the file is read where the job runs, as the
    account that it runs as, just before it starts.

    path: absolute, or `~/…` of the submitter. The file must belong to that account and be open to nobody else
    (`chmod 600`), have at most 64 KB and no NUL character; newlines at its end are cut. Else the job fails and says why.
    Raises ValueError for a path that cannot be.
    """

    __slots__ = ("path",)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = _check_path(os.path.expanduser(os.fspath(path)))

    def __eq__(self, other: object) -> bool:
        return self.path == other.path if isinstance(other, SecretFile) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"SecretFile({self.path!r})"


def _check_path(path: Any) -> str:
    if not isinstance(path, str) or "\0" in path or "\n" in path:
        raise ValueError(f"SecretFile: {path!r} is no path on one line")
    if not os.path.isabs(path):
        raise ValueError(f"SecretFile: {path!r} is not absolute; begin it with / or ~/, for the job runs elsewhere")
    if len(path) > MAX_PATH:
        raise ValueError(f"SecretFile: the path {path[:60] + '…'!r} is over {MAX_PATH} characters; use a shorter one")
    return path


def read_reference(value: object) -> SecretFile | None:
    """A SecretFile, or its plain form `{"file": "/path"}`; None for any other value. Raises ValueError for a mapping that
    is neither."""
    if isinstance(value, SecretFile):
        return value
    if not isinstance(value, Mapping):
        return None
    if set(value) != {"file"} or not isinstance(value["file"], str):
        raise ValueError(f'{value!r} should be text, or {{"file": "/absolute/path"}} to have it read from there')
    return SecretFile(value["file"])


def add_references(files: Mapping[str, SecretFile], command: str) -> str:
    """The command with a line for each of these at its head, beside those that it has already."""
    head, rest = split_head(command)
    lines = {*head, *(f"#JOBMON {name} from file {file.path}\n" for name, file in files.items())}
    return "".join(sorted(lines)) + rest


def split_head(command: str) -> tuple[list[str], str]:
    """The lines of references at the head of a command, and the rest of it."""
    head, end = [], 0
    found = _LINE.match(command)
    while found:
        head.append(found.group().rstrip("\n") + "\n")
        end = found.end()
        found = _LINE.match(command, end)
    return head, command[end:]
