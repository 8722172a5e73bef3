"""Fixtures of the database tier. Nothing in here starts a process or opens a socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from workflows.scheduling import back_ends


@pytest.fixture(autouse=True)
def fresh_back_ends() -> Iterator[None]:
    """Ids begin anew with each test's database; executors must not remember those of the test before."""
    back_ends.forget()
    yield
    back_ends.forget()
