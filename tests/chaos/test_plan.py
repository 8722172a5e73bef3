"""What a seed means: the same again, every kind of fault, overlaps, and points in every wave."""

from __future__ import annotations

import random

import pytest

from tests.chaos.graphs import make_graph
from tests.chaos.plan import LEASE, PAUSE_POINT, POINTS, SUPERVISOR, Fault, list_cards, pair, plan_wave

FAMILIES = (
    ("cut-connections", "restart-database", "stop-database"), ("full-disk",), ("clock-ahead", "clock-behind"),
    ("kill-job", "kill-wrapper", "stop-wrapper"),
)  # fmt: skip
SEEDS = range(30)
WAVES, FAULTS = 2, 12


def plan(seed: int, waves: int = WAVES) -> list[list[Fault]]:
    return [plan_wave(seed, wave, FAULTS, tuple(POINTS), FAMILIES) for wave in range(waves)]


def test_a_seed_means_the_same_graphs_and_faults() -> None:
    def make() -> object:
        return make_graph(random.Random("7/3"), 60, has_gate=True), plan(7)

    assert make() == make()


def test_a_wave_is_the_same_however_many_come_before_or_after() -> None:
    assert plan(7, 10)[:WAVES] == plan(7)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_kind_of_fault_comes_in_a_short_session(seed: int) -> None:
    planned = {(fault.kind, fault.part) for wave in plan(seed) for fault in wave}
    assert set(list_cards(FAMILIES)) <= planned


@pytest.mark.parametrize("seed", SEEDS)
def test_every_fault_point_is_armed_in_a_short_session_and_some_in_each_wave(seed: int) -> None:
    armed = [{point.partition(":")[0] for fault in wave for point in fault.points} for wave in plan(seed, 20)]
    assert set.union(*armed[:WAVES]) == set(POINTS) - {PAUSE_POINT}
    assert all(len(points) >= 4 for points in armed)


def test_points_fire_at_many_passages() -> None:
    passages = {point for seed in SEEDS for wave in plan(seed, 9) for fault in wave for point in fault.points}
    assert {f"before_hint:kill@{number}" for number in range(1, 11)} <= passages


@pytest.mark.parametrize("seed", SEEDS)
def test_each_wave_begins_with_the_sleeping_submitter_alone(seed: int) -> None:
    for wave in plan(seed):
        assert [fault.kind for fault in wave[:2]] == ["pause", "arm"]
        assert not any(fault.overlaps for fault in wave[:3])


@pytest.mark.parametrize("seed", SEEDS)
def test_some_stops_outlast_the_lease_and_what_stands_still_is_not_ended(seed: int) -> None:
    groups = [group for wave in plan(seed) for group in pair(wave)]
    sleeps = [fault for group in groups for fault in group if fault.kind == "sleep"]
    assert sleeps
    assert all(fault.seconds > LEASE for fault in sleeps)
    for first, *others in groups:
        ends = {"crash", f"kill {first.part}", f"kill {SUPERVISOR}"} if first.part else set()
        assert not any(fault.name in ends for fault in others)


def test_faults_overlap_and_never_two_of_one_family() -> None:
    pairs = [group for seed in SEEDS for wave in plan(seed) for group in pair(wave) if len(group) > 1]
    assert len(pairs) > len(SEEDS)
    for first, second in pairs:
        assert first.seconds > second.after
        assert not any(first.kind in family and second.kind in family for family in FAMILIES)


def test_with_the_pause_alone_nothing_else_is_armed() -> None:
    assert [fault.kind for fault in plan_wave(7, 0, 0, (PAUSE_POINT,))] == ["pause"]


def test_without_the_pause_nothing_sleeps() -> None:
    points = [point for point in POINTS if point != PAUSE_POINT]
    assert plan_wave(7, 0, FAULTS, points)[0].kind == "arm"
