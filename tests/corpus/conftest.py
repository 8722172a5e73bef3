"""The largest graphs of the corpus are read on request (`pytest -m slow tests/corpus`); smaller ones always."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.markexpr:
        return
    for item in items:
        if "tests/corpus/" in str(item.path) and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="the largest graphs; `pytest -m slow tests/corpus` reads them"))
