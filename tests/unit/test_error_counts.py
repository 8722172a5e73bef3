"""What is counted beside an error group: over time, and by host."""

from __future__ import annotations

from workflows.error_counts import BINS, MOST_HOSTS, add_hosts, add_to_trend, find_common_host, trend_until


def test_a_trend_grows_with_the_time_it_spans_and_loses_nothing() -> None:
    trend: dict[str, object] = {}
    for minute in range(0, 10_000, 7):
        trend = add_to_trend(trend, 1_000_000.0 + minute * 60, 2)
        assert len(trend["counts"]) <= BINS  # type: ignore[arg-type]
    assert sum(trend["counts"]) == 2 * len(range(0, 10_000, 7))  # type: ignore[arg-type,call-overload]
    assert trend["step"] == 60 * 512


def test_what_comes_late_counts_in_the_first_step() -> None:
    trend = add_to_trend(add_to_trend(None, 1_000_000, 1), 1_000_000 - 5_000, 3)
    assert trend["counts"] == [4]


def test_a_quiet_end_is_shown() -> None:
    trend = add_to_trend(None, 600, 5)
    assert trend_until(trend, 600 + 5 * 60) == [5, 0, 0, 0, 0, 0]
    assert trend_until(None, 10) == []


def test_hosts_are_counted_and_the_rarest_are_let_go() -> None:
    hosts = add_hosts(None, ["c1", "c1", "", "c2"])
    assert hosts == {"c1": 2, "c2": 1}
    many = add_hosts(hosts, [f"n{number}" for number in range(80)])
    assert len(many) == MOST_HOSTS
    assert many["c1"] == 2


def test_a_host_is_named_only_where_it_has_clearly_more_than_its_due() -> None:
    four = {"c1": 30, "c2": 29, "c3": 31, "c4": 30}
    assert find_common_host({"c1": 4, "c2": 3, "c3": 3, "c4": 2}, four) is None, "what chance gives"
    assert find_common_host({"c1": 12}, four | {"c1": 42}) == ("c1", 1.0)
    assert find_common_host({"c1": 11, "c2": 1}, four | {"c1": 41}) == ("c1", 11 / 12)
    assert find_common_host({"c1": 2}, four) is None, "two attempts tell nothing"
    assert find_common_host({"vm": 50}, {"vm": 80}) is None, "there is no other host"
    assert find_common_host({"c1": 10, "c2": 2}, {"c1": 90, "c2": 12}) is None, "most of all failures are there"
    assert find_common_host(None, four) is None
    assert find_common_host({}, four) is None
