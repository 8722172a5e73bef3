"""When will it be done: the range against simulated schedules, what moves it which way, and when it stays silent."""

from __future__ import annotations

import heapq
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.estimate import (
    MIN_SAMPLES,
    Estimate,
    Limits,
    TagState,
    choose_samples,
    estimate,
    estimate_whole,
    residual,
    sum_quantiles,
)
from workflows.tag_chain import find_rings, longest_chain

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
EVEN = [60.0] * MIN_SAMPLES


def seconds(found: Estimate) -> tuple[float, float]:
    assert found.unknown is None, found.unknown
    assert found.earliest is not None
    assert found.latest is not None
    return (found.earliest - NOW).total_seconds(), (found.latest - NOW).total_seconds()


# --- a simulator: jobs, edges between jobs, and a scheduler that leaves no allowed slot empty -----------------------


@dataclass
class SimulatedJob:
    tag: str
    length: float
    slots: int
    upstreams: list[int]
    elapsed: float = 0.0


def simulate(jobs: Sequence[SimulatedJob], limits: Limits, tag_limits: dict[str, int | None]) -> float:
    """Seconds until the last job has ended. Jobs with `elapsed` run already."""
    missing = [len(job.upstreams) for job in jobs]
    downstream = defaultdict(list)
    for number, job in enumerate(jobs):
        for upstream in job.upstreams:
            downstream[upstream].append(number)
    ready = [number for number, job in enumerate(jobs) if not missing[number] and not job.elapsed]
    ends = [(job.length - job.elapsed, number) for number, job in enumerate(jobs) if job.elapsed]
    heapq.heapify(ends)
    live = Counter(jobs[number].tag for _, number in ends)
    room = limits.executors.get("local", 10**9) - sum(jobs[number].slots for _, number in ends)
    clock = 0.0
    while ends or ready:
        left = []
        for number in sorted(ready):
            job, tag_limit = jobs[number], tag_limits.get(jobs[number].tag)
            has_room = len(ends) < (limits.run or 10**9) and live[job.tag] < (tag_limit or 10**9) and job.slots <= room
            if has_room:
                heapq.heappush(ends, (clock + job.length, number))
                live[job.tag] += 1
                room -= job.slots
            else:
                left.append(number)
        clock, ended = heapq.heappop(ends)
        live[jobs[ended].tag] -= 1
        room += jobs[ended].slots
        for number in downstream[ended]:
            missing[number] -= 1
        ready = left + [number for number in downstream[ended] if not missing[number]]
    return clock


def make_case(seed: int) -> tuple[list[TagState], Limits, float]:
    """A run in its middle: what the estimate knows of it, and when it truly ends."""
    dice = random.Random(seed)
    shapes = [
        (dice.choice([1, 8, 40, 200, 400]), dice.uniform(3, 6), dice.uniform(0.1, 1.0))
        for _ in range(dice.randint(1, 4))
    ]
    kinds = [dice.choice(["all", "one", "none"]) for _ in shapes]
    slots = [dice.choice([1, 1, 2, 4]) for _ in shapes]
    tag_limits = {f"t{i}": dice.choice([None, None, 5, 30]) for i in range(len(shapes))}
    limits = Limits(dice.choice([None, 10, 50, 500]), {"local": dice.choice([16, 64, 1000])})
    jobs: list[SimulatedJob] = []
    tags, before = [], range(0)
    for i, (count, mu, sigma) in enumerate(shapes):
        first = len(jobs)
        for k in range(count):
            ups = {"all": list(before), "one": [before[k % len(before)]] if before else [], "none": []}[kinds[i]]
            jobs.append(SimulatedJob(f"t{i}", dice.lognormvariate(mu, sigma), slots[i], ups))
        samples = [dice.lognormvariate(mu, sigma) for _ in range(dice.choice([30, 60, 300]))]
        is_free = kinds[i] == "none" or not before
        ups_of_tag = () if is_free else (f"t{i - 1}",)
        tags.append(
            TagState(
                f"t{i}",
                count if is_free else 0,
                0 if is_free else count,
                (),
                samples,
                (),
                slots[i],
                tag_limits[f"t{i}"],
                "local",
                ups_of_tag,
            )
        )
        before = range(first, len(jobs))
    running = min(shapes[0][0], tag_limits["t0"] or 8, limits.run or 8, 16 // slots[0], 8)
    for job in jobs[:running]:
        job.elapsed = job.length * dice.uniform(0.05, 0.95)
    tags[0] = replace(tags[0], ready=tags[0].ready - running, running=tuple(job.elapsed for job in jobs[:running]))
    return tags, limits, simulate(jobs, limits, tag_limits)


def test_the_simulator_keeps_the_limits() -> None:
    jobs = [SimulatedJob("a", 10.0, 2, []) for _ in range(6)] + [SimulatedJob("b", 5.0, 1, [0, 5])]
    assert simulate(jobs, Limits(), {}) == 15.0
    assert simulate(jobs, Limits(2), {}) == 35.0
    assert simulate(jobs, Limits(), {"a": 3}) == 25.0
    assert simulate(jobs, Limits(None, {"local": 5}), {}) == 35.0


def test_most_simulated_runs_end_within_the_range() -> None:
    cases = [make_case(seed) for seed in range(300)]
    ranges = [seconds(estimate(tags, limits, NOW)) for tags, limits, _ in cases]
    ends = [end for _, _, end in cases]
    too_early = sum(end < low for (low, _), end in zip(ranges, ends, strict=True))
    too_late = sum(end > high for (_, high), end in zip(ranges, ends, strict=True))
    widths = [high / max(low, 1.0) for low, high in ranges]
    words = f"early {too_early}, late {too_late}, median width {statistics.median(widths):.2f}"
    print(words)
    assert too_early <= 30, words
    assert too_late <= 45, words
    assert statistics.median(widths) < 3.0, words  # a range that says everything says nothing


def test_a_queue_of_equal_jobs_is_what_the_sum_says() -> None:
    tags = [TagState("fit", ready=100, samples=EVEN)]
    low, high = seconds(estimate(tags, Limits(run=10), NOW))
    assert low == pytest.approx(600)
    assert high == pytest.approx(660)
    assert seconds(estimate(tags, Limits(run=1), NOW)) == (pytest.approx(6000), pytest.approx(6000))


def test_a_chain_is_what_its_tags_take() -> None:
    tags = [TagState(f"t{i}", waiting=1, samples=EVEN, upstreams=[f"t{i - 1}"]) for i in range(5)]
    found = estimate(tags, Limits(run=500), NOW)
    assert seconds(found) == (pytest.approx(300), pytest.approx(300))
    assert found.bound_by == "the longest chain"


def test_done_tags_pass_the_chain_on() -> None:
    tags = [
        TagState("a", ready=1, samples=EVEN),
        TagState("b", upstreams=["a"]),
        TagState("c", waiting=1, samples=EVEN, upstreams=["b"]),
    ]
    assert seconds(estimate(tags, Limits(), NOW))[0] == pytest.approx(120)


def test_a_chain_within_a_tag_counts() -> None:
    tags = [TagState("a", ready=4, samples=EVEN, chain=4)]
    assert seconds(estimate(tags, Limits(100), NOW))[0] == pytest.approx(240)


@pytest.mark.parametrize(
    ("tag", "limits", "words"),
    [
        (TagState("fit", 2000, samples=EVEN), Limits(500, {"local": 10_000}), "the limit of 500"),
        (TagState("fit", 90_000, samples=EVEN), Limits(5000, {"local": 10_000}), "the limit of 5,000"),
        (TagState("fit", 2000, samples=EVEN, limit=20), Limits(500), "the limit of fit (20)"),
        (TagState("fit", 2000, samples=EVEN, slots=4.0), Limits(500, {"local": 64, "sge": 1}), "the slots of local"),
        (TagState("fit", 20, samples=EVEN), Limits(500, {"local": 64}), "the longest chain"),
        (TagState("fit", 20, samples=EVEN), Limits(), "the longest chain"),
    ],
)
def test_it_says_what_binds(tag: TagState, limits: Limits, words: str) -> None:
    assert estimate([tag], limits, NOW).bound_by == words


def test_nothing_left_is_now() -> None:
    assert estimate([TagState("fit")], Limits(hold="x"), NOW) == Estimate(NOW, NOW, "nothing is left", None)
    assert estimate([], Limits(), NOW).latest == NOW


@pytest.mark.parametrize(
    ("tag", "limits", "words"),
    [
        (TagState("fit", 5, samples=EVEN), Limits(hold="qmaster does not answer."), "held: qmaster does not answer."),
        (TagState("fit", 5, samples=EVEN[:12], earlier=EVEN[:17]), Limits(), "29 of the 30 ended jobs of fit"),
        (TagState("fit", 5, samples=EVEN, limit=0), Limits(), "the limit of fit is 0"),
        (TagState("fit", 5, samples=EVEN), Limits(run=0), "the limit of the run is 0"),
        (TagState("fit", 5, samples=EVEN), Limits(executors={"local": 0}), "local has no slot"),
    ],
)
def test_it_is_silent_rather_than_wrong(tag: TagState, limits: Limits, words: str) -> None:
    found = estimate([tag], limits, NOW)
    assert (found.earliest, found.latest, found.bound_by) == (None, None, "")
    assert words in str(found.unknown)


def test_earlier_runs_fill_up() -> None:
    tag = TagState("fit", 5, samples=[10.0], earlier=[20.0] * 29)
    assert choose_samples(tag) == [10.0] + [20.0] * 29
    assert choose_samples(replace(tag, samples=EVEN)) == EVEN
    assert estimate([tag], Limits(), NOW).unknown is None


def test_a_tag_of_one_job_needs_only_the_times_that_it_ran_before() -> None:
    tag = TagState("report", waiting=1, earlier=[50.0, 70.0, 60.0], jobs=1)
    low, high = seconds(estimate([tag], Limits(), NOW))
    assert (low, high) == (pytest.approx(50), pytest.approx(70))
    assert "2 of the 3 ended jobs of report" in str(
        estimate([replace(tag, earlier=[50.0, 60.0])], Limits(), NOW).unknown
    )
    assert "9 of the 15 ended jobs" in str(estimate([replace(tag, jobs=5, earlier=EVEN[:9])], Limits(), NOW).unknown)


def make_chain(dice: random.Random) -> tuple[list[TagState], float]:
    """Six jobs, each alone in its tag, one after the other; each ran three times before."""
    draws = [[dice.lognormvariate(mu, 0.4) for _ in range(4)] for mu in (3, 5, 4, 5, 3, 4)]
    tags = [
        TagState(f"t{i}", waiting=1, earlier=before, jobs=1, upstreams=[f"t{i - 1}"] if i else [])
        for i, (_, *before) in enumerate(draws)
    ]
    return tags, sum(length for length, *_ in draws)


def test_most_chains_of_single_jobs_end_within_the_range() -> None:
    dice = random.Random(7)
    early = late = 0
    for _ in range(300):
        tags, end = make_chain(dice)
        low, high = seconds(estimate(tags, Limits(500), NOW))
        early, late = early + (end < low), late + (end > high)
    print(f"early {early}, late {late}")
    assert early <= 60, early
    assert late <= 60, late


def test_whole_runs_tell_what_tags_cannot() -> None:
    found = estimate_whole([3600.0, 4000.0, 4400.0], 600.0, NOW)
    assert seconds(found) == (3000.0, 3800.0)
    assert found.bound_by == "as 3 earlier workflows like it did"
    low, high = seconds(estimate_whole([3600.0, 4000.0, 4400.0], 3700.0, NOW))
    assert (low, high) == (300.0, 700.0)


@pytest.mark.parametrize(("durations", "elapsed"), [([3600.0, 3700.0], 0.0), ([3600.0, 3700.0, 3800.0], 3800.0)])
def test_few_or_shorter_whole_runs_tell_nothing(durations: list[float], elapsed: float) -> None:
    assert estimate_whole(durations, elapsed, NOW).earliest is None


def test_too_few_samples_are_the_only_reason_to_look_elsewhere() -> None:
    few = TagState("fit", 5, samples=EVEN[:3])
    assert estimate([few], Limits(), NOW).wants_samples
    assert not estimate([few], Limits(hold="x"), NOW).wants_samples
    assert not estimate([few, TagState("end", 5, samples=EVEN, limit=0)], Limits(), NOW).wants_samples


def test_what_still_runs() -> None:
    values = [10.0, 20.0, 30.0]
    assert residual(values, 0.0, 0.5) == 20.0
    assert residual(values, 15.0, 0.5) == 10.0
    assert residual(values, 40.0, 0.75) == 30.0
    tags = [TagState("fit", running=[50.0], samples=EVEN)]
    assert seconds(estimate(tags, Limits(), NOW)) == (pytest.approx(10), pytest.approx(10))


def test_zero_seconds_are_no_division() -> None:
    assert seconds(estimate([TagState("fit", 9, samples=[0.0] * 30)], Limits(2), NOW)) == (0.0, 0.0)


def test_sums_of_jobs_have_their_quantiles() -> None:
    dice = random.Random(1)
    values = sorted(dice.lognormvariate(4, 0.8) for _ in range(5000))
    sums = [sum(dice.choice(values) for _ in range(20)) for _ in range(4000)]
    low, mean, high = sum_quantiles(20, values)
    quarters = statistics.quantiles(sums, n=4)
    assert low == pytest.approx(quarters[0], rel=0.03)
    assert high == pytest.approx(quarters[2], rel=0.03)
    assert mean == pytest.approx(statistics.mean(sums), rel=0.03)


# --- what moves it which way ----------------------------------------------------------------------------------------

TIMES = st.lists(st.floats(0, 1e5), min_size=MIN_SAMPLES, max_size=50)


@st.composite
def tag_lists(draw: st.DrawFn) -> list[TagState]:
    names = [f"t{i}" for i in range(draw(st.integers(1, 4)))]
    return [
        TagState(
            name,
            draw(st.integers(0, 300)),
            draw(st.integers(0, 300)),
            draw(st.lists(st.floats(0, 1e5), max_size=5)),
            draw(TIMES),
            slots=draw(st.floats(1, 8)),
            limit=draw(st.none() | st.integers(1, 50)),
            upstreams=draw(st.lists(st.sampled_from(names), max_size=3)),
            chain=draw(st.integers(1, 5)),
        )
        for name in names
    ]


LIMITS = st.builds(
    Limits, st.none() | st.integers(1, 500), st.fixed_dictionaries({}, optional={"local": st.integers(1, 500)})
)


def never_less(more: tuple[float, float], less: tuple[float, float]) -> bool:
    return all(one >= other - 1e-3 - other * 1e-9 for one, other in zip(more, less, strict=True))


@settings(deadline=None)
@given(tag_lists(), LIMITS, st.integers(1, 300), st.data())
def test_more_work_never_ends_earlier(tags: list[TagState], limits: Limits, more: int, data: st.DataObject) -> None:
    before = seconds(estimate(tags, limits, NOW))
    assert before[0] <= before[1]
    number = data.draw(st.integers(0, len(tags) - 1))
    larger = [replace(tag, ready=tag.ready + more) if i == number else tag for i, tag in enumerate(tags)]
    assert never_less(seconds(estimate(larger, limits, NOW)), before)
    running = [replace(tag, running=[*tag.running, 5.0]) if i == number else tag for i, tag in enumerate(tags)]
    assert never_less(seconds(estimate(running, limits, NOW)), before)


@settings(deadline=None)
@given(tag_lists(), LIMITS, st.integers(1, 300))
def test_higher_limits_never_end_later(tags: list[TagState], limits: Limits, more: int) -> None:
    before = seconds(estimate(tags, limits, NOW))
    higher = Limits(limits.run and limits.run + more, {name: slots + more for name, slots in limits.executors.items()})
    assert never_less(before, seconds(estimate(tags, higher, NOW)))
    assert never_less(before, seconds(estimate(tags, Limits(), NOW)))
    freer = [replace(tag, limit=tag.limit and tag.limit + more) for tag in tags]
    assert never_less(before, seconds(estimate(freer, limits, NOW)))


# --- chains ---------------------------------------------------------------------------------------------------------

GRAPHS = st.dictionaries(st.integers(0, 7).map(str), st.lists(st.integers(0, 7).map(str), max_size=4), max_size=8)


def reachable(edges: dict[str, list[str]], start: str) -> set[str]:
    found, left = {start}, [start]
    while left:
        new = [up for up in edges.get(left.pop(), ()) if up in edges and up not in found]
        found.update(new)
        left += new
    return found


@given(GRAPHS)
def test_rings_are_what_reaches_each_other(edges: dict[str, list[str]]) -> None:
    rings = find_rings(edges, {})
    ups = {name: reachable(edges, name) for name in edges}
    expected = {frozenset(other for other in edges if other in ups[name] and name in ups[other]) for name in edges}
    assert {frozenset(ring) for ring in rings} == expected
    assert sorted(name for ring in rings for name in ring) == sorted(edges)
    place = {name: number for number, ring in enumerate(rings) for name in ring}
    assert all(place[up] <= place[name] for name in edges for up in ups[name])


def test_the_longest_chain_passes_rings_once() -> None:
    edges = {"b": ["a", "c"], "c": ["b"], "d": ["c", "nobody"], "e": ["a"]}
    assert longest_chain({"a": 1, "b": 2, "c": 4, "d": 8, "e": 3}, edges) == 15
    assert longest_chain({"a": 1, "e": 30}, edges) == 31
    assert longest_chain({}, {}) == 0
