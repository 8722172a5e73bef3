"""YAML and JSON files in which no key may come twice: their readers would take the last one without a word."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from typing import TextIO

# The parser of libyaml, where PyYAML has it, is ten times as fast.
FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class SingleKeysLoader(FastLoader):  # type: ignore[misc]
    """Raises ConstructorError, with the line, for a key that comes twice in one mapping."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            word = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if word is not None and word in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} comes twice in one mapping", key.start_mark
                )
            seen.add(word)
        return super().construct_mapping(node, deep)


def read_yaml(file: TextIO) -> Any:
    """Raises yaml.YAMLError."""
    return yaml.load(file, Loader=SingleKeysLoader)  # noqa: S506 - it derives from a safe loader  # nosec B506


def read_json(file: TextIO) -> Any:
    """Raises ValueError."""
    return json.load(file, object_pairs_hook=_make_object)


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        known = next((f" (of {found[name]!r})" for name in ("name", "workflow_args") if name in found), "")
        raise ValueError(f"the key {', '.join(map(repr, twice))} comes twice in one object{known}")
    return found
