from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.executors.harness import LocalHarness


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
