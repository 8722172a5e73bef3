"""Real servers for tests: a MariaDB of the suite's own, and the embedded Jobmon server."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from executors.processes import process_start
from jobmon_site.supervisor import die_with, last_lines
from tests.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parent.parent
PARTS = ("redis", "shepherd", "worker", "beat", "web")


class Unavailable(Exception):
    """A program that a real part of the suite needs is not here."""


def find_program(*names: str) -> str:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/usr/local/bin"
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise Unavailable(f"{' or '.join(names)} is not installed")


def _end_with_the_tests() -> Callable[[], None]:
    """For preexec_fn: a test run that is killed leaves no server behind."""
    parent = os.getpid()
    return lambda: die_with(parent)


class MariaDB:
    """A MariaDB server in a private folder, on a Unix socket only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """With the data that are in the folder, if there are any. Raises Unavailable if there is no MariaDB on this
        machine."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.folder / "data").exists():
            self._install()
        self._launch()

    def _install(self) -> None:
        install, data = find_program("mariadb-install-db", "mysql_install_db"), self.folder / "data"
        user = ["--user=root"] if os.getuid() == 0 else []
        subprocess.run(
            [install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
             "--skip-test-db", *user],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip

    def _launch(self) -> None:
        server, data = find_program("mariadbd", "mysqld"), self.folder / "data"
        user = ["--user=root"] if os.getuid() == 0 else []
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [server, "--no-defaults", f"--datadir={data}", f"--socket={self.socket}", "--skip-networking",
                 f"--pid-file={self.folder / 'pid'}", f"--tmpdir={self.folder}", "--innodb-buffer-pool-size=128M",
                 "--innodb-flush-log-at-trx-commit=2", "--performance-schema=OFF", "--skip-name-resolve", *user],
                stdout=log, stderr=log, start_new_session=True, preexec_fn=_end_with_the_tests(),
            )  # fmt: skip
        wait_until(self.is_answering, 120, f"MariaDB answers; its log is {self.folder / 'log'}")

    def is_answering(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")[-2000:]
        try:
            run_mariadb(self.socket, "SELECT 1")
        except Exception:
            return False
        return True

    def cut_connections(self) -> None:
        """Every one but that which asks for it."""
        rows = run_mariadb(self.socket, "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()")
        for (number,) in rows:
            with suppress(Exception):  # it is gone already, or belongs to the server itself
                run_mariadb(self.socket, f"KILL CONNECTION {number}")

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def crash(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def go_on(self) -> None:
        """After a pause or a crash; else nothing changes."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
        else:
            self._launch()

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def run_mariadb(socket: Path, *statements: str, database: str = "") -> list[tuple[Any, ...]]:
    """The rows of the last statement."""
    import MySQLdb

    rows: list[tuple[Any, ...]] = []
    with closing(MySQLdb.connect(unix_socket=str(socket), user="root", db=database, charset="utf8mb4")) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
            rows = list(cursor.fetchall())
        connection.commit()
    return rows


def is_living(pid: int) -> bool:
    return process_start(pid) is not None


class EmbeddedServer:
    """`manage.py serve` as a person starts it, in a home of its own."""

    def __init__(self, home: Path, database: Mapping[str, str] | None = None, **environment: str) -> None:
        self.home = home
        self.root = REPOSITORY  # another folder: another version of the program
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home.parent),
            "LANG": "C.UTF-8",
            "JOBMON_HOME": str(home),
            "JOBMON_EXECUTORS": "local,sequential",
            **(database or {}),
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.output_file = home.parent / f"{home.name}.output"
        self.program = sys.executable
        self._seen: dict[int, str] = {}

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the command, from a folder that is not the repository, and do not wait."""
        with open(self.output_file, "ab") as output:
            self.process = subprocess.Popen(
                [self.program, str(self.root / "manage.py"), "serve"],
                env=self.environment, cwd=self.home.parent, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True, preexec_fn=_end_with_the_tests(),
            )  # fmt: skip
        return self.process

    def start(self) -> EmbeddedServer:
        self.output_file.unlink(missing_ok=True)
        process = self.launch()

        def is_up() -> bool:
            assert process.poll() is None, f"serve ended with {process.returncode}:\n{self.output}"
            return self.server_file.get("pid") == process.pid

        wait_until(is_up, 150, "server.json is there")
        self.parts  # noqa: B018 - remember them, to clear up
        return self

    @property
    def output(self) -> str:
        return self.output_file.read_text(encoding="utf-8", errors="replace")

    @property
    def server_file(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.home / "server.json").read_text()))
        except (FileNotFoundError, ValueError):
            return {}

    @property
    def url(self) -> str:
        return str(self.server_file["url"])

    @property
    def token(self) -> str:
        return (self.home / "token").read_text().strip()

    @property
    def parts(self) -> dict[str, int]:
        """name → pid of the parts as they are now."""
        try:
            entries = json.loads((self.home / "parts.json").read_text())
        except FileNotFoundError:
            return {}
        for entry in entries.values():
            self._seen[entry["pid"]] = entry["start"]
        return {name: entry["pid"] for name, entry in entries.items()}

    @property
    def living(self) -> list[int]:
        """All processes that this server ever consisted of and that still live."""
        self.parts  # noqa: B018 - may have changed
        return [pid for pid, start in self._seen.items() if start is not None and process_start(pid) == start]

    def kill_part(self, name: str) -> int:
        pid = self.parts[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_for_restart(self, name: str, old: int) -> int:
        """The pid of the process that took the place of `old`."""

        def find_new() -> int:
            pid = self.parts.get(name, old)
            return pid if pid != old and is_living(pid) else 0

        return wait_until(find_new, 120, f"{name} runs again")

    def kill_everything(self) -> None:
        """As a crash of the machine's user session: the supervisor and all parts at once. Jobs go on."""
        pids = list(self.parts.values())
        assert self.process is not None
        self.process.kill()
        for pid in pids:
            if process_start(pid) == self._seen[pid]:
                with suppress(ProcessLookupError):  # its supervisor's death may have ended it just now
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Stop as Ctrl-C does; answers the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def close(self) -> None:
        """End whatever is left."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in self.living:
            os.kill(pid, signal.SIGKILL)

    def last_words(self, count: int = 25) -> str:
        """What it said, and the ends of its parts' logs."""
        files = [self.output_file, *sorted((self.home / "logs").glob("*.log"))]
        texts = {file.name: last_lines(file, count) for file in files}
        return "\n".join(f"--- {name}\n{text}" for name, text in texts.items() if text)

    def request(self, path: str, token: str | None = None, **headers: str) -> tuple[int, bytes]:
        """Status and body of a GET; errors are answers too."""
        request = urllib.request.Request(self.url + path, headers=headers)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def get(self, path: str) -> Any:
        """The JSON at a path of the API, with the token."""
        status, body = self.request(path, self.token)
        assert status == 200, f"{path}: {status} {body[:500]!r}"
        return json.loads(body)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """What a person with a database client sees."""
        host = self.environment.get("JOBMON_DB_HOST")
        if host:
            return run_mariadb(Path(host), sql, database=self.environment["JOBMON_DB_NAME"])
        database = f"file:{self.home / 'jobmon.sqlite3'}?mode=ro"
        with closing(sqlite3.connect(database, uri=True, timeout=30)) as connection:
            return connection.execute(sql).fetchall()

    @property
    def sign_in_link(self) -> str:
        found = re.search(r"(http://127\.0\.0\.1:\d+)(/login/once/\?code=\S+)", self.output)
        assert found is not None, self.output
        return found[2]


@contextmanager
def server_database(name: str) -> Iterator[dict[str, str]]:
    """Environment for an embedded server: SQLite in its home, or a fresh database on the suite's MariaDB."""
    if os.environ.get("JOBMON_TEST_DATABASE") != "mariadb":
        yield {}
        return
    socket = Path(os.environ["JOBMON_TEST_ROOT"]) / "mariadb" / "sock"
    run_mariadb(socket, f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    try:
        yield {"JOBMON_DB": "mysql", "JOBMON_DB_HOST": str(socket), "JOBMON_DB_USER": "root", "JOBMON_DB_NAME": name}
    finally:
        run_mariadb(socket, f"DROP DATABASE `{name}`")
