"""docs/run-as.md, followed: its commands made the accounts, folders, program and sudo's rule that all tests here use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command

from tests.factories import make_user
from tests.run_as.people import GUIDE, People, call, uid_of
from workflows.models import UnixAccount
from workflows.scheduling import back_ends

EXAMPLE = "jobmon-as.json.example"
NOBODYS = 999_999_999  # an attempt of no test: these people are those of other tests too


@pytest.fixture
def example(people: People) -> Iterator[None]:
    """The shipped configuration, as the guide copies it, with the folders of this test."""
    config = people.helper.with_name("jobmon-as.json")
    config.write_text(people.localize((people.folder / "deploy" / "libexec" / EXAMPLE).read_text()))
    yield
    people.configure({})


@pytest.fixture
def owner_mode(people: People, settings: Any) -> Iterator[None]:
    """The lines that the guide has for jobmon.env."""
    given = dict(re.findall(r"^    JOBMON_(\w+)=(\S+)$", people.localize(GUIDE.read_text()), re.M))
    assert set(given) == {"RUN_AS", "SPOOL", "EXECUTORS"}
    settings.RUN_AS, settings.SPOOL, settings.EXECUTORS = given["RUN_AS"], given["SPOOL"], [given["EXECUTORS"]]
    settings.RUN_AS_HELPER = people.helper
    back_ends.forget()
    yield
    back_ends.forget()


def test_sudo_takes_the_shipped_rule_and_it_names_one_program(people: People) -> None:
    call("/usr/sbin/visudo", "-cs", "-f", str(people.sudoers))
    found = people.sudoers.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, 0, 0o440)
    rules = [line for line in people.sudoers.read_text().splitlines() if line and not line.startswith("#")]
    assert rules[1:] == [f'{people.service} ALL=(%{people.group}) NOPASSWD: {people.helper} ""']
    listed = call("/usr/bin/sudo", "-l", "-U", people.service)
    assert listed.count("NOPASSWD:") == 1


def test_the_folders_and_the_program_are_as_the_helper_wants_them(people: People, example: None) -> None:
    assert people.run_as.find_fault() is None
    assert people.run_as.evidence(people.alice, [NOBODYS]) == {}
    assert people.spool.stat().st_uid == uid_of(people.service)
    assert (people.runs / people.alice).stat().st_uid == uid_of(people.alice)
    assert people.sudo(people.bob, people.bob, "/bin/true")[0] != 0, "members get no leave of their own"


def test_the_shipped_settings_fit_each_other(example: None, owner_mode: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert back_ends.get("sge").check() is None  # type: ignore[attr-defined]
    monkeypatch.setenv("JOBMON_DEPLOYMENT", "2")
    back_ends.forget()
    words = back_ends.get("sge").check()  # type: ignore[attr-defined]
    assert "jobs are named jm2-…, but jobmon-as.json has 'jm1-'" in words


@pytest.mark.django_db
def test_people_get_their_accounts_by_the_guides_command(people: People, owner_mode: None) -> None:
    make_user("alice")
    found = re.search(r"^jobmon-manage (unix_account .*)$", GUIDE.read_text(), re.M)
    assert found is not None
    call_command(*found[1].replace("asmith", people.alice).split())
    assert UnixAccount.objects.get().account == people.alice


def test_the_workers_drop_in_is_where_systemd_looks(people: People) -> None:
    [installed] = (people.folder / "units").rglob("*.conf")
    assert installed.relative_to(people.folder / "units").parts == ("jobmon-worker.service.d", "run-as.conf")
    assert installed.stat().st_mode & 0o777 == 0o644
