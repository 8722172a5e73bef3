"""The format of token files: complete, torn, strange."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.base import Evidence, TokenKind, Usage
from executors.token_file import format_usage, parse_times, parse_token, parse_usage, render_usage_line

LIFE = "start n1 node7 4711 jm-1 100.5\n0m0.1s 0m0.2s\n0m1.0s 0m2.0s\nexit 137\n"
MEASURED = Usage(wallclock=7.5, cpu=3.0, maxvmem=4096, io=512)
figures = st.builds(
    Usage,
    wallclock=st.none() | st.floats(0, 1e7).map(lambda x: round(x, 2)),
    cpu=st.none() | st.floats(0, 1e7).map(lambda x: round(x, 2)),
    maxvmem=st.none() | st.integers(0, 2**50),
    io=st.none() | st.integers(0, 2**50),
)


class TestFormats:
    @pytest.mark.parametrize(
        ("line", "seconds"),
        [
            ("0m0.010000s 0m0.020000s", 0.03),
            ("1m2.5s 2m0.5s", 183.0),
            ("", None),
            ("0m0.1s", None),
            ("0m1..2s 0m1s", None),
        ],
    )
    def test_times(self, line: str, seconds: float | None) -> None:
        found = parse_times(line)
        assert found == (None if seconds is None else pytest.approx(seconds))

    @given(figures)
    def test_usage_survives_the_round_trip(self, usage: Usage) -> None:
        assert parse_usage(format_usage(usage)) == usage

    @given(st.text())
    def test_parsers_take_any_text(self, text: str) -> None:
        assert isinstance(parse_token(text, 0.0), Evidence)
        assert isinstance(parse_usage(text), Usage)
        parse_times(text)

    def test_complete_life(self) -> None:
        found = parse_token(LIFE, 110.5)
        assert found.token is not None
        assert (found.token.kind, found.token.nonce, found.token.host) == (TokenKind.START, "n1", "node7")
        assert (found.token.process_group_id, found.token.executor_id, found.token.started_at) == (4711, "jm-1", 100.5)
        assert found.exit is not None
        assert (found.exit.code, found.exit.signal, found.exit.ended_at) == (137, 9, 110.5)
        assert found.usage is not None
        assert found.usage.cpu == pytest.approx(3.3)
        assert found.usage.wallclock == 10.0

    @pytest.mark.parametrize("cut", range(1, 45))
    def test_a_torn_file_never_shows_an_exit(self, cut: int) -> None:
        whole = "start n1 node7 4711 jm-1 100.5\n0m0.1s 0m0.2s\nexit 12\n"
        found = parse_token(whole[:-cut], 0.0)
        assert found.exit is None
        assert found.token is not None
        assert found.token.kind is TokenKind.START

    def test_void(self) -> None:
        found = parse_token("void abc worker@host\nexit 0\n", 0.0)
        assert found.token is not None
        assert (found.token.kind, found.token.nonce) == (TokenKind.VOID, "abc")
        assert found.exit is None

    @pytest.mark.parametrize("number", ["\u00b2", "1" * 5000, "-1", ""])
    def test_strange_numbers_are_none(self, number: str) -> None:
        found = parse_token(f"start n host {number} id inf\nexit {number}\n", 0.0)
        assert found.exit is None
        assert found.token is not None
        assert (found.token.process_group_id, found.token.started_at) == (None, None)

    def test_figures_that_are_no_numbers_are_left_out(self) -> None:
        assert parse_usage("wallclock=nan cpu=inf maxvmem=-inf io=x rest") == Usage()


class TestUsageLine:
    def test_measured_wins_over_the_times(self) -> None:
        found = parse_token(LIFE + render_usage_line(MEASURED, 110.5), 999.0)
        assert found.usage == MEASURED
        assert found.exit is not None
        assert (found.exit.code, found.exit.ended_at) == (137, 110.5)

    def test_times_fill_what_was_not_measured(self) -> None:
        found = parse_token(LIFE + render_usage_line(Usage(maxvmem=4096), 110.5), 999.0)
        assert found.usage is not None
        assert found.usage.cpu == pytest.approx(3.3)
        assert (found.usage.wallclock, found.usage.maxvmem) == (10.0, 4096)

    def test_without_an_exit_it_still_tells(self) -> None:
        found = parse_token("start n1 node7 4711 jm-1 100.5\n" + render_usage_line(MEASURED, 110.5), 999.0)
        assert (found.exit, found.usage) == (None, MEASURED)

    @given(usage=figures, ended_at=st.floats(1e9, 1e10), data=st.data())
    def test_torn_anywhere_it_changes_nothing(self, usage: Usage, ended_at: float, data: st.DataObject) -> None:
        line = render_usage_line(usage, ended_at)
        cut = data.draw(st.integers(0, len(line) - 1))
        assert parse_token(LIFE + line[:cut], 110.5) == parse_token(LIFE, 110.5)

    @given(usage=figures, ended_at=st.floats(1e9, 1e10))
    def test_whole_it_survives_the_round_trip(self, usage: Usage, ended_at: float) -> None:
        found = parse_token("start n host 1 id -\nexit 0\n" + render_usage_line(usage, ended_at), 1.0)
        assert found.usage == usage
        assert found.exit is not None
        assert found.exit.ended_at == ended_at

    @pytest.mark.parametrize("line", ["usage\n", "usage \n", "usage x=y ended=now\n", "usage ended=nan\n"])
    def test_unreadable_it_is_as_good_as_none(self, line: str) -> None:
        assert parse_token(LIFE + line, 110.5) == parse_token(LIFE, 110.5)
