"""Finds a server that this user runs on this machine, by the files it leaves: `server.json` and `token`.

`server.json` is `{"url": "http://127.0.0.1:8000", "pid": 4711}`; `"home"` may name another folder with the token.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from jobmon.exceptions import ConfigError

VAR_TMP = Path("/var/tmp")  # noqa: S108 - what is there is used only if it is ours


@dataclass(frozen=True)
class LocalServer:
    """A server that says of itself where it is. `token_file` is None if it left no token."""

    url: str
    pid: int | None
    file: Path
    token_file: Path | None


def find_local_server(home: Path, look_in_var_tmp: bool, var_tmp: Path = VAR_TMP) -> LocalServer | None:
    """Look into the home folder, then where a server goes whose home is on a network file system."""
    folders = [home]
    if look_in_var_tmp:
        folders.append(var_tmp / f"jobmon-{os.getuid()}")
    for folder in folders:
        file = folder / "server.json"
        if _is_ours(folder) and _is_ours(file):
            return _read_server_file(file)
    return None


def read_private(path: Path, what: str = "token") -> str:
    """The text of a file with a secret. Raises ConfigError if others may read it, or if it is somebody else's."""
    try:
        descriptor = os.open(str(path), os.O_RDONLY)
        with os.fdopen(descriptor, encoding="utf-8") as file:
            found = os.fstat(file.fileno())
            if found.st_uid != os.getuid():
                raise ConfigError(f"{path} holds a {what} but belongs to another user; it is not used. Remove it.")
            if stat.S_IMODE(found.st_mode) & 0o077:
                raise ConfigError(
                    f"{path} holds a {what} and others can read it; it is not used. "
                    f"Run `chmod 600 {path}`, and make a new {what} if others may have seen this one."
                )
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Correct it or remove it.") from error


def _is_ours(path: Path) -> bool:
    """Whether it exists and belongs to this user; anybody can make things in /var/tmp, and links to other things."""
    try:
        return os.lstat(str(path)).st_uid == os.getuid() and os.stat(str(path)).st_uid == os.getuid()
    except OSError:
        return False


def _read_server_file(file: Path) -> LocalServer | None:
    """None for a file that is being written or makes no sense: a leftover must not stop everything else."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("url"), str):
        return None
    pid = content.get("pid")
    folders = [file.parent]
    if isinstance(content.get("home"), str):
        folders.insert(0, Path(content["home"]))
    tokens = [folder / "token" for folder in folders if (folder / "token").is_file()]
    return LocalServer(content["url"], pid if isinstance(pid, int) else None, file, tokens[0] if tokens else None)
