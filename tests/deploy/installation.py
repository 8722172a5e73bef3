"""The shared server of docs/install.md in a private folder and on loopback: the guide's own commands, the shipped nginx
file and the units' own ExecStart lines, with other paths, ports and accounts."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tests.ports import find_ports
from tests.services import REPOSITORY, MariaDB, find_program
from tests.waiting import wait_until

HOST = "jobmon.example.org"
PASSWORD = "correct horse battery"
GUIDE = REPOSITORY / "docs" / "install.md"
UPGRADE = REPOSITORY / "docs" / "upgrade.md"
EXAMPLE = REPOSITORY / "deploy" / "environment.example"
SECRET = "k7Qd-" * 12
UNITS = REPOSITORY / "deploy" / "systemd"


def blocks_that_run(guide: Path = GUIDE) -> list[str]:
    """The commands of the guide that can run anywhere."""
    return re.findall(r"```sh tested\n(.*?)```", guide.read_text(), re.S)


def read_environment(file: Path) -> dict[str, str]:
    """An EnvironmentFile= as systemd reads it: plain NAME=value lines."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def shipped_settings(folder: Path) -> dict[str, str]:
    """The shipped settings, with their files below a private folder, and SQLite."""
    for name in ("secret_key", "db_password", "metrics_token"):
        (folder / name).write_text(SECRET + name + "\n")
    (folder / "redis_url").write_text("redis://:word@127.0.0.1:6379/0\n")
    text = {name: value.replace("/etc/jobmon", str(folder)) for name, value in read_environment(EXAMPLE).items()}
    places = {name: value.replace("/var/lib/jobmon", str(folder / "lib")) for name, value in text.items()}
    return {**places, "JOBMON_DB": "sqlite", "JOBMON_DB_NAME": str(folder / "x.sqlite3")}


def manage(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """manage.py with these settings and no others."""
    base = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments], env={**base, **environment}, cwd=REPOSITORY, capture_output=True,
        text=True, timeout=100,
    )  # fmt: skip


def exec_start(unit: str, folder: Path = UNITS) -> str:
    found = re.search(r"^ExecStart=(.*)$", (folder / f"{unit}.service").read_text(), re.M)
    assert found is not None, unit
    return found[1].replace("%%", "%")


class Installation:
    """Everything below one folder; `close` ends all that was started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.https = find_ports(3)
        self.http, self.redis = self.https + 1, self.https + 2
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.mariadb = MariaDB(folder / "db")
        names = "etc lib run ssl bin logs nginx home units sites-available sites-enabled"
        for name in names.split():
            (folder / name).mkdir()
        (folder / "sites-enabled" / "default").touch()  # Debian's own
        (folder / "home" / ".my.cnf").write_text(f"[client]\nsocket={self.mariadb.socket}\nuser=root\n")

    def localize(self, text: str) -> str:
        """The same text for this folder: paths, ports and no change of accounts."""
        places = {
            "/etc/jobmon": "etc", "/var/lib/jobmon": "lib", "/var/www/jobmon": "www", "/etc/ssl/jobmon": "ssl", "/usr/local/bin": "bin",
            "/etc/systemd/system": "units", "/etc/nginx/sites-available": "sites-available",
            "/etc/nginx/sites-enabled": "sites-enabled", "/run/jobmon-shepherd": "run/shepherd", "/run/jobmon/": "run/",
        }  # fmt: skip
        for place, name in places.items():
            text = text.replace(place, str(self.folder / name) + ("/" if place.endswith("/") else ""))
        text = text.replace("/opt/jobmon/.venv/bin", str(Path(sys.executable).parent))
        text = text.replace("/opt/jobmon", str(REPOSITORY)).replace(" -o root", "").replace(" -o jobmon", "")
        text = text.replace(" -g jobmon", "").replace("127.0.0.1:6379", f"127.0.0.1:{self.redis}")
        text = text.replace("/run/mysqld/mysqld.sock", str(self.mariadb.socket))
        return text.replace(f"https://{HOST}", f"https://{HOST}:{self.https}")

    @property
    def tools(self) -> dict[str, str]:
        """The environment of whoever types the guide's commands."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}:/usr/sbin"
        return {
            "PATH": path, "HOME": str(self.folder / "home"), "USER": "root", "LANG": "C.UTF-8",
        }  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        return {**self.tools, **read_environment(self.folder / "etc" / "jobmon.env")}

    def run_block(self, block: str, typed: str = "") -> None:
        """`typed` is what its programs are told when they ask."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.localize(block)], env=self.tools, cwd=self.folder,
            input=typed, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"

    def as_the_server(self, statement: str) -> str:
        """What the database answers to the server's own account, or why it refuses."""
        password = (self.folder / "etc" / "db_password").read_text().strip()
        done = subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={self.mariadb.socket}", "--user=jobmon", "-N", "-e", statement, "jobmon"],
            env={**self.tools, "MYSQL_PWD": password}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return done.stdout + done.stderr

    def adapt_files(self, more: dict[str, str]) -> None:
        """What a person edits or what lies elsewhere here: the settings and the command that was copied."""
        given = self.folder / "etc" / "jobmon.env"
        kept = [line for line in given.read_text().splitlines() if line.partition("=")[0] not in more]
        given.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in more.items())]) + "\n")
        for file in (self.folder / "etc" / "jobmon.env", self.folder / "bin" / "jobmon-manage"):
            file.write_text(self.localize(file.read_text()))
        command = self.folder / "bin" / "jobmon-manage"
        command.write_text(command.read_text().replace("id jobmon >", "false >"))

    def set_up(self, **more: str) -> None:
        """All of the guide; `more` overrides settings. Raises Unavailable."""
        for program in ("nginx", "redis-server", "openssl", "mariadb"):
            find_program(program)
        self.mariadb.start()
        settings, *others = blocks_that_run()
        self.run_block(settings)
        self.start_redis()
        self.adapt_files(more)
        for block in others:
            self.run_block(block, typed=f"{PASSWORD}\n" if "--password" in block else "")
        for unit in ("jobmon-web", "jobmon-shepherd", "jobmon-worker", "jobmon-beat"):
            self.start_unit(unit)
        self.start_nginx()

    def start(self, name: str, argv: list[str], environment: dict[str, str]) -> None:
        with open(self.folder / "logs" / name, "wb") as log:
            self.processes[name] = subprocess.Popen(
                argv, env=environment, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def start_redis(self) -> None:
        program = find_program("redis-server")
        password = urlsplit((self.folder / "etc" / "redis_url").read_text().strip()).password or ""
        argv = [program, "--port", str(self.redis), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        argv += ["--requirepass", password]
        self.start("redis", argv, self.tools)

    def start_unit(self, name: str) -> None:
        """As systemd does it: variables are put into the arguments, not by a shell."""
        environment = self.environment
        words = shlex.split(self.localize(exec_start(name, self.folder / "units")))
        argv = [re.sub(r"\$\{(\w+)\}", lambda match: environment[match[1]], word) for word in words]
        given = {"GUNICORN_WORKERS": "1", **environment, "GUNICORN_BIND": f"unix:{self.folder}/run/web.sock"}
        self.start(name, argv, given)

    def start_nginx(self) -> None:
        [enabled] = (self.folder / "sites-enabled").iterdir()
        site = self.localize(enabled.read_text())
        site = re.sub(r"listen \[::\].*\n", "", site).replace("listen 443", f"listen 127.0.0.1:{self.https}")
        site = site.replace("listen 80", f"listen 127.0.0.1:{self.http}")
        temporary = "".join(
            f"{kind}_temp_path {self.folder}/nginx/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;\n" if os.getuid() == 0 else ""
        config = self.folder / "nginx" / "nginx.conf"
        config.write_text(
            f"daemon off; pid {self.folder}/nginx/pid; error_log stderr; worker_processes 1;\n{user}"
            f"events {{}}\nhttp {{\naccess_log off;\ninclude /etc/nginx/mime.types;\n{temporary}{site}\n}}\n"
        )
        self.start("nginx", [find_program("nginx"), "-c", str(config), "-p", str(self.folder / "nginx")], self.tools)

    def wait_for(self, name: str, condition: object) -> None:
        def is_up() -> bool:
            assert self.processes[name].poll() is None, self.last_words()
            try:
                return bool(condition())  # type: ignore[operator]
            except OSError:
                return False

        wait_until(is_up, 90, f"{name} is up")

    def last_words(self) -> str:
        logs = sorted((self.folder / "logs").iterdir())
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-1500:]}" for file in logs)

    def close(self) -> None:
        for process in reversed(list(self.processes.values())):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.mariadb.stop()
