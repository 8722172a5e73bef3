"""The log reader: only the attempt's own output is ever read, in bounded pieces."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from workflows.logs import FIND_HITS, LogFile, LogUnavailable, find, read_piece, stream_whole

TRAVERSALS = ["..", "../secret", "a/b", "/etc/passwd", ".", "", "out\0", "../../etc/passwd", "..\\secret/.."]


def state_of(file: LogFile) -> str:
    with pytest.raises(LogUnavailable) as caught:
        read_piece(file)
    return caught.value.state


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inner = tmp_path / "0" / "7"
    inner.mkdir(parents=True)
    (tmp_path / "secret").write_text("not yours")
    return inner


def test_reads_the_end_without_an_offset(folder: Path, tmp_path: Path) -> None:
    (folder / "out").write_bytes(b"a" * 1000 + b"the end")
    piece = read_piece(LogFile(tmp_path, ("0", "7", "out")), limit=7)
    assert (piece.data, piece.offset, piece.size, piece.older, piece.newer) == (b"the end", 1000, 1007, 0, None)


def test_reads_a_piece_by_offset(folder: Path, tmp_path: Path) -> None:
    (folder / "out").write_bytes(bytes(range(100)))
    piece = read_piece(LogFile(tmp_path, ("0", "7", "out")), offset=10, limit=5)
    assert (piece.data, piece.newer) == (bytes(range(10, 15)), 15)
    assert read_piece(LogFile(tmp_path, ("0", "7", "out")), offset=10_000).data == b""


@pytest.mark.parametrize("name", TRAVERSALS)
def test_refuses_what_is_not_a_name(folder: Path, tmp_path: Path, name: str) -> None:
    assert state_of(LogFile(tmp_path, ("0", "7", name))) == "refused"


def test_follows_no_link_to_a_file(folder: Path, tmp_path: Path) -> None:
    (folder / "out").symlink_to(tmp_path / "secret")
    assert state_of(LogFile(tmp_path, ("0", "7", "out"))) == "refused"


def test_follows_no_link_to_a_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "out").write_text("not yours")
    (tmp_path / "0" / "8").symlink_to(tmp_path / "other")
    assert state_of(LogFile(tmp_path, ("0", "8", "out"))) == "refused"


def test_refuses_a_file_with_two_names(folder: Path, tmp_path: Path) -> None:
    os.link(tmp_path / "secret", folder / "out")
    assert state_of(LogFile(tmp_path, ("0", "7", "out"))) == "refused"


def test_does_not_hang_on_a_pipe(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "out")
    assert state_of(LogFile(tmp_path, ("0", "7", "out"))) == "refused"


def test_refuses_folders_and_devices(folder: Path, tmp_path: Path) -> None:
    (folder / "out").mkdir()
    assert state_of(LogFile(tmp_path, ("0", "7", "out"))) == "refused"
    assert state_of(LogFile(Path("/dev"), ("null",))) == "refused"


def test_refuses_files_of_the_system() -> None:
    assert state_of(LogFile(Path("/proc/self"), ("environ",))) == "refused"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_refuses_files_of_other_accounts(folder: Path, tmp_path: Path) -> None:
    (folder / "out").write_text("x")
    os.chown(folder / "out", 65534, 65534)
    assert state_of(LogFile(tmp_path, ("0", "7", "out"))) == "refused"


def test_says_what_is_missing(folder: Path, tmp_path: Path) -> None:
    assert state_of(LogFile(tmp_path, ("0", "7", "out"))) == "missing"
    assert state_of(LogFile(tmp_path, ("0", "9", "out"))) == "removed"
    assert state_of(LogFile(tmp_path / "nowhere", ("out",))) == "removed"


def test_a_folder_swapped_for_a_link_gives_nothing_away(folder: Path, tmp_path: Path) -> None:
    """A thousand reads while another thread exchanges the folder: only our own text, or a refusal."""
    (folder / "out").write_text("ours")
    other, real = tmp_path / "other", tmp_path / "0" / "real"
    other.mkdir()
    (other / "out").write_text("not yours")
    is_over = threading.Event()

    def exchange() -> None:
        while not is_over.is_set():
            folder.rename(real)
            folder.symlink_to(other)
            folder.unlink()
            real.rename(folder)

    thread = threading.Thread(target=exchange)
    thread.start()
    seen = set()
    for _ in range(1000):
        try:
            seen.add(read_piece(LogFile(tmp_path, ("0", "7", "out"))).data)
        except LogUnavailable as problem:
            seen.add(problem.state)
    is_over.set()
    thread.join()
    assert seen <= {b"ours", "refused", "missing", "removed"}


def test_streams_a_whole_file(folder: Path, tmp_path: Path) -> None:
    data = os.urandom(1_000_000)
    (folder / "out").write_bytes(data)
    assert b"".join(stream_whole(LogFile(tmp_path, ("0", "7", "out")))) == data


def test_finds_lines_and_says_where(folder: Path, tmp_path: Path) -> None:
    (folder / "out").write_bytes(b"one\ntwo needle\nthree\nneedle needle\n")
    result = find(LogFile(tmp_path, ("0", "7", "out")), "needle")
    assert result.hits == ((4, "two needle"), (21, "needle needle"))
    assert result.go_on is None


def test_finds_across_chunks_and_goes_on(folder: Path, tmp_path: Path) -> None:
    (folder / "out").write_bytes(b"x" * (1024 * 1024 - 3) + b"needle\n" + b"needle\n" * (FIND_HITS + 5))
    file = LogFile(tmp_path, ("0", "7", "out"))
    first = find(file, "needle")
    assert len(first.hits) == FIND_HITS
    assert first.go_on is not None
    assert len(find(file, "needle", first.go_on).hits) == 6
