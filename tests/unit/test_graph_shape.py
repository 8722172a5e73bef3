"""Upstreams in flat arrays behave as the lists they stand for; the quick check never passes what the thorough one names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workflows.graph import JobInput, _is_plain, check_job
from workflows.graph_shape import References, Upstreams

LISTS = st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=5), max_size=20)


@given(LISTS)
def test_upstreams_are_the_lists(lists: list[list[int]]) -> None:
    upstreams = Upstreams(lists)
    assert len(upstreams) == len(lists)
    assert [list(ups) for ups in upstreams] == lists
    assert [list(upstreams[job]) for job in range(len(lists))] == lists
    assert [upstreams.count(job) for job in range(len(lists))] == list(map(len, lists))
    assert upstreams.edge_count == sum(map(len, lists))


POSTED = st.one_of(st.integers(0, 2**32 - 1), st.integers(), st.sampled_from(["", "a", "b"]))


@given(st.lists(st.lists(POSTED, max_size=5), max_size=20))
def test_references_are_what_was_posted(lists: list[list[str | int]]) -> None:
    references = References(lists)
    assert [list(one) for one in references] == lists
    assert references.has_names == any(isinstance(one, str) for posted in lists for one in posted)


TEXTS = st.one_of(
    st.sampled_from(["", "a", "a b", " a", "1", "-x", "a\n", "a/b", "x" * 256, "ok\0"]), st.text(max_size=8)
)
NUMBERS = st.sampled_from([-1, 0, 1, 2, 1000, 1001, 100_000, 100_001, 10**9])
REALS = st.one_of(st.floats(), st.sampled_from([0.0, 0.5, 10.0, 10.1, 1e6, 1e7]))
JOBS = st.builds(
    JobInput, name=TEXTS, command=TEXTS, tag=TEXTS, slots=NUMBERS, mem_free=REALS, max_attempts=NUMBERS,
    max_runtime=st.none() | NUMBERS, resource_scale=REALS,
)  # fmt: skip


@given(JOBS)
def test_what_is_plain_is_right(job: JobInput) -> None:
    assert not (_is_plain(job) and list(check_job(job, 0)))


def test_what_most_people_write_is_plain() -> None:
    assert _is_plain(JobInput(name="fit_2019.m:1", command="python fit.py --x 'y'", tag="fit-a"))
