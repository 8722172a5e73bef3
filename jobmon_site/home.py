"""Where the embedded default keeps its things, all private to one person.

`home` ($JOBMON_HOME, default ~/.jobmon) holds the token, the secret key and the spool. The database and the sockets are
in `local`: the same folder, or a private one on this machine's disk when home is on a network file system, where
SQLite's WAL and Unix sockets do not work.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from jobmon_site.environment import SettingError

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "fuse.glusterfs",
     "fuse.sshfs", "afs", "9p", "panfs", "wekafs", "pvfs2", "fuse.juicefs"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Home:
    home: Path
    local: Path

    @property
    def database(self) -> Path:
        return self.local / "jobmon.sqlite3"

    @property
    def redis_socket(self) -> Path:
        return self.local / "redis.sock"

    @property
    def spool(self) -> Path:
        return self.home / "spool"

    @property
    def token_file(self) -> Path:
        return self.home / "token"

    @property
    def server_file(self) -> Path:
        return self.home / "server.json"


def file_system_type(path: Path, mounts: str) -> str:
    """The type of the file system that holds `path`, from the text of /proc/mounts."""
    best, kind = "", "unknown"
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        mount = fields[1].replace("\\040", " ")
        inside = str(path) == mount or str(path).startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, fields[2]
    return kind


def make_private(folder: Path) -> None:
    """Make the folder with mode 0700, or insist that it is ours and nobody else may enter."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise SettingError(f"{folder} is not a folder; name another one in JOBMON_HOME")
    if status.st_uid != os.getuid():
        raise SettingError(f"{folder} belongs to another user; name another folder in JOBMON_HOME")
    if status.st_mode & 0o077:
        folder.chmod(0o700)


def locate(home: str, *, mounts: str | None = None) -> Home:
    """Find both folders. Nothing is made."""
    path = Path(home or "~/.jobmon").expanduser().absolute()
    if mounts is None:
        try:
            mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
        except OSError:
            mounts = ""
    if file_system_type(path, mounts) in NETWORK_FILE_SYSTEMS:
        return Home(path, Path(f"/var/tmp/jobmon-{os.getuid()}"))  # noqa: S108 - 0700 and owner are checked
    return Home(path, path)


def read_or_make_secret(path: Path) -> str:
    """The secret in the file, made on first use (0600)."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    value = secrets.token_urlsafe(48)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(value + "\n")
    return value
