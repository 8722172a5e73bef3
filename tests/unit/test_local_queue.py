"""Which waiting attempt starts next: pure."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from executors.local_queue import LOCAL, SEQUENTIAL, Attempt, Backlog, Machine


def attempt(number: int, slots: int = 1, memory: int = 0, queue: str = LOCAL) -> Attempt:
    return Attempt(number, 1, f"a{number}", queue, slots, memory, None, "/", "/out", "/err", {}, 0.0)


def take(backlog: Backlog, machine: Machine, *, busy: bool = False, now: float = 0.0) -> int | None:
    taken = backlog.take_next(machine, busy, now)
    return None if taken is None else taken.instance_id


def test_first_come_first_served() -> None:
    backlog = Backlog()
    for number in (3, 1, 2):
        backlog.add(attempt(number))
    assert [take(backlog, Machine(9, 9)) for _ in range(4)] == [3, 1, 2, None]


def test_sequential_takes_the_lowest_and_waits_for_its_turn() -> None:
    backlog = Backlog()
    for number in (3, 1, 2):
        backlog.add(attempt(number, queue=SEQUENTIAL))
    assert take(backlog, Machine(9, 9), busy=True) is None
    assert [take(backlog, Machine(9, 9)) for _ in range(4)] == [1, 2, 3, None]


def test_both_queues_take_turns_by_arrival() -> None:
    backlog = Backlog()
    for number in range(4):
        backlog.add(attempt(number, queue=LOCAL if number % 2 else SEQUENTIAL))
    assert [take(backlog, Machine(9, 9)) for _ in range(4)] == [0, 1, 2, 3]


def test_small_ones_pass_a_big_one_for_a_while_only() -> None:
    backlog = Backlog(patience=5.0)
    machine = Machine(slots=4, memory=0, used_slots=2)
    backlog.add(attempt(1, slots=4))
    for number in (2, 3):
        backlog.add(attempt(number))
    assert take(backlog, machine, now=0.0) == 2
    assert take(backlog, machine, now=4.9) == 3
    backlog.add(attempt(4))
    assert take(backlog, machine, now=5.0) is None
    machine.used_slots = 0
    assert [take(backlog, machine, now=9.0) for _ in range(2)] == [1, 4]


def test_memory_counts_too() -> None:
    backlog = Backlog()
    backlog.add(attempt(1, memory=3000))
    assert take(backlog, Machine(slots=4, memory=4000, used_memory=1001)) is None
    assert take(backlog, Machine(slots=4, memory=4000, used_memory=1000)) == 1


def test_removed_ones_do_not_come() -> None:
    backlog = Backlog()
    for number in (1, 2):
        backlog.add(attempt(number, queue=SEQUENTIAL))
        backlog.add(attempt(number + 10))
    assert backlog.remove("a1")
    assert backlog.remove("a11")
    assert not backlog.remove("a1")
    assert len(backlog) == 2
    assert sorted(a.instance_id for a in backlog) == [2, 12]
    assert {take(backlog, Machine(9, 9)) for _ in range(3)} == {2, 12, None}


def test_put_back_is_first_again() -> None:
    backlog = Backlog()
    for number in (1, 2):
        backlog.add(attempt(number))
    taken = backlog.take_next(Machine(9, 9), sequential_is_busy=False, now=0.0)
    assert taken is not None
    backlog.put_back(taken)
    assert [take(backlog, Machine(9, 9)) for _ in range(2)] == [1, 2]


@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 8), st.booleans()), min_size=1, max_size=30),
    seed=st.integers(0, 1000),
)
def test_everything_starts_in_the_end_and_never_too_much(sizes: list[tuple[int, int, bool]], seed: int) -> None:
    """Whatever ends first, slots and memory are kept, sequential ones run alone, and nobody starves."""
    chance = random.Random(seed)
    backlog, machine, now = Backlog(), Machine(slots=4, memory=8), 0.0
    for number, (slots, memory, is_sequential) in enumerate(sizes):
        backlog.add(attempt(number, slots, memory, SEQUENTIAL if is_sequential else LOCAL))
    running: list[Attempt] = []
    started: list[int] = []
    while backlog or running:
        busy = any(a.queue == SEQUENTIAL for a in running)
        taken = backlog.take_next(machine, busy, now)
        if taken is not None:
            machine.take(taken.slots, taken.memory)
            running.append(taken)
            started.append(taken.instance_id)
        else:
            assert running, "an idle machine starts something"
            ended = running.pop(chance.randrange(len(running)))
            machine.give_back(ended.slots, ended.memory)
            now += 1.0
        assert machine.used_slots <= 4
        assert machine.used_memory <= 8
        assert sum(a.queue == SEQUENTIAL for a in running) <= 1
    assert sorted(started) == list(range(len(sizes)))
