"""Old attempts are taken away in their owners' names: their own folders, nothing young, nothing that a link points to."""

from __future__ import annotations

import io
import os
import re
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from tests.factories import Made, Tag, make_user, make_workflow
from tests.run_as.people import GUIDE, People, call, uid_of
from workflows.models import JobInstance, RunAccount, Workflow, WorkflowRun
from workflows.scheduling import back_ends

OLD = 8 * 86400


@pytest.fixture(autouse=True)
def folder_of_hers(people: People) -> None:
    people.configure({})
    people.ask(people.alice, "list", instances=[])  # makes it


def make_old(people: People, *paths: Path, age: float = OLD) -> None:
    """They belong to alice, from the shard on, and nobody has touched them for so long."""
    then = time.time() - age
    for path in paths:
        for one in (path.parent, path, *path.rglob("*")):
            os.chown(one, uid_of(people.alice), -1, follow_symlinks=False)
        for one in (*path.rglob("*"), path):
            os.utime(one, (then, then), follow_symlinks=False)


def make_attempt(people: People, instance: int, age: float = OLD) -> Path:
    folder = people.runs / people.alice / str(instance // 1000) / str(instance)
    folder.mkdir(parents=True)
    for name in ("command", "setup", "token", "out", "err"):
        (folder / name).write_text("x")
    make_old(people, folder, age=age)
    return folder


def remove(people: People, *instances: int, batches: tuple[str, ...] = (), account: str = "") -> dict[str, Any]:
    return people.ask(account or people.alice, "remove", instances=list(instances), batches=list(batches))


def test_old_attempts_and_their_array_are_removed(people: People) -> None:
    folders = [make_attempt(people, number) for number in (7, 8, 1007)]
    array = people.runs / people.alice / "batches" / "jm1-b7"
    array.mkdir(parents=True)
    (array / "tasks").write_text("x")
    make_old(people, array)
    answer = remove(people, 7, 8, 9, batches=("jm1-b7", "jm1-b8"))
    assert answer == {"kept": 0, "words": []}
    assert [folder.exists() for folder in folders] == [False, False, True]
    assert not array.exists()
    assert not folders[0].parent.exists(), "an empty shard goes too"
    assert remove(people, 7, batches=("jm1-b7",)) == answer, "it may be repeated"


def test_what_is_young_stays(people: People) -> None:
    """A submitter that slept must still find the token; and the log of a job that still writes is not taken away."""
    young, touched = make_attempt(people, 7, age=6 * 86400), make_attempt(people, 8)
    (touched / "out").write_text("still running")
    answer = remove(people, 7, 8)
    assert answer["kept"] == 2
    assert answer["words"] == [f"{folder} changed less than 7 days ago" for folder in (young, touched)]
    assert young.exists()
    assert touched.exists()


def test_links_are_not_followed(people: People, tmp_path: Path) -> None:
    home = people.folder / people.alice / "kept"
    home.mkdir()
    (home / "7").mkdir()
    (home / "7" / "thesis").write_text("years of work")
    make_old(people, home / "7")
    folder = make_attempt(people, 1001)
    (folder / "link").symlink_to(home)
    make_old(people, folder)
    root = people.runs / people.alice
    (root / "0").symlink_to(home)  # her shard leads elsewhere
    (root / "2").mkdir()
    (root / "2" / "2001").symlink_to(home / "7")
    os.chown(root / "2", uid_of(people.alice), -1)
    answer = remove(people, 7, 1001, 2001)
    assert answer["kept"] == 2
    assert all("is not a folder of" in words for words in answer["words"])
    assert not folder.exists()
    assert (home / "7" / "thesis").exists()
    shutil.rmtree(home)


def test_nobody_elses_attempts_are_reached(people: People) -> None:
    hers = make_attempt(people, 7)
    assert remove(people, 7, account=people.bob)["kept"] == 0
    assert hers.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"instances": ["7"], "batches": []}, {"instances": [7]}, {"instances": [-1], "batches": []},
        {"instances": [], "batches": ["../7"]}, {"instances": [], "batches": ["jm1/../../0/7"]},
        {"instances": [], "batches": ["other-7"]}, {"instances": list(range(1, 5002)), "batches": []},
    ],
    ids=["text", "no batches", "negative", "above", "through", "not ours", "too many"],
)  # fmt: skip
def test_other_requests_are_refused(people: People, fields: dict[str, Any]) -> None:
    hers = make_attempt(people, 7)
    assert people.ask(people.alice, "remove", **fields)["code"] == "refused"
    assert hers.exists()


def test_what_is_left_is_removed_by_roots_command_of_the_guide(people: People) -> None:
    """Old folders only, and nothing that lies elsewhere under a name of the same form."""
    year = 500 * 86400
    old, young = make_attempt(people, 7, age=year), make_attempt(people, 8)
    elsewhere = people.folder / people.alice / "kept"
    (elsewhere / "9").mkdir(parents=True)
    make_old(people, elsewhere / "9", age=year)
    (people.runs / people.alice / "1").symlink_to(elsewhere)
    found = re.search(r"^find /srv/jobmon/runs/asmith .*$", GUIDE.read_text(), re.M)
    assert found is not None
    call("bash", "-euc", people.localize(found[0]).replace("asmith", people.alice))
    assert [path.exists() for path in (old, young, elsewhere / "9")] == [False, True, True]
    shutil.rmtree(elsewhere)


# manage.py purge


@pytest.fixture
def made(people: People, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, db: None) -> Made:
    """An old workflow of somebody whose jobs ran as alice, on a server that runs jobs as their owners."""
    settings.RUN_AS, settings.SPOOL = "owner", tmp_path / "spool"
    monkeypatch.setattr(back_ends, "run_as", lambda: people.run_as)
    found = make_workflow(make_user("anna"), [Tag("fit", {"D": 2, "F": 1})], args="old", status="E")
    then = timezone.now() - timedelta(days=100)
    Workflow.objects.update(status_date=then)
    WorkflowRun.objects.update(status="E", ended_at=then)
    RunAccount.objects.create(run=found.run, account=people.alice)
    return found


def purge(*more: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("purge", "--older-than", "90d", *more, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_a_purge_takes_the_owners_files_too(people: People, made: Made) -> None:
    folders = [make_attempt(people, attempt.pk) for attempt in made.instances]
    out, err = purge()
    assert "1 workflows with 3 jobs were removed." in out
    assert err == ""
    assert not any(folder.exists() for folder in folders)
    assert not JobInstance.objects.exists()


def test_rows_stay_as_long_as_their_files(people: People, made: Made) -> None:
    """Rows without files are found again by the next purge, files without rows never."""
    folder = make_attempt(people, made.instances[0].pk, age=60)
    out, err = purge()
    assert "0 workflows with 0 jobs were removed." in out
    assert f"workflow {made.workflow.pk} stays: 1 folders of {people.alice} stay: {folder} changed less than" in err
    assert JobInstance.objects.count() == len(made.instances)
    assert folder.exists()


def test_an_account_that_is_gone_is_named_and_left_when_told(made: Made) -> None:
    RunAccount.objects.update(account="jt-nobody-there")
    out, err = purge()
    assert "0 workflows" in out
    assert "stays: cannot act as jt-nobody-there" in err
    assert Workflow.objects.exists()
    assert "1 workflows" in purge("--leave-owners-files")[0]
    assert not Workflow.objects.exists()
