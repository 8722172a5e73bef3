"""The attempt store on a (shared) file system, and its two layouts.

    <root>/<shard>/<instance_id>/     the attempt's folder, 0700; making it claims the attempt's preparation
        command                       what the user asked to run, 0600
        token                         who won: the life of the attempt in lines, see `token_file.py`
        over                          "memory" or "runtime": the limit our own executor enforced
        out, err                      output, unless the workflow names other folders
    <root>/ended/<run>.<instance>     a hint that the attempt has ended: an empty folder, or a link to its token

    <root>/local/<shard>/<instance_id>.command, .token, .over, .out, .err
    <root>/local/ended/<run>.<instance>

The second, flat one is for attempts of this machine, of which there may be hundreds a second: a file more costs more
than all we do with it, and a file that is deleted makes the creation of the next ones dearer for minutes (ext4 leaves
its inode unused and searches past it). So nothing that an attempt needs is ever created and deleted again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import socket
import stat
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from executors import faults
from executors.base import Evidence, Hint, Token, Usage
from executors.token_file import parse_token, render_usage_line

logger = logging.getLogger(__name__)
SHARD_SIZE = 1000
LOCAL = "local"
_STREAMS = {"stdout": "out", "stderr": "err"}
_TOKEN_LIMIT = 64 * 1024
_HINT = re.compile(r"(0|[1-9][0-9]{0,17})\.(0|[1-9][0-9]{0,17})")
# Far more than one person's attempts that are live: what is above it was not left by jobs.
MOST_HINTS = 10_000


def attempt_folder(root: Path, instance_id: int) -> Path:
    return root / str(instance_id // SHARD_SIZE) / str(instance_id)


def local_prefix(root: Path, instance_id: int) -> str:
    """How the files of an attempt begin in the flat layout, up to their dot. Below a folder of its own: the shards of
    the two layouts do not collide."""
    return f"{root}/{LOCAL}/{instance_id // SHARD_SIZE}/{instance_id}"


def hint_path(root: Path, run_id: int, instance_id: int) -> Path:
    return root / "ended" / f"{run_id}.{instance_id}"


def find_output(root: Path, instance_id: int, stream: str) -> Path:
    """Where the output of an attempt ("stdout" or "stderr") is or would be, in whichever layout it was prepared."""
    name = _STREAMS[stream]
    prefix = local_prefix(root, instance_id)
    if os.path.lexists(f"{prefix}.command"):
        return Path(f"{prefix}.{name}")
    return attempt_folder(root, instance_id) / name


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
        self.ended = root / "ended"

    def create(self) -> None:
        """Make the root and its fixed folders, private to the owner."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.ended.parent.mkdir(exist_ok=True, mode=0o700)
        self.ended.mkdir(exist_ok=True, mode=0o700)

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
        """Where an attempt's files are."""
        return attempt_folder(self.root, instance_id)

    def file(self, instance_id: int, name: str) -> str:
        """One of an attempt's files: command, token, over, out or err."""
        return f"{self.folder(instance_id)}/{name}"

    def prepare(self, instance_id: int, command: str) -> bool:
        """Claim the attempt and write its command. False: somebody else has decided about it; do not submit. Raises
        OSError (disk full, no rights) before anything was submitted, and UnicodeEncodeError before anything was
        made."""
        content = (command + "\n").encode("utf-8")
        folder = self.folder(instance_id)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            return False
        except FileNotFoundError:
            folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return self.prepare(instance_id, command)
        self._write_command(instance_id, content)
        return True

    def _write_command(self, instance_id: int, content: bytes) -> None:
        """Raises FileExistsError if there is one."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self.file(instance_id, "command"), flags, 0o600)
        faults.point("mid_directory")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)

    def read(self, instance_ids: Iterable[int]) -> dict[int, Evidence]:
        found: dict[int, Evidence] = {}
        for instance_id in instance_ids:
            evidence = self._read_one(instance_id)
            if evidence is not None:
                found[instance_id] = evidence
        return found

    def _read_one(self, instance_id: int) -> Evidence | None:
        try:
            with open(self.file(instance_id, "token"), "rb", buffering=0) as file:
                text = file.read(_TOKEN_LIMIT).decode("utf-8", "replace")
                modified_at = os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None
        evidence = parse_token(text, modified_at)
        if evidence.exit is not None and evidence.exit.code == 0:
            return evidence
        return Evidence(evidence.token, evidence.exit, evidence.usage, over=self._read_over(instance_id))

    def _read_over(self, instance_id: int) -> str | None:
        try:
            word = Path(self.file(instance_id, "over")).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        return word if word in ("memory", "runtime") else None

    def void(self, instance_ids: Iterable[int], who: str) -> dict[int, Token]:
        stands: dict[int, Token] = {}
        for instance_id in instance_ids:
            try:
                self._link_token(instance_id, f"void {secrets.token_hex(8)} {who}@{socket.gethostname()}\n")
            except OSError as error:  # of the others all can be told; this one is asked about again
                logger.warning("attempt %s cannot be given up now: %s", instance_id, error)
            faults.point("after_void_link")
            evidence = self._read_one(instance_id)
            if evidence is not None and evidence.token is not None:
                stands[instance_id] = evidence.token
        return stands

    def _link_token(self, instance_id: int, text: str) -> None:
        """The content of the token, not this call's outcome, says who won: a reply of link() can be lost."""
        folder = self.folder(instance_id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = folder / f".token.{secrets.token_hex(8)}"
        try:
            temporary.write_text(text, encoding="utf-8")
            os.link(temporary, self.file(instance_id, "token"))
        except FileExistsError:
            pass
        finally:
            temporary.unlink(missing_ok=True)

    def ring(self, hint: Hint, usage: Usage | None = None) -> None:
        """Leave a hint, after the usage was added to the token of an attempt whose wrapper is gone. If no name can be
        made there is no hint: the next listing tells of the end. Never raises OSError. Not for attempts whose wrapper
        writes its hint by itself: it would write into the token."""
        token = self.file(hint.instance_id, "token")
        with contextlib.suppress(OSError):
            if usage is not None:
                _append_usage(token, usage)
        faults.point("before_hint")
        with contextlib.suppress(OSError):
            os.link(token, self._hint_file(hint))

    def _hint_file(self, hint: Hint) -> str:
        return f"{self.ended}/{hint.run_id}.{hint.instance_id}"

    def hints(self) -> list[Hint]:
        return [Hint(int(match[1]), int(match[2])) for match in self._find_hints()]

    def count_hints(self) -> Counter[int]:
        by_text = Counter(match[1] for match in self._find_hints())
        return Counter({int(text): count for text, count in by_text.items()})

    def _find_hints(self) -> list[re.Match[str]]:
        try:
            names = os.listdir(self.ended)
        except FileNotFoundError:
            return []
        found = [match for match in map(_HINT.fullmatch, names) if match]
        return found if len(found) <= MOST_HINTS else self._thin_out(found)

    def _thin_out(self, found: Iterable[re.Match[str]]) -> list[re.Match[str]]:
        """Everybody may leave hints where jobs run as their owners: whoever floods us loses those above the limit."""
        kept: list[re.Match[str]] = []
        of_owner: Counter[int] = Counter()
        for match in found:
            path = f"{self.ended}/{match[0]}"
            try:
                owner = os.lstat(path).st_uid
            except OSError:
                continue
            of_owner[owner] += 1
            if of_owner[owner] <= MOST_HINTS:
                kept.append(match)
            else:
                self._remove_hint(path)
        for owner, count in of_owner.items():
            if count > MOST_HINTS:
                logger.warning("%s: uid %s left %s hints; %s were kept", self.ended, owner, count, MOST_HINTS)
        return kept

    def read_usage(self, hint: Hint) -> Usage | None:
        """Nothing beside the evidence: usage stands in the token."""
        return None

    def clear_hints(self, hints: Iterable[Hint]) -> None:
        """What others planted in a hint's place must not stop us: whatever it is, it is removed or moved aside."""
        for hint in hints:
            self._remove_hint(self._hint_file(hint))

    def _remove_hint(self, path: str) -> None:
        failure = ""
        for remove in (os.unlink, os.rmdir, self._move_aside):
            try:
                remove(path)
            except FileNotFoundError:
                return
            except OSError as error:
                failure = str(error.strerror)
            else:
                return
        logger.warning("the hint %s cannot be removed: %s", path, failure)

    def _move_aside(self, path: str) -> None:
        """A folder with something in it, which no job left there: out of the way, for the administrator to look at."""
        status = os.lstat(path)
        aside = f"{self.ended}/.no-hint.{os.path.basename(path)}.{secrets.token_hex(8)}"
        os.rename(path, aside)
        logger.warning("%s was no hint, but a folder of uid %s; it is now %s", path, status.st_uid, aside)

    def tail(self, instance_id: int, stream: str, limit: int, path: str = "") -> bytes | None:
        return read_tail(Path(path or self.file(instance_id, _STREAMS[stream])), limit)


def _append_usage(path: str, usage: Usage) -> None:
    """Unless the last line is torn: what follows it would be read with it, as something else. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if status.st_size and os.pread(descriptor, 1, status.st_size - 1) == b"\n":
            os.write(descriptor, render_usage_line(usage, status.st_mtime).encode())
    finally:
        os.close(descriptor)
