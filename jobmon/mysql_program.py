"""Asks MySQL through its own client program, where no Python package for it is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess  # noqa: TID251 - the client cannot use the server's executors.shell
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree  # noqa: S405 - the program's own output: it writes no entities

if TYPE_CHECKING:
    from collections.abc import Sequence

NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
# Not allowed in XML, but the program passes them on; the terminal must not get them either
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_ERROR = re.compile(r"ERROR (?:(\d{4}) )?(?:\(\w+\))?:?(?: ?at line \d+)?:? (.*)")
_UNKNOWN_ERROR, _NO_CONNECTION = 1105, 2002


def find_program() -> str | None:
    """The client program's path, if there is one."""
    return shutil.which("mariadb") or shutil.which("mysql")


def ask_program(argv: Sequence[str], password: str, sql: str) -> tuple[int, str, list[str], list[tuple[Any, ...]]]:
    """Error number and words (0 if all is well), columns and rows. All values are text, or None.

    The password travels in the environment, which others cannot read; so no option file may come in between. In binary
    mode the program takes no commands of its own, such as running a shell.
    """
    command = [argv[0], "--no-defaults", "--xml", "--binary-mode", "--default-character-set=utf8mb4", *argv[1:]]
    environment = {**os.environ, "MYSQL_PWD": password}
    done = subprocess.run(command, input=sql.encode(), env=environment, capture_output=True, check=False)
    words = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode:
        found = _ERROR.search(words)
        return (int(found[1] or _UNKNOWN_ERROR), found[2], [], []) if found else (_NO_CONNECTION, words, [], [])
    return (0, "", *read_xml(done.stdout))


def read_xml(output: bytes) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Columns and rows of the last result. Without rows the program does not tell the columns."""
    text = _NOT_XML.sub("", output.decode("utf-8", "replace"))
    start = text.rfind("<resultset")
    if start < 0:
        return [], []
    rows = list(ElementTree.fromstring(text[start:]))  # noqa: S314 - see above
    columns = [str(field.get("name")) for field in rows[0]] if rows else []
    return columns, [tuple(None if field.get(NIL) else field.text or "" for field in row) for row in rows]
