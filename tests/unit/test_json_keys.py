"""Keys that come twice are found wherever they are, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.json_keys import find_doubled_keys, has_more_parts_than

DOUBLED: dict[str, tuple[str, list[str]]] = {
    "at the top": ('{"a": 1, "a": 2}', ["a"]),
    "three times": ('{"a": 1, "a": 2, "a": 3}', ["a"]),
    "two of them": ('{"a": 1, "b": 1, "a": 2, "b": 2}', ["a", "b"]),
    "the jobs themselves": ('{"jobs": [], "jobs": [{"name": "a"}]}', ["jobs"]),
    "in a job": ('{"jobs": [{"name": "a"}, {"name": "b", "command": "x", "command": "y"}]}', ["jobs[1].command"]),
    "in the attributes of a job": ('{"jobs": [{"attributes": {"sex": "f", "sex": "m"}}]}', ["jobs[0].attributes.sex"]),
    "in an object of the header": ('{"tag_limits": {"fit": 1, "fit": 2}}', ["tag_limits.fit"]),
    "in lists of lists": ('{"a": [[1, {"b": 1, "b": 2}]]}', ["a[0][1].b"]),
    "written with escapes": ('{"jobs": [{"name": "a", "n\\u0061me": "b"}]}', ["jobs[0].name"]),
    "written with spaces": ('{ "a" : 1 , "a" : 2 }', ["a"]),
    "written with a space once": ('{"a" : 1, "a": 2}', ["a"]),
    "written on two lines": ('{"a"\n: 1, "a": 2}', ["a"]),
    "beside a text that looks like a key": ('{"b": "\\":", "a": 1, "a": 2}', ["a"]),
    "where a backslash ends a key": ('{"a\\\\": 1, "a\\\\": 2}', ["a\\"]),
    "hidden by a missing one": ('{"jobs": [{"name": "a", "tag": "x", "tag": "y"}, {"name": "b"}]}', ["jobs[0].tag"]),
}


@pytest.mark.parametrize("where", DOUBLED)
def test_a_key_that_comes_twice_is_found(where: str) -> None:
    text, paths = DOUBLED[where]
    assert find_doubled_keys(text.encode()) == paths


texts = st.text(max_size=8) | st.sampled_from(['":', '\\":', "a\\", '"', ":", "\u00e9"])
values = st.recursive(
    st.none() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(texts | st.just("jobs"), values, max_size=5),
    st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]),
)
def test_nothing_is_found_where_no_key_comes_twice(data: dict[str, Any], separators: tuple[str, str]) -> None:
    for as_ascii in (True, False):
        assert (
            find_doubled_keys(json.dumps(data, separators=separators, ensure_ascii=as_ascii).encode("utf-8", "replace"))
            == []
        )


@given(st.dictionaries(texts, values, min_size=1, max_size=5), st.data())
def test_whichever_key_is_written_again_is_found(data: dict[str, Any], draw: st.DataObject) -> None:
    key = draw.draw(st.sampled_from(sorted(data)))
    again = json.dumps({key: 1})
    assert find_doubled_keys(f"{json.dumps(data)[:-1]}, {again[1:]}".encode()) == [key]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"[" * 100_000, b'{"a":' * 100_000, b'{"jobs": 1}', b'{"jobs": [1]}', b"\xff"]
)
def test_what_is_no_graph_is_left_to_others(body: bytes) -> None:
    assert find_doubled_keys(body) == []


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (b"", 0), (b"{}", 1), (b'{"a": [[], {}]}', 4), (b'{"a": "[[[{{{"}', 1), (b'{"a": "\\"[[", "b": []}', 2),
        (b'{"a": "\\\\", "b": []}', 2), (b'["[[[', 1), (b"[" * 10, 10),
    ],
)  # fmt: skip
def test_objects_and_lists_are_counted_but_those_in_texts(body: bytes, parts: int) -> None:
    assert not has_more_parts_than(parts, body)
    assert parts == 0 or has_more_parts_than(parts - 1, body)
