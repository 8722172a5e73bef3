"""Jobs of one person ring in a folder into which another may put whatever he likes, under the same names."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from executors.base import Hint
from executors.script_batch import install_wrapper, render_setup
from executors.spool import Spool
from tests.run_as.people import People, call

HINT = "12.345"


@contextmanager
def acting_as(account: str) -> Iterator[None]:
    """With this person's rights, not root's."""
    entry = pwd.getpwnam(account)
    before = os.getgroups()
    os.setgroups([])
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


@pytest.fixture
def thesis(people: People) -> Path:
    path = people.folder / people.alice / "thesis"
    path.write_text("years of work\n")
    shutil.chown(path, people.alice, "nogroup")
    path.chmod(0o600)
    return path


@pytest.fixture
def attempt(people: People) -> Iterator[Path]:
    """Of alice, ready to run."""
    folder = people.folder / people.alice / "attempt"
    folder.mkdir()
    (folder / "command").write_text("exit 0\n")
    hint = people.spool / "ended" / HINT
    out, err = str(folder / "out"), str(folder / "err")
    setup = render_setup(hint=hint, working_dir="", stdout_path=out, stderr_path=err, environment={})
    (folder / "setup").write_text(setup)
    for path in (folder / "command", folder / "setup", folder):
        shutil.chown(path, people.alice, "nogroup")
    yield folder
    shutil.rmtree(folder)


def plant(people: People, what: str, thesis: Path) -> None:
    place = people.spool / "ended" / HINT
    words = {
        "symlink": f"ln -s {thesis} {place}",
        "dangling symlink": f"ln -s {thesis}.new {place}",
        "symlink to a folder": f"ln -s {thesis.parent} {place}",
        "FIFO": f"mkfifo -m 666 {place}",
        "folder": f"mkdir -m 777 {place}",
        "full folder": f"mkdir -p {place}/deep && chmod 777 {place}",
        "file": f"echo x >{place}",
    }
    call("/usr/sbin/runuser", "-u", people.bob, "--", "/bin/sh", "-c", words[what])


PLANTS = ["symlink", "dangling symlink", "symlink to a folder", "FIFO", "folder", "full folder", "file"]


@pytest.mark.parametrize("what", PLANTS)
def test_job_rings_without_touching_what_was_planted(people: People, thesis: Path, attempt: Path, what: str) -> None:
    plant(people, what, thesis)
    wrapper = install_wrapper(people.folder)
    before = sorted(os.listdir(thesis.parent))
    command = ["/usr/sbin/runuser", "-u", people.alice, "--", "/bin/sh", str(wrapper), str(attempt)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "exit 0" in (attempt / "token").read_text()
    assert thesis.read_text() == "years of work\n"
    assert sorted(os.listdir(thesis.parent)) == before


@pytest.mark.parametrize("what", PLANTS)
def test_service_clears_what_was_planted(people: People, thesis: Path, what: str) -> None:
    plant(people, what, thesis)
    with acting_as(people.service):
        spool = Spool(people.spool)
        assert spool.hints() == [Hint(12, 345)]
        spool.clear_hints(spool.hints())
        assert spool.hints() == []
    assert thesis.read_text() == "years of work\n"


def test_hint_of_a_job_is_seen_and_cleared(people: People, attempt: Path) -> None:
    call("/usr/sbin/runuser", "-u", people.alice, "--", "/bin/sh", str(install_wrapper(people.folder)), str(attempt))
    with acting_as(people.service):
        spool = Spool(people.spool)
        assert spool.hints() == [Hint(12, 345)]
        spool.clear_hints(spool.hints())
    assert os.listdir(people.spool / "ended") == []
