"""Throw-away people with Unix accounts, the helper installed as the guide says, and sudo's leave to use it.

Real accounts, real sudo: the commands are those of docs/run-as.md, with other names and folders; the shipped sudoers file
goes to /etc/sudoers.d for the time of the tests, and the accounts are removed afterwards.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from executors.run_as import RunAs
from tests.deploy.installation import blocks_that_run
from tests.services import REPOSITORY

DEPLOY, GUIDE = REPOSITORY / "deploy", REPOSITORY / "docs" / "run-as.md"
SUDOERS = Path("/etc/sudoers.d")


def call(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class People:
    """`service` runs the server; jobs may run as `alice` and `bob`. `stranger` is in no group, `robot` has no shell,
    `daemon` has a uid of the system's."""

    folder: Path
    group: str
    service: str
    alice: str
    bob: str
    stranger: str
    robot: str
    daemon: str

    @property
    def helper(self) -> Path:
        return self.folder / "libexec" / "v1" / "jobmon-as"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def sudoers(self) -> Path:
        return SUDOERS / self.group

    def localize(self, text: str) -> str:
        """The guide's words with the places and names of this test."""
        text = text.replace("/etc/sudoers.d/jobmon", str(self.sudoers)).replace("/opt/jobmon/", f"{self.folder}/")
        text = text.replace("/etc/systemd/system", str(self.folder / "units")).replace("/srv/jobmon", str(self.folder))
        return text.replace("jobmon-users", self.group).replace("-o jobmon -g jobmon", f"-o {self.service} -g nogroup")

    @property
    def run_as(self) -> RunAs:
        """As the service calls it."""
        return RunAs(self.helper, prefix=("/usr/sbin/runuser", "-u", self.service, "--"))

    def configure(self, systems: dict[str, Any], **changes: Any) -> None:
        """Write root's file for the helper."""
        config = {
            "spool": str(self.runs),
            "bell": str(self.spool / "ended"),
            "group": self.group,
            "lowest_uid": 1000,
            "prefix": "jm",
            "systems": systems,
            **changes,
        }
        path = self.helper.with_name("jobmon-as.json")
        path.write_text(json.dumps(config))
        path.chmod(0o644)

    def sudo(self, caller: str, account: str, *argv: str, stdin: str = "", **environment: str) -> tuple[int, str, str]:
        """sudo as one of us, to any account, with any words."""
        words = ["/usr/sbin/runuser", "-u", caller, "--", "/usr/bin/sudo", "-n", "-u", account, *argv]
        own = {"PATH": "/usr/bin:/bin", **environment}
        done = subprocess.run(words, input=stdin, env=own, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr

    def ask_raw(self, account: str, text: str, caller: str = "", **environment: str) -> dict[str, Any]:
        """The helper's answer to whatever is put to it."""
        code, out, err = self.sudo(caller or self.service, account, str(self.helper), stdin=text, **environment)
        assert code == 0, err
        answer: dict[str, Any] = json.loads(out)
        return answer

    def ask(self, account: str, verb: str, **fields: Any) -> dict[str, Any]:
        return self.ask_raw(account, json.dumps({"version": 1, "seconds": 60, "verb": verb, **fields}))


def uid_of(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def add_account(people: People, name: str, shell: str, *options: str) -> None:
    home = ["--create-home", "--base-dir", str(people.folder)]
    call("useradd", "--no-user-group", "--gid", "nogroup", *home, "--shell", shell, *options, name)


def _make_accounts(people: People) -> None:
    for name in (people.alice, people.bob, people.stranger):
        add_account(people, name, "/bin/bash")
    add_account(people, people.robot, "/usr/sbin/nologin")
    add_account(people, people.daemon, "/bin/bash", "--system")


def _ship(people: People) -> None:
    """What lies in /opt/jobmon/deploy, with the names of this test in sudo's file."""
    for name in ("libexec", "sudoers.d", "systemd"):
        shutil.copytree(DEPLOY / name, people.folder / "deploy" / name)
    file = people.folder / "deploy" / "sudoers.d" / "jobmon"
    text, count = re.subn(r"(?m)^jobmon ", f"{people.service} ", file.read_text())
    assert count == 1
    file.write_text(people.localize(text))


def _run(people: People, block: str) -> None:
    call("bash", "-euo", "pipefail", "-c", people.localize(block))


def _follow_the_guide(people: People) -> None:
    """Every command of docs/run-as.md that is not about packages and services, as it stands there."""
    folders, leave, membership = blocks_that_run(GUIDE)
    add_account(people, people.service, "/usr/sbin/nologin")
    _ship(people)
    _run(people, folders)
    _run(people, leave)
    _make_accounts(people)
    for name in (people.alice, people.bob, people.robot, people.daemon):
        _run(people, membership.replace("asmith", name))
    (people.spool / "ended").mkdir()  # as the worker makes it when it starts
    shutil.chown(people.spool / "ended", people.service)
    (people.spool / "ended").chmod(0o1733)


@contextmanager
def made_people() -> Iterator[People]:
    """Skips, loudly, where no accounts can be made."""
    if os.geteuid() != 0:
        pytest.skip("no Unix accounts: only root can make them")
    if not (os.access("/usr/bin/sudo", os.X_OK) and SUDOERS.is_dir()):
        pytest.skip("no sudo: install the package")
    mark = f"jt{secrets.token_hex(3)}"
    folder = Path(tempfile.mkdtemp(prefix="jobmon-run-as-", dir="/tmp"))
    folder.chmod(0o755)
    names = {name: f"{mark}-{name}" for name in ("service", "alice", "bob", "stranger", "robot", "daemon")}
    people = People(folder=folder, group=f"{mark}-users", **names)
    try:
        _follow_the_guide(people)
        people.configure({})
        yield people
    finally:
        people.sudoers.unlink(missing_ok=True)
        for name in names.values():
            subprocess.run(["userdel", name], capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        subprocess.run(["groupdel", people.group], capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)
