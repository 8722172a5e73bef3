"""People who call the API: the owner of what is there, a stranger, staff, and nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from tests.api.caller import Caller, caller_for
from tests.api.world import World, build_world
from tests.factories import make_user
from workflows.scheduling import back_ends


@pytest.fixture(autouse=True)
def fresh_back_ends() -> Iterator[None]:
    """Ids begin anew with each test's database; executors must not remember those of the test before."""
    back_ends.forget()
    yield
    back_ends.forget()


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def api(owner: User) -> Caller:
    return caller_for(owner)


@pytest.fixture
def stranger(db: None) -> Caller:
    return caller_for(make_user("bob"))


@pytest.fixture
def staff(db: None) -> Caller:
    return caller_for(make_user("root", is_staff=True))


@pytest.fixture
def nobody(db: None) -> Caller:
    return Caller()


@pytest.fixture
def world(db: None, settings, tmp_path: Path) -> World:
    settings.SPOOL = tmp_path / "spool"
    settings.METRICS_FILE = tmp_path / "counters.sqlite3"
    return build_world()
