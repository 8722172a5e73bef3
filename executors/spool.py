"""The attempt store on a (shared) file system, and the format of its files.

    <root>/<shard>/<instance_id>/     the attempt's folder, 0700; making it claims the attempt's preparation
        command                       what the user asked to run, 0600
        token                         who won: the life of the attempt in lines, see `parse_token`
        over                          "memory" or "runtime": the limit our own executor enforced
        out, err                      output, unless the workflow names other folders
    <root>/ended/<run>.<instance>     a hint that the attempt has ended; may hold usage in one line

A token file is one of
    void <nonce> <who>
    start <nonce> <host> <pgid> <executor id> <epoch seconds or ->
followed, when the command has ended, by the shell's `times` and `exit <code>`. The exit line is appended to the same
file because its disk block is already there: a full disk cannot lose an exit code. A line counts once its newline is
written.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from executors import faults
from executors.base import Evidence, Exit, Hint, Token, TokenKind, Usage

SHARD_SIZE = 1000
_TOKEN_LIMIT = 64 * 1024
_TIMES = re.compile(r"(\d+)m([\d.]+)s (\d+)m([\d.]+)s")
_HINT = re.compile(r"(\d+)\.(\d+)")


def attempt_folder(root: Path, instance_id: int) -> Path:
    return root / str(instance_id // SHARD_SIZE) / str(instance_id)


def hint_path(root: Path, run_id: int, instance_id: int) -> Path:
    return root / "ended" / f"{run_id}.{instance_id}"


def parse_times(line: str) -> float | None:
    """CPU seconds (user and system) of one line of the shell's `times`."""
    match = _TIMES.fullmatch(line)
    if match is None:
        return None
    user_min, user_s, sys_min, sys_s = match.groups()
    try:
        return int(user_min) * 60 + float(user_s) + int(sys_min) * 60 + float(sys_s)
    except ValueError:
        return None


def parse_usage(text: str) -> Usage:
    """`wallclock=1.5 cpu=0.2 maxvmem=1048576 io=0`; unknown or unreadable items are left out."""
    items = dict(item.split("=", 1) for item in text.split() if "=" in item)

    def number(key: str) -> float | None:
        try:
            return float(items[key])
        except (KeyError, ValueError):
            return None

    maxvmem, io = number("maxvmem"), number("io")
    return Usage(
        wallclock=number("wallclock"),
        cpu=number("cpu"),
        maxvmem=None if maxvmem is None else int(maxvmem),
        io=None if io is None else int(io),
    )


def format_usage(usage: Usage) -> str:
    fields = {"wallclock": usage.wallclock, "cpu": usage.cpu, "maxvmem": usage.maxvmem, "io": usage.io}
    known = ((key, value) for key, value in fields.items() if value is not None)
    return " ".join(f"{key}={value:.10g}" if isinstance(value, float) else f"{key}={value}" for key, value in known)


def _parse_start(words: list[str]) -> Token:
    pgid = words[3] if len(words) > 3 else ""
    batch_id = words[4] if len(words) > 4 else "-"
    started = words[5] if len(words) > 5 else "-"
    try:
        started_at: float | None = float(started)
    except ValueError:
        started_at = None
    return Token(
        TokenKind.START,
        nonce=words[1] if len(words) > 1 else "",
        host=words[2] if len(words) > 2 else None,
        process_group_id=int(pgid) if pgid.isdigit() else None,
        executor_id=None if batch_id == "-" else batch_id,
        started_at=started_at,
    )


def parse_token(text: str, modified_at: float) -> Evidence:
    """What a token file says. An existing file without a complete line is a start in progress: `void` is linked
    whole, only a starting wrapper writes in place. Unknown lines are ignored."""
    complete = text[: text.rfind("\n") + 1].splitlines()
    if not complete:
        return Evidence(token=Token(TokenKind.START, nonce=""))
    words = complete[0].split()
    if words[:1] == ["void"]:
        return Evidence(token=Token(TokenKind.VOID, nonce=words[1] if len(words) > 1 else ""))
    token = _parse_start(words)
    cpu = [seconds for line in complete[1:] if (seconds := parse_times(line)) is not None]
    for line in complete[1:]:
        parts = line.split()
        if len(parts) >= 2 and parts[0] == "exit" and parts[1].isdigit():
            code = int(parts[1])
            ended_at = modified_at
            wallclock = None if token.started_at is None else max(0.0, ended_at - token.started_at)
            return Evidence(
                token=token,
                exit=Exit(code=code, signal=code - 128 if 128 < code <= 192 else None, ended_at=ended_at),
                usage=Usage(wallclock=wallclock, cpu=sum(cpu) if cpu else None),
            )
    return Evidence(token=token)


def read_tail(path: Path, limit: int) -> bytes | None:
    """The last `limit` bytes of a regular file; None if there is none. Never follows a link, never blocks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        file.seek(max(0, status.st_size - limit))
        return file.read(limit)


class Spool:
    """Attempts as folders below one root. All methods work on sets and tolerate what is missing."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self) -> None:
        """Make the root and its fixed folders, private to the owner."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.root / "ended").mkdir(exist_ok=True, mode=0o700)

    def check(self) -> str | None:
        """A sentence if link() or rename() do not work here, else None. Run at start-up."""
        try:
            self.create()
            with tempfile.TemporaryDirectory(dir=self.root, prefix="check.") as folder:
                one, two, three = (os.path.join(folder, name) for name in ("one", "two", "three"))
                Path(one).write_text("x")
                os.link(one, two)
                os.rename(two, three)
                try:
                    os.link(one, three)
                except FileExistsError:
                    return None
                return f"{self.root}: link() replaces an existing file; the spool needs a file system where it does not"
        except OSError as error:
            return f"{self.root}: {error.strerror}; the spool needs a file system with link() and rename()"

    def folder(self, instance_id: int) -> Path:
        return attempt_folder(self.root, instance_id)

    def prepare(self, instance_id: int, command: str) -> bool:
        """Claim the attempt's folder and write its command. False: somebody else has decided about it; do not
        submit. Raises OSError (disk full, no rights) before anything was submitted, and UnicodeEncodeError before
        anything was made."""
        content = (command + "\n").encode("utf-8")
        folder = self.folder(instance_id)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            return False
        except FileNotFoundError:
            folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                return False
        faults.point("mid_directory")
        descriptor = os.open(folder / "command", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return True

    def read(self, instance_ids: Iterable[int]) -> dict[int, Evidence]:
        found: dict[int, Evidence] = {}
        for instance_id in instance_ids:
            evidence = self._read_one(self.folder(instance_id))
            if evidence is not None:
                found[instance_id] = evidence
        return found

    def _read_one(self, folder: Path) -> Evidence | None:
        try:
            with open(folder / "token", encoding="utf-8", errors="replace") as file:
                text = file.read(_TOKEN_LIMIT)
                modified_at = os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None
        evidence = parse_token(text, modified_at)
        if evidence.exit is not None and evidence.exit.code == 0:
            return evidence
        return Evidence(evidence.token, evidence.exit, evidence.usage, over=self._read_over(folder))

    def _read_over(self, folder: Path) -> str | None:
        try:
            word = (folder / "over").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        return word if word in ("memory", "runtime") else None

    def void(self, instance_ids: Iterable[int], who: str) -> dict[int, Token]:
        stands: dict[int, Token] = {}
        for instance_id in instance_ids:
            folder = self.folder(instance_id)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._link_token(folder, f"void {secrets.token_hex(8)} {who}@{socket.gethostname()}\n")
            faults.point("after_void_link")
            evidence = self._read_one(folder)
            if evidence is not None and evidence.token is not None:
                stands[instance_id] = evidence.token
        return stands

    def _link_token(self, folder: Path, text: str) -> None:
        """The content of `token`, not this call's outcome, says who won: a reply of link() can be lost."""
        temporary = folder / f".token.{secrets.token_hex(8)}"
        try:
            temporary.write_text(text, encoding="utf-8")
            os.link(temporary, folder / "token")
        except FileExistsError:
            pass
        finally:
            temporary.unlink(missing_ok=True)

    def ring(self, hint: Hint, usage: Usage) -> None:
        """Leave a hint that carries usage; it appears whole. With a full disk it carries none, and if not even a name
        can be made there is no hint: the next listing tells of the end. Never raises OSError."""
        path = hint_path(self.root, hint.run_id, hint.instance_id)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            temporary.write_text(format_usage(usage) + "\n", encoding="utf-8")
            os.rename(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                path.touch()
            with contextlib.suppress(OSError):
                temporary.unlink()

    def hints(self) -> list[Hint]:
        try:
            with os.scandir(self.root / "ended") as entries:
                names = [entry.name for entry in entries]
        except FileNotFoundError:
            return []
        matches = (_HINT.fullmatch(name) for name in names)
        return [Hint(int(match[1]), int(match[2])) for match in matches if match]

    def read_usage(self, hint: Hint) -> Usage | None:
        """What the executor measured, if the hint carries it."""
        try:
            text = hint_path(self.root, hint.run_id, hint.instance_id).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        return parse_usage(text) if text else None

    def clear_hints(self, hints: Iterable[Hint]) -> None:
        for hint in hints:
            hint_path(self.root, hint.run_id, hint.instance_id).unlink(missing_ok=True)

    def tail(self, instance_id: int, stream: str, limit: int) -> bytes | None:
        return read_tail(self.folder(instance_id) / {"stdout": "out", "stderr": "err"}[stream], limit)
