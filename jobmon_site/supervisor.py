"""Keeps the parts of the embedded server running and ends them together.

Run as a program of its own, with the standard library only: `manage.py serve` prepares everything, writes a plan and
becomes this process, so that no copy of Django sits idle beside the parts. Every part is a direct child in a session
of its own (Ctrl-C reaches the supervisor alone) and gets SIGTERM from the kernel when the supervisor dies, however that
happens.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess  # noqa: TID251 - the parts of the server itself; jobs start in executors/shell.py
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

if not __package__:  # started as a file, isolated: the package's parent folder is not on the path
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from executors.processes import process_start
from executors.unix_socket import is_answering

PR_SET_PDEATHSIG = 1
START_SECONDS = 60.0
START_TRIES = 3
PULSE_SECONDS = 5.0
HEARTBEAT_VARIABLE = "JOBMON_HEARTBEAT"
STABLE_SECONDS = 10.0
MAX_BACKOFF_SECONDS = 30.0
SECOND_WISH_SECONDS = 1.0
MAX_LOG_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class Part:
    """One child. Parts of a lower stage start earlier and stop later. `ready` says how it tells that it is up:
    "announce" (a byte into a pipe), "redis:<socket>" or "socket:<socket>" (it answers there). A part that lives but gives
    no sign of it for `silence_seconds` is killed and started again; the sign is an answer of Redis, or a new time of the
    file `heartbeat`."""

    name: str
    argv: list[str]
    environment: dict[str, str]
    log: str
    stage: int
    ready: str
    stop_seconds: float = 15.0
    descriptors: list[int] = field(default_factory=list)
    heartbeat: str = ""
    silence_seconds: float = 0.0


@dataclass(frozen=True)
class Plan:
    """All that the supervisor needs. `server` is the content of `server_file` except for `started_at`."""

    parts: list[Part]
    directory: str
    server_file: str
    parts_file: str
    server: dict[str, Any]
    greeting: str

    def dump(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def load(cls, data: bytes) -> Plan:
        content = json.loads(data)
        return cls(**{**content, "parts": [Part(**part) for part in content["parts"]]})


class StartFailed(Exception):
    """A part did not come up; the message says which, and what it said."""


class Stopped(Exception):
    """Somebody asked the server to stop."""


def write_private(path: Path, content: object) -> None:
    """Replace the file by JSON that only its owner can read; a reader sees the old or the new text."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file)
    temporary.replace(path)


def open_log(path: Path) -> int:
    """The log, to append to. A long one is put aside first, as `<name>.1`."""
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def last_lines(path: Path, count: int = 15) -> str:
    try:
        text = path.read_bytes()[-16_384:].decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-count:])


_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """In the child, before exec: SIGTERM when the supervisor dies, and no signals blocked."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if os.getppid() != parent:
        os._exit(1)


class Child:
    """A part and the process that runs it now."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.failures = 0
        self.restart_at: float | None = None
        self.heard_at = 0.0
        self._last_beat = 0
        self._pipe: int | None = None

    def start(self, directory: str) -> None:
        environment, descriptors = dict(self.part.environment), list(self.part.descriptors)
        self._close_pipe()
        writer = None
        if self.part.ready == "announce":
            self._pipe, writer = os.pipe()
            os.set_blocking(self._pipe, False)
            environment["JOBMON_READY_FD"] = str(writer)
            descriptors.append(writer)
        if self.part.heartbeat:
            environment[HEARTBEAT_VARIABLE] = self.part.heartbeat
        parent, log = os.getpid(), open_log(Path(self.part.log))
        self.process = subprocess.Popen(
            self.part.argv, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            pass_fds=descriptors, start_new_session=True, preexec_fn=lambda: die_with(parent),
        )  # fmt: skip
        os.close(log)
        if writer is not None:
            os.close(writer)
        self.started, self.restart_at = time.monotonic(), None
        self.heard_at = self.started

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

    def is_ready(self) -> bool:
        kind, _, path = self.part.ready.partition(":")
        if kind != "announce":
            return is_answering(kind, Path(path))
        if self._pipe is None:
            return True
        try:
            announced = os.read(self._pipe, 1) == b"1"
        except BlockingIOError:
            return False
        self._close_pipe()
        return announced

    def is_silent(self, now: float) -> bool:
        """Whether it has given no sign of life for too long. Counted on our own clock: one that is set ends nothing."""
        if not self.part.silence_seconds or not self.is_running():
            return False
        if self._gives_sign():
            self.heard_at = now
        return now - self.heard_at > self.part.silence_seconds

    def _gives_sign(self) -> bool:
        if not self.part.heartbeat:
            return self.is_ready()
        try:
            beat = Path(self.part.heartbeat).stat().st_mtime_ns
        except OSError:
            return False
        is_new, self._last_beat = beat != self._last_beat, beat
        return is_new

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ending(self) -> str:
        code = self.process.returncode if self.process is not None else None
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    def plan_restart(self, now: float) -> float:
        """When to start again: at once after a long life, later and later after short ones."""
        self.failures = 0 if now - self.started > STABLE_SECONDS else self.failures + 1
        self.restart_at = now + min(MAX_BACKOFF_SECONDS, 0.25 * 2**self.failures)
        return self.restart_at - now

    def signal(self, number: int) -> None:
        """To the whole session of a child that has not been waited for: the number cannot be somebody else's."""
        if self.is_running() and self.process is not None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                self.process.send_signal(number)


class Supervisor:
    """Starts the parts stage by stage, starts again what dies, stops them in the opposite order."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.children = [Child(part) for part in plan.parts]
        asking = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        self._stop_signals = {number for number in asking if signal.getsignal(number) is not signal.SIG_IGN}
        self._watched = self._stop_signals | {signal.SIGCHLD}
        self._stop_begun = 0.0
        signal.pthread_sigmask(signal.SIG_BLOCK, self._watched)

    def run(self) -> int:
        code = 0
        try:
            for stage in self._stages():
                self._start_stage(stage)
            self._publish()
            self._watch()
        except StartFailed as error:
            code = 1
            _say(str(error))
        except Stopped:
            _say("Stopping …")
        self._stop()
        return code

    def _stages(self) -> list[int]:
        return sorted({child.part.stage for child in self.children})

    def _pause(self, seconds: float) -> None:
        """Wait for a signal. Raises Stopped if it asks to stop."""
        found = signal.sigtimedwait(self._watched, max(0.0, seconds))
        if found is not None and found.si_signo in self._stop_signals:
            raise Stopped

    def _start_stage(self, stage: int) -> None:
        waiting = [child for child in self.children if child.part.stage == stage]
        for child in waiting:
            self._start(child)
        deadline = time.monotonic() + START_SECONDS
        while waiting := [child for child in waiting if not child.is_ready()]:
            for ended in [child for child in waiting if not child.is_running()]:
                self._start_again(ended)
            if time.monotonic() > deadline:
                raise StartFailed(_failure(waiting[0].part, f"is not up after {START_SECONDS:g} s"))
            self._pause(0.05)

    def _start_again(self, child: Child) -> None:
        """An accident in the middle of a start need not end all of it; a part that cannot start does."""
        child.failures += 1
        if child.failures >= START_TRIES:
            raise StartFailed(_failure(child.part, f"ended with {child.ending()}"))
        _say(f"The {child.part.name} part ended ({child.ending()}) before it was up; it starts again.")
        self._start(child)

    def _start(self, child: Child) -> None:
        try:
            child.start(self.plan.directory)
        except OSError as error:
            raise StartFailed(_failure(child.part, f"cannot be started: {error}")) from error
        self._record_parts()

    def _record_parts(self) -> None:
        """For whoever has to clear up after us: which processes are ours."""
        pids = {child.part.name: child.process.pid for child in self.children if child.process is not None}
        write_private(
            Path(self.plan.parts_file), {name: {"pid": pid, "start": process_start(pid)} for name, pid in pids.items()}
        )

    def _publish(self) -> None:
        started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write_private(Path(self.plan.server_file), {**self.plan.server, "started_at": started_at})
        _say(self.plan.greeting)

    def _watch(self) -> None:
        while True:
            now = time.monotonic()
            for child in self.children:
                if child.restart_at is None and not child.is_running():
                    delay = child.plan_restart(now)
                    _say(f"The {child.part.name} part ended ({child.ending()}); it starts again in {delay:g} s.")
                elif child.restart_at is not None and child.restart_at <= now:
                    self._restart(child)
                elif child.is_silent(now):
                    _say(
                        f"The {child.part.name} part gives no sign of life for {now - child.heard_at:.0f} s; it is killed."
                    )
                    child.signal(signal.SIGKILL)
            times = [child.restart_at for child in self.children if child.restart_at is not None]
            self._pause(min([*times, now + PULSE_SECONDS]) - time.monotonic())

    def _restart(self, child: Child) -> None:
        try:
            self._start(child)
        except StartFailed as error:
            _say(str(error))
            child.plan_restart(time.monotonic())

    def _stop(self) -> None:
        Path(self.plan.server_file).unlink(missing_ok=True)
        hurry, self._stop_begun = False, time.monotonic()
        for stage in reversed(self._stages()):
            hurry = self._stop_stage([child for child in self.children if child.part.stage == stage], hurry)
        Path(self.plan.parts_file).unlink(missing_ok=True)

    def _stop_stage(self, children: list[Child], hurry: bool) -> bool:
        """TERM, wait, KILL. Answers whether somebody asked a second time, and so wants no waiting."""
        for child in children:
            child.signal(signal.SIGTERM)
        begun = time.monotonic()
        while living := [child for child in children if child.is_running()]:
            for child in living:
                if hurry or time.monotonic() - begun > child.part.stop_seconds:
                    child.signal(signal.SIGKILL)
            try:
                self._pause(0.2)
            except Stopped:  # the same wish often comes twice at once, from a terminal or a script
                hurry = hurry or time.monotonic() - self._stop_begun > SECOND_WISH_SECONDS
        return hurry


def _failure(part: Part, what: str) -> str:
    return f"The {part.name} part {what}. The end of {part.log}:\n{last_lines(Path(part.log))}"


def _say(text: str) -> None:
    """A terminal that has gone away must not end the server."""
    try:
        sys.stdout.write(text.rstrip("\n") + "\n")
        sys.stdout.flush()
    except OSError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of this process's life


def main(descriptor: int) -> int:
    with os.fdopen(descriptor, "rb") as file:
        plan = Plan.load(file.read())
    return Supervisor(plan).run()


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1])))
