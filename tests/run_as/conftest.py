from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.executors.cluster import sge_cluster  # noqa: F401 - a fixture
from tests.run_as.grid import server  # noqa: F401 - a fixture
from tests.run_as.people import People, made_people


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long form runs on request; its short form is always part of the suite."""
    if config.option.markexpr:
        return
    for item in items:
        if "tests/run_as/" in str(item.path) and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="the long form; `make chaos` runs it"))


@pytest.fixture(scope="session")
def people() -> Iterator[People]:
    with made_people() as made:
        yield made
