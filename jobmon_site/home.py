"""Where the embedded default keeps its things, all private to one person.

`home` ($JOBMON_HOME, default ~/.jobmon) holds the token, the secret key and the spool. The database and the sockets are
in `local`: the same folder, or a private one on this machine's disk when home is on a network file system, where
SQLite's WAL and Unix sockets do not work. `runtime` holds the sockets: `local`, unless its path is too long for them.
"""

from __future__ import annotations

import contextlib
import hashlib
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


SOCKET_PATH_BYTES = 107  # Linux; redis-server cuts longer ones and says nothing


@dataclass(frozen=True, slots=True)
class Home:
    home: Path
    local: Path

    @property
    def database(self) -> Path:
        return self.local / "jobmon.sqlite3"

    @property
    def runtime(self) -> Path:
        if len(os.fsencode(self.local / "redis.sock")) <= SOCKET_PATH_BYTES:
            return self.local
        digest = hashlib.sha256(os.fsencode(self.local)).hexdigest()[:16]
        return Path(f"/tmp/jobmon-{os.getuid()}-{digest}")  # noqa: S108 - 0700 and owner are checked

    @property
    def redis_socket(self) -> Path:
        return self.runtime / "redis.sock"

    @property
    def spool(self) -> Path:
        return self.home / "spool"

    @property
    def token_file(self) -> Path:
        return self.home / "token"

    @property
    def server_file(self) -> Path:
        return self.home / "server.json"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def lock_file(self) -> Path:
        """Held by the running server's processes."""
        return self.local / "serve.lock"

    @property
    def parts_file(self) -> Path:
        """Which processes the running server consists of."""
        return self.local / "parts.json"

    @property
    def host_file(self) -> Path:
        """The name of the machine whose disk holds the database, if that is not in `home`."""
        return self.home / "database-host"


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
    """The secret in the file, made on first use (0600). Of several processes that make it at once, one wins."""
    if not path.exists():
        temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    return path.read_text(encoding="utf-8").strip()
