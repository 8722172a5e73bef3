"""Throw-away people with Unix accounts, the helper installed as the guide says, and sudo's leave to use it.

Real accounts, real sudo: the shipped sudoers file with other names goes to /etc/sudoers.d for the time of the tests, and
the accounts are removed afterwards.
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

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
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


def _make_accounts(people: People) -> None:
    call("groupadd", people.group)
    common = ["useradd", "--no-user-group", "--gid", "nogroup", "--create-home", "--base-dir", str(people.folder)]
    members = ["--groups", people.group]
    call(*common, "--shell", "/usr/sbin/nologin", people.service)
    for name in (people.alice, people.bob):
        call(*common, "--shell", "/bin/bash", *members, name)
    call(*common, "--shell", "/bin/bash", people.stranger)
    call(*common, "--shell", "/usr/sbin/nologin", *members, people.robot)
    call(*common, "--system", "--shell", "/bin/bash", *members, people.daemon)


def _install(people: People) -> None:
    """As docs/run-as.md says."""
    folder = people.helper.parent
    folder.mkdir(parents=True)
    for name, mode in (("jobmon-as", 0o755), ("jobmon_as_checks.py", 0o644), ("batch-wrapper.sh", 0o644)):
        shutil.copy(DEPLOY / "libexec" / name, folder / name)
        (folder / name).chmod(mode)
    people.runs.mkdir()
    people.runs.chmod(0o1777)
    people.spool.mkdir(mode=0o711)
    (people.spool / "ended").mkdir()
    (people.spool / "ended").chmod(0o1733)
    people.configure({})


def _allow(people: People, file: Path) -> None:
    """The shipped file, with the names of this test."""
    text = (DEPLOY / "sudoers.d" / "jobmon").read_text()
    text = text.replace("/opt/jobmon/libexec/v1/jobmon-as", str(people.helper)).replace(
        "%jobmon-users", f"%{people.group}"
    )
    text, count = re.subn(r"(?m)^jobmon ", f"{people.service} ", text)
    assert count == 1
    temporary = people.folder / "sudoers"
    temporary.write_text(text)
    temporary.chmod(0o440)
    call("/usr/sbin/visudo", "-cf", str(temporary))
    shutil.copy(temporary, file)
    file.chmod(0o440)


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
    sudoers = SUDOERS / people.group
    try:
        _make_accounts(people)
        _install(people)
        _allow(people, sudoers)
        yield people
    finally:
        sudoers.unlink(missing_ok=True)
        for name in names.values():
            subprocess.run(["userdel", name], capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        subprocess.run(["groupdel", people.group], capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)
