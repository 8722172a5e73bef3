from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.executors.cluster import sge_cluster  # noqa: F401 - a fixture
from tests.run_as.grid import server  # noqa: F401 - a fixture
from tests.run_as.people import People, made_people


@pytest.fixture(autouse=True)
def no_attempts_of_other_tests(request: pytest.FixtureRequest) -> None:
    """The people are those of all tests of a process, and ids begin anew with each test: nothing may be left of theirs."""
    if "people" in request.fixturenames:
        people: People = request.getfixturevalue("people")
        for leftover in [*people.runs.iterdir(), *(people.spool / "ended").iterdir()]:
            is_folder = leftover.is_dir() and not leftover.is_symlink()
            shutil.rmtree(leftover) if is_folder else leftover.unlink()
        shutil.rmtree(people.spool / "intents", ignore_errors=True)
        (people.spool / "epoch").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def people() -> Iterator[People]:
    with made_people() as made:
        yield made
