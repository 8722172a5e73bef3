"""`jobmon-manage` reads the settings as systemd reads them for the services, not as a shell would."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.services import REPOSITORY

VALUES = {
    "JOBMON_MAIL_FROM": "Jobmon <jobmon@example.org>",
    "JOBMON_DB_PASSWORD": "pa$HOME`id`&x;y #z",
    "JOBMON_OIDC_CLIENT_SECRET": "a=b==",
    "JOBMON_EMPTY": "",
}


def run(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The shipped command with its paths in this folder, and `env` in the place of manage.py."""
    (folder / "jobmon.env").write_text(text)
    script = (REPOSITORY / "deploy" / "jobmon-manage").read_text().replace("/etc/jobmon/", f"{folder}/")
    script = script.replace("/opt/jobmon/.venv/bin/python /opt/jobmon/manage.py", "/usr/bin/env -0 #")
    script = script.replace("cd /opt/jobmon\n", f"cd {folder}\n").replace("id jobmon >", "false >")
    return subprocess.run(
        ["/bin/bash", "-c", script, "jobmon-manage", *arguments], env={"PATH": "/usr/bin:/bin", "HOME": "/root"}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("quote", ["", '"', "'"], ids=["plain", "double", "single"])
def test_values_arrive_as_they_are_written(tmp_path: Path, quote: str) -> None:
    lines = ["# a comment", "", "; another", *(f"{name}={quote}{value}{quote}" for name, value in VALUES.items())]
    done = run(tmp_path, "\n".join(lines))  # no newline at the end
    assert done.returncode == 0, done.stderr
    found = dict(one.split("=", 1) for one in done.stdout.split("\0") if one)
    assert {name: found.get(name) for name in VALUES} == VALUES


@pytest.mark.parametrize("line", ["export X=topsecret", "1X=topsecret", "topsecret", " =topsecret"])
def test_a_line_that_is_no_setting_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    done = run(tmp_path, f"JOBMON_MODE=server\n{line}\n")
    assert done.returncode == 1
    assert f"line 2 of {tmp_path}/jobmon.env is not NAME=value" in done.stderr
    assert "topsecret" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["migrate", "server_rights", "fsck"])
def test_only_what_changes_tables_has_the_owner_of_the_tables(tmp_path: Path, command: str) -> None:
    text = "JOBMON_DB_USER=jobmon\nJOBMON_DB_PASSWORD_FILE=/x\n"
    is_owners = command != "fsck"
    without = as_environment(run(tmp_path, text, command))
    (tmp_path / "db_owner_password").write_text("pa$$ word\n")
    found = as_environment(run(tmp_path, text, command))
    assert (without["JOBMON_DB_USER"], without.get("JOBMON_DB_PASSWORD")) == ("jobmon", None)
    wanted = ("jobmon_owner", "pa$$ word") if is_owners else ("jobmon", None)
    assert (found["JOBMON_DB_USER"], found.get("JOBMON_DB_PASSWORD")) == wanted


def as_environment(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    assert done.returncode == 0, done.stderr
    return dict(one.split("=", 1) for one in done.stdout.split("\0") if one)
