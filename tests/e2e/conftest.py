"""The long form of the end-to-end tests runs on request (`make chaos`); its short form is always part of the suite."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.markexpr:
        return
    for item in items:
        if "tests/e2e/" in str(item.path) and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="the long form; `make chaos` runs it"))
