"""Pure: which group (tag, or stem of the name) each job belongs to. Groups are the unit of every summary."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

MAX_GROUPS = 200
OTHER = "(other)"
_DIGITS = re.compile(r"[\s._:=-]*\d+[\s._:=-]*")
_SEPARATOR = re.compile(r"[\s._:=-]")
_HASH_TAIL = re.compile(r"_[0-9a-f]{8,64}$")


class Group(NamedTuple):
    name: str
    is_from_tag: bool


def stem(name: str) -> str:
    """The name without numbers and the separators around them: fit_2019_m → fit_m. It never ends with a space: MariaDB
    takes names that differ only in that for equal."""
    text = _DIGITS.sub("_", _HASH_TAIL.sub("", name)).strip("_").strip()
    return text or "job"


def first_part(name: str) -> str:
    return _SEPARATOR.split(stem(name), maxsplit=1)[0] or "job"


def group_jobs(jobs: Sequence[tuple[str, str]]) -> list[Group]:
    """The group of each (name, tag), in order. At most 200 groups come from names."""
    untagged = [name for name, tag in jobs if not tag]
    name_to_group = _fold(untagged) if untagged else str
    made: dict[tuple[str, bool], Group] = {}
    found = []
    for name, tag in jobs:
        key = (tag, True) if tag else (name_to_group(name), False)
        found.append(made.get(key) or made.setdefault(key, Group(*key)))
    return found


def _fold(names: Sequence[str]) -> Callable[[str], str]:
    """The finest way of naming groups that keeps their number bearable."""
    for rule in (stem, first_part):
        if len({rule(name) for name in names}) <= MAX_GROUPS:
            return rule
    counts = Counter(first_part(name) for name in names)
    kept = {group for group, _ in counts.most_common(MAX_GROUPS - 1)}
    return lambda name: part if (part := first_part(name)) in kept else OTHER
