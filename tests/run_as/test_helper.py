"""The helper and sudo's leave to use it, asked by the real service account, with real accounts."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from executors.script_batch import WRAPPER
from tests.run_as.people import DEPLOY, People, call, uid_of
from tests.waiting import wait_until

FAKE = """#!/bin/sh
# Writes down what it was given, and answers like a batch system.
{ echo "$0"; for word; do echo "word $word"; done; env; id -un; } >>%s/log-$(id -un)
%s
"""
SUBMISSION = {"system": "sge", "batch": "jm-7", "options": ["-P", "demo"]}


def attempt(instance: int, **changes: Any) -> dict[str, Any]:
    values = {"instance": instance, "run": 3, "index": 0, "command": "true", "working_dir": "", "stdout": ""}
    return {**values, "stderr": "", "environment": {}, **changes}


@pytest.fixture
def fakes(people: People, tmp_path: Path) -> Iterator[Path]:
    """Commands that belong to root, as the helper's only batch system."""
    folder = people.folder / "bin"
    folder.mkdir(exist_ok=True)
    logs = people.folder / "logs"
    logs.mkdir(exist_ok=True)
    logs.chmod(0o1777)
    answers = {"qsub": "echo 4711", "qstat": "echo '<job_info><queue_info/><job_info/></job_info>'", "qdel": "true"}
    for name, answer in answers.items():
        (folder / name).write_text(FAKE % (logs, answer))
        (folder / name).chmod(0o755)
    people.configure({"sge": {"kind": "sge", "bin": str(folder), "environment": {"CELL": "x"}, "options": ["soft"]}})
    yield folder
    for log in logs.iterdir():
        log.unlink()


def said(people: People, account: str) -> str:
    log = people.folder / "logs" / f"log-{account}"
    return log.read_text() if log.exists() else ""


def test_the_helper_ships_the_wrapper_of_the_server() -> None:
    assert (DEPLOY / "libexec" / "batch-wrapper.sh").read_text() == WRAPPER


def test_attempts_belong_to_their_owner(people: People, fakes: Path) -> None:
    answer = people.ask(people.alice, "submit", **SUBMISSION, attempts=[attempt(7, command="echo ü")])
    assert answer["prepared"] == [7]
    assert answer["answer"]["stdout"] == "4711\n"
    folder = people.runs / people.alice / "0" / "7"
    for path in (folder, folder / "command", folder / "setup"):
        found = path.stat()
        assert found.st_uid == uid_of(people.alice)
        assert not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    assert (folder / "command").read_text() == "echo ü\n"
    assert people.ask(people.alice, "submit", **SUBMISSION, attempts=[attempt(7)])["prepared"] == []


def test_what_is_started_knows_nothing_of_the_service(people: People, fakes: Path) -> None:
    hostile = {
        "LD_PRELOAD": "/tmp/x.so",
        "BASH_ENV": "/tmp/x",
        "PYTHONPATH": "/tmp",
        "SECRET_KEY": "s3cret",
        "SGE_ROOT": "/x",
    }
    request = {"version": 1, "seconds": 60, "verb": "submit", **SUBMISSION, "attempts": [attempt(8)]}
    people.ask_raw(people.alice, json.dumps(request), **hostile)
    log = said(people, people.alice)
    assert "CELL=x" in log
    for word in ("LD_PRELOAD", "BASH_ENV", "PYTHON", "s3cret", "SGE_ROOT", "SUDO_", "/tmp/x"):
        assert word not in log
    assert log.splitlines()[0] == str(fakes / "qsub")
    assert log.rstrip().endswith(people.alice)


def test_sudo_lets_the_service_do_this_and_nothing_else(people: People, fakes: Path) -> None:
    helper = str(people.helper)
    assert people.sudo(people.service, people.alice, helper, stdin="{}")[0] == 0
    for account in ("root", people.stranger, people.service):
        assert people.sudo(people.service, account, helper, stdin="{}")[0] != 0
    for words in (
        ["/bin/sh", "-c", "id"],
        [helper, "x"],
        [helper, "--help"],
        ["-E", helper],
        [f"{helper}/../jobmon-as"],
    ):
        assert people.sudo(people.service, people.alice, *words)[0] != 0, words
    for caller in (people.alice, people.stranger):
        assert people.sudo(caller, people.bob, helper, stdin="{}")[0] != 0
    code, _, _ = people.sudo(people.service, people.alice, "PYTHONPATH=/tmp", helper, stdin="{}")
    assert code != 0


@pytest.mark.parametrize(
    ("who", "words"), [("robot", "no real shell"), ("daemon", "is below 1000")], ids=["no shell", "low uid"]
)
def test_accounts_that_are_no_people_are_refused(people: People, fakes: Path, who: str, words: str) -> None:
    """Though sudo would let them."""
    answer = people.ask(getattr(people, who), "submit", **SUBMISSION, attempts=[attempt(9)])
    assert words in answer["error"]
    assert answer["code"] == "account"
    assert not (people.runs / getattr(people, who)).exists()
    assert said(people, getattr(people, who)) == ""


def test_the_group_is_checked_again(people: People, fakes: Path) -> None:
    """Root may use sudo for everybody; the helper looks for itself."""
    code, out, _ = people.sudo("root", people.stranger, str(people.helper), stdin="{}")
    assert code == 0
    assert "is not in the group" in json.loads(out)["error"]


def test_never_as_root_and_never_as_the_service(people: People, fakes: Path) -> None:
    assert "as itself" in json.loads(people.sudo("root", "root", str(people.helper))[1])["error"]
    people.configure({}, lowest_uid=0)
    assert "uid 0 is below" in json.loads(call(str(people.helper)))["error"]


def test_only_root_may_configure_it(people: People, fakes: Path) -> None:
    config = people.helper.with_name("jobmon-as.json")
    for path, mode in ((config, 0o666), (config.parent, 0o777)):
        before = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode)
        answer = people.ask(people.alice, "list", instances=[])
        path.chmod(before)
        assert "root alone" in answer["error"]
    os.chown(config, uid_of(people.bob), -1)
    answer = people.ask(people.alice, "list", instances=[])
    os.chown(config, 0, 0)
    assert answer["code"] == "account"


def test_nobody_may_put_another_folder_in_its_place(people: People, fakes: Path) -> None:
    above = people.helper.parents[2]
    before = above.stat()
    try:
        above.chmod(0o777)
        assert f"{above} must belong to root" in people.ask(people.alice, "list", instances=[])["error"]
        above.chmod(0o755)
        os.chown(above, uid_of(people.bob), -1)
        assert f"{above} must belong to root" in people.ask(people.alice, "list", instances=[])["error"]
    finally:
        os.chown(above, 0, before.st_gid)
        above.chmod(stat.S_IMODE(before.st_mode))
    assert "attempts" in people.ask(people.alice, "list", instances=[])


LATE = """
import importlib.machinery, signal, sys
helper = importlib.machinery.SourceFileLoader("helper", sys.argv[1]).load_module()
class Late(ValueError):
    def __str__(self):
        signal.raise_signal(signal.SIGALRM)
        return "another fault"
def fail():
    raise Late
helper.find_account = fail
helper.main()
"""


def test_time_that_is_up_while_a_fault_is_told_is_an_answer_too() -> None:
    argv = [sys.executable, "-W", "ignore", "-c", LATE, str(DEPLOY / "libexec" / "jobmon-as")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert json.loads(done.stdout) == {"error": "Timeout: not done within the time given", "code": "unavailable"}


def test_a_folder_that_is_somebody_elses_is_refused(people: People, fakes: Path) -> None:
    """bob was first, in the sticky folder above."""
    squat = people.runs / people.alice
    aside = people.runs / "aside"
    if squat.exists():
        squat.rename(aside)
    try:
        squat.mkdir(mode=0o777)
        os.chown(squat, uid_of(people.bob), -1)
        assert "is not a folder of" in people.ask(people.alice, "list", instances=[])["error"]
        squat.rmdir()
        squat.symlink_to(people.runs / people.bob)
        assert "is not a folder of" in people.ask(people.alice, "list", instances=[])["error"]
        squat.unlink()
    finally:
        if aside.exists():
            aside.rename(squat)


HOSTILE_OPTIONS = [
    ["-o", "/etc/passwd"], ["-S", "/bin/sh"], ["-v", "A=b"], ["-V"], ["-u", "root"], ["-P", "-x"], ["-P", "a b"],
    ["-P", "$(id)"], ["-P", "a\nb"], ["-q", "*"], ["-l", "h=*"], ["-l", "a=1,b=2"], ["-t", "1-3:x"], ["-N", "x"],
    ["-clear"], ["/bin/id"], ["--", "/bin/id"], ["-soft"], ["-soft", "-o"], ["-pe", "smp"], ["-P"], ["@file"],
    ["-b", "n"], ["-w", "p"], ["-hold_jid", "1"], ["-l", "hostname=!(a|`id`)"], ["\x00"], [7], "-P demo",
]  # fmt: skip


def test_options_that_are_not_listed_are_refused(people: People, fakes: Path) -> None:
    for options in HOSTILE_OPTIONS:
        request = {"system": "sge", "batch": "jm-7", "options": options, "attempts": [attempt(55)]}
        answer = people.ask(people.alice, "submit", **request)
        assert answer.get("code") == "refused", options
    assert said(people, people.alice) == ""
    assert not (people.runs / people.alice / "0" / "55").exists()


SECRET_FILES = [
    "", "X", "X=", "X=relative", "=/x", "X=/x\n", "X=/x\n\nY=/y", "X=/x\nX=/y", "X Y=/x", "X;id=/x", "$(id)=/x", "1X=/x",
    "X=/x\n/etc/passwd", f"X=/{'x' * 4096}", "\n".join(f"X{n}=/x" for n in range(17)),
]  # fmt: skip
HOSTILE_FIELDS: list[dict[str, Any]] = [
    {"instance": -1}, {"instance": "7/../../bob"}, {"instance": True}, {"instance": 1.0}, {"instance": 2**70},
    {"run": "../../x"}, {"run": 0}, {"index": 1}, {"command": 3}, {"command": "a\0b"}, {"command": "\ud800"},
    {"stdout": "relative"}, {"stdout": "/a\n=LD_PRELOAD=x"}, {"working_dir": "~bob"}, {"stderr": None},
    {"environment": {"A B": "x"}}, {"environment": {"A": 1}}, {"environment": []}, {"environment": {"A\nB": "x"}},
    *({"environment": {"JOBMON_SECRET_FILES": text}} for text in SECRET_FILES),
]  # fmt: skip


def test_fields_that_are_not_what_they_should_be_are_refused(people: People, fakes: Path) -> None:
    for change in HOSTILE_FIELDS:
        answer = people.ask(people.alice, "submit", **SUBMISSION, attempts=[{**attempt(56), **change}])
        assert answer.get("code") == "refused", change
    for batch in ("root", "jm/../x", "jm 1", "", "-jm"):
        answer = people.ask(people.alice, "submit", **{**SUBMISSION, "batch": batch}, attempts=[attempt(56)])
        assert answer.get("code") == "refused", batch
    assert said(people, people.alice) == ""


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "[" * 100_000, '{"version": 3, "verb": "list", "seconds": 9}', '{"version": 1, "verb": "shell", "seconds": 9}',
     '{"version": 1, "version": 1}', '{"version": NaN}', '{"version": 1, "verb": ["list"], "seconds": 1}'],
    ids=["empty", "list", "open", "deep", "version", "verb", "twice", "nan", "verb is a list"],
)  # fmt: skip
def test_what_is_no_request_is_refused(people: People, fakes: Path, text: str) -> None:
    assert people.ask_raw(people.alice, text)["code"] in ("refused", "unavailable")


def test_only_numbers_that_a_listing_shows_are_deleted(people: People, fakes: Path) -> None:
    """bob's job, a job of alice's that is not ours, and one of ours."""
    rows = [(1, "jm-1", people.alice), (2, "private", people.alice), (3, "jm-3", people.bob)]
    jobs = "".join(
        f"<job_list><JB_job_number>{number}</JB_job_number><JB_name>{name}</JB_name><JB_owner>{owner}</JB_owner></job_list>"
        for number, name, owner in rows
    )
    listing = f"echo '<job_info><queue_info>{jobs}</queue_info><job_info/></job_info>'"
    (fakes / "qstat").write_text(FAKE % (people.folder / "logs", listing))
    answer = people.ask(people.alice, "cancel", system="sge", who="test", instances=[70], ids=["1.4", "2", "3", "4"])
    assert answer["attempts"]["70"]["token"].startswith("void ")
    log = said(people, people.alice)
    assert [line for line in log.split("qdel")[1].splitlines() if line.startswith("word")] == ["word 1.4"]
    for one in ("*", "1;2", "-u", "", "1 2", 5):
        assert people.ask(people.alice, "cancel", system="sge", who="t", instances=[], ids=[one])["code"] == "refused"


def test_a_command_that_hangs_or_talks_without_end_is_ended(people: People, fakes: Path) -> None:
    (fakes / "qstat").write_text("#!/bin/sh\nexec sleep 1000\n")
    request = {"version": 1, "verb": "list", "seconds": 1, "system": "sge", "instances": []}
    assert people.ask_raw(people.alice, json.dumps(request))["code"] == "unavailable"
    (fakes / "qstat").write_text("#!/bin/sh\nexec yes 0123456789012345678901234567890123456789\n")
    answer = people.ask(people.alice, "list", system="sge", instances=[])
    assert "said too much" in answer["error"]


def test_a_request_that_is_too_long_is_refused(people: People, fakes: Path) -> None:
    assert "longer than" in people.ask_raw(people.alice, " " * ((64 << 20) + 10))["error"]


def test_logs_are_read_as_the_owner_and_nothing_else_is(people: People, fakes: Path) -> None:
    people.ask(people.alice, "submit", **SUBMISSION, attempts=[attempt(80)])
    folder = people.runs / people.alice / "0" / "80"
    secret = people.folder / "secret"
    secret.write_text("the service's")
    secret.chmod(0o600)
    os.chown(secret, uid_of(people.service), -1)
    bobs = people.folder / "bobs"
    bobs.write_text("bob's, for everybody to read")
    bobs.chmod(0o644)
    os.chown(bobs, uid_of(people.bob), -1)
    out = folder / "out"

    def read(instance: int = 80, account: str = people.alice, **changes: Any) -> dict[str, Any]:
        wanted = {"instance": instance, "stream": "stdout", "offset": None, "limit": 100, **changes}
        return people.ask(account, "read", **wanted)

    assert read()["code"] == "missing"
    out.write_text("hello")
    os.chown(out, uid_of(people.alice), -1)
    assert read()["size"] == 5
    assert read(80, people.bob)["code"] == "missing"  # bob has no such attempt
    for target in (secret, bobs, Path("/etc/passwd"), Path("/proc/self/environ")):
        out.unlink()
        out.symlink_to(target)
        assert "data" not in read(), target
        out.unlink()
        (folder / "setup").write_text(f"h/x\nd\no{target}\ne{target}\n")
        assert "data" not in read(), target
        (folder / "setup").write_text(f"h/x\nd\no{out}\ne{out}\n")
        out.write_text("")
    out.unlink()
    os.mkfifo(out)
    os.chown(out, uid_of(people.alice), -1)
    assert "data" not in read()
    out.unlink()
    other = folder / "other"
    other.write_text("x")
    os.chown(other, uid_of(people.alice), -1)
    os.link(other, out)
    assert "data" not in read()
    for change in ({"stream": "../x"}, {"limit": 10**9}, {"offset": -5}, {"instance": "80"}, {"stream": ["stdout"]}):
        assert "data" not in read(**change), change


def drain(log: socket.socket, owner: str, lines: list[str], is_over: threading.Event) -> None:
    """All that the system logs, lest whoever else logs has to wait; the helper's lines about this owner are kept."""
    while not is_over.is_set():
        with contextlib.suppress(TimeoutError):
            text = log.recv(4096).decode()
            if "jobmon-as[" in text and f"owner={owner} " in text:
                lines.append(text)


def test_every_call_is_in_the_system_log(people: People, fakes: Path) -> None:
    if os.path.exists("/dev/log"):
        pytest.skip("no system log of our own: there is one already")
    lines: list[str] = []
    is_over = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log, ThreadPoolExecutor(1) as reader:
        log.bind("/dev/log")
        try:
            os.chmod("/dev/log", 0o666)
            log.settimeout(0.2)
            reader.submit(drain, log, people.alice, lines, is_over)
            people.ask(people.alice, "list", instances=[1])
            people.ask(people.alice, "submit", **{**SUBMISSION, "batch": "x\ny"}, attempts=[attempt(1)])
            wait_until(lambda: len(lines) >= 2, 60, "both lines")
        finally:
            os.unlink("/dev/log")
            is_over.set()
    caller = uid_of(people.service)
    assert f"caller={caller} owner={people.alice} verb=list result=" in lines[0]
    assert "verb=submit" in lines[1]
    assert "not acceptable" in lines[1]
    assert "\n" not in lines[1].rstrip("\n\0")
