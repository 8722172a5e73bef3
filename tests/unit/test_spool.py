"""The spool: claims, the race for the token, hints, in both layouts where they agree."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from executors.base import Hint, TokenKind, Usage
from executors.local_spool import LocalSpool
from executors.spool import Spool, attempt_folder, find_output


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Of folders, as on a cluster."""
    made = Spool(tmp_path / "spool")
    made.create()
    return made


@pytest.fixture
def local(tmp_path: Path) -> LocalSpool:
    """Below the same root."""
    made = LocalSpool(tmp_path / "spool")
    made.create()
    return made


@pytest.fixture(params=[Spool, LocalSpool])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Spool:
    made: Spool = request.param(tmp_path / "spool")
    made.create()
    return made


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """The kernel lets this process write nothing into any file."""
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, allowed[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)


def write(spool: Spool, number: int, name: str, text: str) -> Path:
    path = Path(spool.file(number, name))
    path.write_text(text)
    return path


def files_of(spool: Spool, number: int) -> list[str]:
    """The attempt's files, hidden ones of anybody included."""
    names = os.listdir(spool.folder(number))
    return sorted(name.removeprefix(f"{number}.") for name in names)


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


class TestFlatLayout:
    def test_files_are_private_and_beside_each_other(self, local: LocalSpool) -> None:
        assert local.prepare(1234567, "true")
        assert local.prepare(1234568, "true")
        for path in (local.root, local.ended, local.folder(1234567)):
            assert path.stat().st_mode & 0o077 == 0
        assert local.file(1234567, "command") == f"{local.root}/local/1234/1234567.command"
        assert Path(local.file(1234567, "command")).stat().st_mode & 0o777 == 0o600
        assert sorted(os.listdir(local.folder(1234567))) == ["1234567.command", "1234568.command"]

    def test_only_the_first_prepares(self, local: LocalSpool) -> None:
        assert local.prepare(1, "echo first")
        assert not local.prepare(1, "echo second")
        assert Path(local.file(1, "command")).read_text() == "echo first\n"

    def test_of_many_preparations_one_wins(self, local: LocalSpool) -> None:
        won: list[bool] = []
        threads = [threading.Thread(target=lambda n=n: won.append(local.prepare(1, f"echo {n}"))) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == [False] * 7 + [True]

    @pytest.mark.parametrize("text", ["void n me@host\n", "start n host 1 id 1.0\n", ""])
    def test_token_bars_preparation(self, local: LocalSpool, text: str) -> None:
        local.prepare(1, "true")
        write(local, 2, "token", text)
        assert not local.prepare(2, "true")
        assert not Path(local.file(2, "command")).exists()

    def test_text_that_is_none_leaves_no_file(self, local: LocalSpool) -> None:
        with pytest.raises(UnicodeEncodeError):
            local.prepare(1, "\ud800")
        assert not Path(local.file(1, "command")).exists()

    def test_attempt_needs_no_inode_for_its_hint(self, local: LocalSpool) -> None:
        local.prepare(1, "true")
        token = write(local, 1, "token", "start n host 1 id 1.0\nexit 0\n")
        local.ring(Hint(7, 1), Usage(cpu=1.0))
        assert (local.ended / "7.1").stat().st_ino == token.stat().st_ino
        local.clear_hints([Hint(7, 1)])
        assert local.read([1])[1].usage == Usage(cpu=1.0, wallclock=local.read([1])[1].exit.ended_at - 1.0)  # type: ignore[union-attr]


class TestBothLayouts:
    """Below one root, with the same numbers: shards, folders and hints of one are nothing to the other."""

    def test_neither_sees_what_the_other_has(self, spool: Spool, local: LocalSpool) -> None:
        for number in (0, 1, 999, 1000, 123456):
            assert spool.prepare(number, "echo cluster")
            assert local.prepare(number, "echo local")
            assert local.void([number], "me")[number].kind is TokenKind.VOID
            assert spool.read([number]) == {}
            write(spool, number, "token", "start n host 1 id 1.0\nexit 3\n")
            spool.ring(Hint(1, number))
            assert local.read([number])[number].exit is None
            assert Path(spool.file(number, "command")).read_text() == "echo cluster\n"
        assert local.hints() == []
        assert len(spool.hints()) == 5
        local.clear_hints(spool.hints())
        assert len(spool.hints()) == 5

    def test_no_path_is_used_by_both(self, spool: Spool, local: LocalSpool) -> None:
        for one in range(3000):
            flat = Path(local.file(one, "token"))
            assert flat.relative_to(spool.root).parts[0] == "local"
            assert attempt_folder(spool.root, one).relative_to(spool.root).parts[0].isdigit()

    @pytest.mark.parametrize(("stream", "name"), [("stdout", "out"), ("stderr", "err")])
    def test_output_is_found_in_either(self, spool: Spool, local: LocalSpool, stream: str, name: str) -> None:
        spool.prepare(1, "true")
        local.prepare(2, "true")
        for number, store in ((1, spool), (2, local)):
            path = write(store, number, name, f"of {number}")
            assert find_output(spool.root, number, stream) == path
            assert store.tail(number, stream, 100) == f"of {number}".encode()
        assert not find_output(spool.root, 3, stream).exists()


class TestTokens:
    def test_void_without_a_folder_makes_it_and_bars_preparation(self, either: Spool) -> None:
        assert either.void([5], "me")[5].kind is TokenKind.VOID
        assert not either.prepare(5, "true")

    def test_a_void_that_finds_no_room_leaves_the_others_to_be_told(
        self, either: Spool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whoever asks learns what stands; about the rest nothing is decided, and it can be asked again."""
        either.void([5], "me")
        with no_room():
            assert set(either.void([6, 5], "me")) == {5}
        assert "attempt 6 cannot be given up now" in caplog.text
        assert either.void([6], "me")[6].kind is TokenKind.VOID

    def test_second_void_reads_the_first(self, either: Spool) -> None:
        assert either.void([5], "one")[5] == either.void([5], "two")[5]
        assert files_of(either, 5) == ["token"]

    def test_start_stands(self, either: Spool) -> None:
        either.prepare(5, "true")
        write(either, 5, "token", "start n host 1 id 1.0\n")
        assert either.void([5], "me")[5].kind is TokenKind.START

    def test_of_many_voids_one_wins(self, either: Spool) -> None:
        seen: list[str] = []
        threads = [
            threading.Thread(target=lambda n=n: seen.extend(t.nonce for t in either.void([7], f"t{n}").values()))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 8
        assert len(set(seen)) == 1

    @pytest.mark.parametrize(("code", "over"), [(0, None), (143, "runtime")])
    def test_a_limit_counts_only_for_a_failure(self, either: Spool, code: int, over: str | None) -> None:
        either.prepare(5, "true")
        write(either, 5, "token", f"start n host 1 id 1.0\nexit {code}\n")
        write(either, 5, "over", "runtime\n")
        assert either.read([5])[5].over == over


def end(spool: Spool, number: int, text: str = "start n host 1 id 1.0\n0m0.1s 0m0.2s\n0m0s 0m0s\nexit 3\n") -> Path:
    """An attempt with this token."""
    spool.prepare(number, "exit 3")
    return write(spool, number, "token", text)


class TestHints:
    USAGE = Usage(wallclock=1.5, cpu=0.25, maxvmem=1048576, io=512)

    def test_ring_clear(self, either: Spool) -> None:
        token = end(either, 4)
        either.ring(Hint(3, 4))
        either.ring(Hint(3, 4))
        assert either.hints() == [Hint(3, 4)]
        for other in (Hint(3, 5), Hint(6, 7)):
            end(either, other.instance_id)
            either.ring(other)
        assert either.count_hints() == {3: 2, 6: 1}
        either.clear_hints([Hint(3, 5), Hint(6, 7)])
        either.clear_hints([Hint(3, 4), Hint(9, 9)])
        assert either.count_hints() == {}
        assert either.hints() == []
        assert os.listdir(either.ended) == []
        assert token.exists()

    def test_usage_is_in_the_evidence_and_the_time_of_the_exit_stays(self, either: Spool) -> None:
        token = end(either, 4)
        os.utime(token, (1000.25, 1000.25))
        before = either.read([4])[4]
        either.ring(Hint(3, 4), self.USAGE)
        found = either.read([4])[4]
        assert found.usage == self.USAGE
        assert (found.token, found.exit) == (before.token, before.exit)
        assert found.exit is not None
        assert found.exit.ended_at == 1000.25

    def test_usage_is_there_before_the_hint(self, either: Spool) -> None:
        """A hint that cannot be made leaves the usage behind, not the other way round."""
        end(either, 4)
        either.ended.rmdir()
        either.ring(Hint(3, 4), self.USAGE)
        assert either.hints() == []
        assert either.read([4])[4].usage == self.USAGE

    def test_nothing_is_appended_to_a_torn_line(self, either: Spool) -> None:
        text = "start n host 1 id 1.0\nexit 1"
        token = end(either, 4, text)
        either.ring(Hint(3, 4), self.USAGE)
        assert token.read_text() == text
        assert either.hints() == [Hint(3, 4)]

    def test_the_first_usage_counts(self, either: Spool) -> None:
        end(either, 4)
        either.ring(Hint(3, 4), self.USAGE)
        found = either.read([4])[4]
        either.ring(Hint(3, 4), Usage(wallclock=99.0))
        assert either.read([4])[4] == found

    def test_token_that_is_a_link_is_not_written(self, local: LocalSpool, tmp_path: Path) -> None:
        (tmp_path / "mine").write_text("precious\n")
        local.prepare(1, "true")
        os.symlink(tmp_path / "mine", local.file(1, "token"))
        local.ring(Hint(1, 1), self.USAGE)
        assert (tmp_path / "mine").read_text() == "precious\n"

    def test_empty_hint_carries_no_usage(self, spool: Spool) -> None:
        (spool.root / "ended" / "1.2").touch()
        assert spool.hints() == [Hint(1, 2)]
        assert spool.read_usage(Hint(1, 2)) is None
        spool.clear_hints(spool.hints())
        assert os.listdir(spool.ended) == []

    def test_other_names_are_no_hints(self, spool: Spool) -> None:
        for name in (".1.2.99", "1", "1.2.3", "a.b", "1.2.tmp", "01.2", "1.02", "1.²", "1.٣", f"1.{10**18}", "1.2\n"):
            (spool.root / "ended" / name).touch()
        assert spool.hints() == []

    def test_no_folder_no_hints_and_no_error(self, tmp_path: Path) -> None:
        gone = Spool(tmp_path / "gone")
        assert gone.hints() == []
        gone.ring(Hint(1, 1), Usage())


class TestPlanted:
    """What somebody else put into a hint's place."""

    def test_whatever_it_is_it_is_cleared(self, spool: Spool, tmp_path: Path) -> None:
        (tmp_path / "mine").write_text("precious")
        (spool.ended / "1.1").mkdir()
        (spool.ended / "1.2").symlink_to(tmp_path / "mine")
        (spool.ended / "1.3").symlink_to("/nowhere")
        os.mkfifo(spool.ended / "1.4")
        (spool.ended / "1.5" / "deep").mkdir(parents=True)
        spool.clear_hints([Hint(1, number) for number in (1, 2, 3, 4, 5, 6)])
        assert spool.hints() == []
        assert (tmp_path / "mine").read_text() == "precious"
        assert len(os.listdir(spool.ended)) == 1  # aside, for a person to look at

    def test_what_can_neither_be_removed_nor_moved_is_told_once_and_stops_nothing(
        self, spool: Spool, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Its folder is a file now, as after a mistake of an administrator: no removal can succeed."""
        spool.ended.rmdir()
        spool.ended.touch()
        spool.clear_hints([Hint(1, 1), Hint(1, 2)])
        assert len(caplog.messages) == 2
        assert "Not a directory" in caplog.text

    def test_flood_of_one_owner_is_thinned_out(self, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("executors.spool.MOST_HINTS", 5)
        for number in range(12):
            (spool.ended / f"1.{number}").mkdir()
        if os.geteuid() == 0:
            os.chown(spool.ended / "1.0", 60001, 60001)
        assert len(spool.hints()) == len(os.listdir(spool.ended)) == (6 if os.geteuid() == 0 else 5)


class TestTail:
    def test_last_bytes(self, either: Spool) -> None:
        either.prepare(1, "true")
        write(either, 1, "out", "0123456789")
        assert either.tail(1, "stdout", 4) == b"6789"
        assert either.tail(1, "stdout", 400) == b"0123456789"
        assert either.tail(1, "stderr", 4) is None

    def test_links_pipes_and_folders_are_not_read(self, either: Spool, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("secret")
        for number, make in enumerate((lambda p: os.symlink(tmp_path / "secret", p), os.mkfifo, os.mkdir), start=1):
            either.prepare(number, "true")
            make(either.file(number, "out"))
            assert either.tail(number, "stdout", 100) is None
