"""The spool's file formats, and the race for the token."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.base import Evidence, Hint, TokenKind, Usage
from executors.spool import Spool, attempt_folder, format_usage, parse_times, parse_token, parse_usage


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path / "spool")
    made.create()
    return made


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

    @given(
        st.builds(
            Usage,
            wallclock=st.none() | st.floats(0, 1e7).map(lambda x: round(x, 2)),
            cpu=st.none() | st.floats(0, 1e7).map(lambda x: round(x, 2)),
            maxvmem=st.none() | st.integers(0, 2**50),
            io=st.none() | st.integers(0, 2**50),
        )
    )
    def test_usage_survives_the_round_trip(self, usage: Usage) -> None:
        assert parse_usage(format_usage(usage)) == usage

    @given(st.text())
    def test_parsers_take_any_text(self, text: str) -> None:
        assert isinstance(parse_token(text, 0.0), Evidence)
        assert isinstance(parse_usage(text), Usage)
        parse_times(text)

    def test_complete_life(self) -> None:
        found = parse_token("start n1 node7 4711 jm-1 100.5\n0m0.1s 0m0.2s\n0m1.0s 0m2.0s\nexit 137\n", 110.5)
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


class TestFolders:
    def test_folders_are_private(self, spool: Spool) -> None:
        assert spool.prepare(1234567, "true")
        for path in (spool.root, spool.root / "ended", spool.folder(1234567)):
            assert path.stat().st_mode & 0o077 == 0
        assert (spool.folder(1234567) / "command").stat().st_mode & 0o777 == 0o600
        assert spool.folder(1234567) == attempt_folder(spool.root, 1234567) == spool.root / "1234" / "1234567"

    def test_only_the_first_prepares(self, spool: Spool) -> None:
        assert spool.prepare(1, "echo first")
        assert not spool.prepare(1, "echo second")
        assert (spool.folder(1) / "command").read_text() == "echo first\n"

    def test_text_that_is_none_leaves_no_folder(self, spool: Spool) -> None:
        with pytest.raises(UnicodeEncodeError):
            spool.prepare(1, "\ud800")
        assert not spool.folder(1).exists()

    def test_check_finds_nothing_wrong_and_leaves_nothing(self, spool: Spool) -> None:
        assert spool.check() is None
        assert os.listdir(spool.root) == ["ended"]

    def test_check_says_what_is_wrong(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert str(tmp_path / "file") in (Spool(tmp_path / "file").check() or "")


class TestTokens:
    def test_void_without_a_folder_makes_it_and_bars_preparation(self, spool: Spool) -> None:
        assert spool.void([5], "me")[5].kind is TokenKind.VOID
        assert not spool.prepare(5, "true")

    def test_second_void_reads_the_first(self, spool: Spool) -> None:
        assert spool.void([5], "one")[5] == spool.void([5], "two")[5]
        assert sorted(os.listdir(spool.folder(5))) == ["token"]

    def test_start_stands(self, spool: Spool) -> None:
        spool.prepare(5, "true")
        (spool.folder(5) / "token").write_text("start n host 1 id 1.0\n")
        assert spool.void([5], "me")[5].kind is TokenKind.START

    def test_of_many_voids_one_wins(self, spool: Spool) -> None:
        seen: list[str] = []
        threads = [
            threading.Thread(target=lambda n=n: seen.extend(t.nonce for t in spool.void([7], f"t{n}").values()))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 8
        assert len(set(seen)) == 1

    @pytest.mark.parametrize(("code", "over"), [(0, None), (143, "runtime")])
    def test_a_limit_counts_only_for_a_failure(self, spool: Spool, code: int, over: str | None) -> None:
        spool.prepare(5, "true")
        (spool.folder(5) / "token").write_text(f"start n host 1 id 1.0\nexit {code}\n")
        (spool.folder(5) / "over").write_text("runtime\n")
        assert spool.read([5])[5].over == over


class TestHints:
    def test_ring_read_clear(self, spool: Spool) -> None:
        usage = Usage(wallclock=1.5, cpu=0.25, maxvmem=1048576, io=512)
        spool.ring(Hint(3, 4), usage)
        assert spool.hints() == [Hint(3, 4)]
        assert spool.read_usage(Hint(3, 4)) == usage
        spool.clear_hints([Hint(3, 4), Hint(9, 9)])
        assert spool.hints() == []
        assert spool.read_usage(Hint(3, 4)) is None
        assert os.listdir(spool.root / "ended") == []

    def test_empty_hint_carries_no_usage(self, spool: Spool) -> None:
        (spool.root / "ended" / "1.2").touch()
        assert spool.hints() == [Hint(1, 2)]
        assert spool.read_usage(Hint(1, 2)) is None

    def test_other_names_are_no_hints(self, spool: Spool) -> None:
        for name in (".1.2.99", "1", "1.2.3", "a.b", "1.2.tmp"):
            (spool.root / "ended" / name).touch()
        assert spool.hints() == []

    def test_no_folder_no_hints_and_no_error(self, tmp_path: Path) -> None:
        gone = Spool(tmp_path / "gone")
        assert gone.hints() == []
        gone.ring(Hint(1, 1), Usage())


class TestTail:
    def test_last_bytes(self, spool: Spool) -> None:
        spool.prepare(1, "true")
        (spool.folder(1) / "out").write_bytes(b"0123456789")
        assert spool.tail(1, "stdout", 4) == b"6789"
        assert spool.tail(1, "stdout", 400) == b"0123456789"
        assert spool.tail(1, "stderr", 4) is None

    def test_links_pipes_and_folders_are_not_read(self, spool: Spool, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("secret")
        for number, make in enumerate((lambda p: os.symlink(tmp_path / "secret", p), os.mkfifo, os.mkdir), start=1):
            spool.prepare(number, "true")
            make(spool.folder(number) / "out")
            assert spool.tail(number, "stdout", 100) is None
