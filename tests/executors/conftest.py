from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.executors.harness import LocalHarness


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long form runs on request; its short form is always part of the suite."""
    if config.option.markexpr:
        return
    for item in items:
        if "tests/executors/" in str(item.path) and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="the long form; `make chaos` runs it"))


@pytest.fixture
def make_local(tmp_path: Path) -> Iterator[Callable[..., LocalHarness]]:
    """Makes harnesses with a shepherd each, and ends all that they started."""
    made: list[LocalHarness] = []

    def make(**given: Any) -> LocalHarness:
        harness = LocalHarness(tmp_path, **given)
        made.append(harness)
        return harness

    yield make
    for harness in made:
        harness.close()
