"""The model of the property tests refuses what a broken engine would do, and takes what a right one does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.reference.forecast import forecast
from tests.reference.model import Breach, Job, Model, Plan


def make(*, is_fail_fast: bool = False, second: Plan | None = None) -> Model:
    """b waits for a; c waits for nothing."""
    jobs = [
        Job("a", Plan("exit", until=2), (), max_attempts=2),
        Job("b", second or Plan(), ("a",), max_attempts=2),
        Job("c", Plan("exit"), (), max_attempts=1),
    ]
    model = Model({job.name: job for job in jobs}, is_fail_fast=is_fail_fast)
    model.start()
    return model


def run_to_end(model: Model, number: int, name: str, code: int, verdict: str, ordinal: int = 1) -> None:
    model.intend(number, name, ordinal)
    model.hand_over(number, name)
    model.begin(number)
    model.finish(number, code, visible_at=0.0, is_cancelled=False)
    model.end(number, verdict)


def test_a_right_history_is_taken() -> None:
    model = make()
    run_to_end(model, 1, "a", 3, "exit")
    assert model.states()["a"] == ("E", 1)
    run_to_end(model, 2, "c", 3, "exit")
    run_to_end(model, 3, "a", 0, "ok", ordinal=2)
    run_to_end(model, 4, "b", 0, "ok")
    model.close("E")
    assert model.states() == {"a": ("D", 2), "b": ("D", 1), "c": ("F", 1)}


def start_downstream_first(model: Model) -> None:
    model.intend(1, "b", 1)


def close_too_early(model: Model) -> None:
    run_to_end(model, 1, "c", 3, "exit")
    model.close("E")


def close_beside_a_live_attempt(model: Model) -> None:
    model.intend(1, "a", 1)
    model.close("E")


def start_twice(model: Model) -> None:
    model.intend(1, "a", 1)
    model.intend(2, "a", 1)


def start_what_is_done(model: Model) -> None:
    model.mark_done(["c"])
    model.intend(1, "c", 1)


def start_what_is_spent(model: Model) -> None:
    run_to_end(model, 1, "c", 3, "exit")
    model.intend(2, "c", 2)


def miscount(model: Model) -> None:
    run_to_end(model, 1, "a", 3, "exit")
    model.intend(2, "a", 3)


def call_a_failure_a_success(model: Model) -> None:
    run_to_end(model, 1, "c", 3, "ok")


def believe_one_listing(model: Model) -> None:
    model.intend(1, "a", 1)
    model.hand_over(1, "a")
    model.begin(1)
    model.list(frozenset())
    model.end(1, "lost")


def void_what_has_started(model: Model) -> None:
    model.intend(1, "a", 1)
    model.hand_over(1, "a")
    model.begin(1)
    model.end(1, "void")


def run_what_was_given_up(model: Model) -> None:
    model.intend(1, "a", 1)
    model.hand_over(1, "a")
    model.end(1, "void")
    model.begin(1)


def start_while_stopping(model: Model) -> None:
    model.stop("drain")
    model.intend(1, "a", 1)


def kill_unasked(model: Model) -> None:
    model.intend(1, "a", 1)
    model.cancel(1)


def submit_again(model: Model) -> None:
    model.intend(1, "a", 1)
    model.hand_over(1, "a")
    model.hand_over(1, "a")


WRONG = [start_downstream_first, close_too_early, close_beside_a_live_attempt, start_twice, start_what_is_done,
         start_what_is_spent, miscount, call_a_failure_a_success, believe_one_listing, void_what_has_started,
         run_what_was_given_up, start_while_stopping, kill_unasked, submit_again]  # fmt: skip


@pytest.mark.parametrize("go_wrong", WRONG, ids=lambda act: act.__name__)
def test_a_wrong_history_is_a_breach(go_wrong: Callable[[Model], None]) -> None:
    with pytest.raises(Breach):
        go_wrong(make())


def test_nothing_starts_after_a_failure_in_fail_fast() -> None:
    model = make(is_fail_fast=True)
    run_to_end(model, 1, "c", 3, "exit")
    with pytest.raises(Breach, match="fail-fast"):
        model.intend(2, "a", 1)
    model.close("E")


def test_the_forecast_follows_the_plans() -> None:
    assert forecast(make()) == {"a": {("D", 2)}, "b": {("D", 1)}, "c": {("F", 1)}}
    assert forecast(make(second=Plan("refused")))["b"] == {("F", 0)}


def test_what_waits_for_a_failed_job_stays_registered() -> None:
    model = make()
    model.jobs["a"].max_attempts = 1
    assert forecast(model) == {"a": {("F", 1)}, "b": {("G", 0)}, "c": {("F", 1)}}


def test_a_kill_may_come_before_or_after_the_end() -> None:
    model = make()
    model.intend(1, "a", 1)
    model.hand_over(1, "a")
    model.begin(1)
    model.stop("kill")
    assert forecast(model)["a"] == {("G", 0)}
    model.jobs["a"].plan = Plan(runs=20)
    assert forecast(model)["a"] == {("G", 0), ("D", 1)}
