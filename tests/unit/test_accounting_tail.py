"""The accounting file while it grows, is rotated, is cut, or is half written."""

from __future__ import annotations

from pathlib import Path

import pytest

from executors.accounting_tail import AccountingTail

LINE = (
    "all.q:vm:alice:{owner}:{name}:{job}:sge:0:1:2:3:{failed}:{status}:1:0:0:4:0:0:0:0:0:0:0:0:0:0:0:0:0:0:NONE"
    ":defaultdepartment:NONE:1:{task}:0.1:0:0:NONE:0:NONE:5:0:0\n"
)


def line(name: str, job: int = 1, task: int = 0, status: int = 0, failed: int = 0, owner: str = "alice") -> str:
    return LINE.format(name=name, job=job, task=task, status=status, failed=failed, owner=owner)


def make_tail(path: Path, limit: int = 10**6, keep: int = 1000) -> AccountingTail:
    return AccountingTail(path, lambda record: record.owner == "alice", "jm", limit, keep)


def code(tail: AccountingTail, name: str, job: str | None = None) -> int | None:
    found = tail.find([(name, job)]).get(name)
    return None if found is None else found.info.exit_code


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "accounting"


def append(path: Path, text: str) -> None:
    with open(path, "a") as file:
        file.write(text)


def test_a_new_cell_has_no_file_yet(path: Path) -> None:
    tail = make_tail(path)
    assert tail.find([("jm-1", None)]) == {}
    append(path, line("jm-1", status=3))
    assert code(tail, "jm-1") == 3


def test_only_what_is_new_is_read(path: Path) -> None:
    append(path, "# header\n" + line("jm-1"))
    tail = make_tail(path)
    assert code(tail, "jm-1") == 0
    size = path.stat().st_size
    append(path, line("jm-2", status=1))
    assert code(tail, "jm-2") == 1
    assert tail._offset == path.stat().st_size > size


def test_a_half_written_line_waits_for_its_end(path: Path) -> None:
    tail, whole = make_tail(path), line("jm-1", status=2)
    append(path, whole[:30])
    assert code(tail, "jm-1") is None
    append(path, whole[30:])
    assert code(tail, "jm-1") == 2


def test_rotation_loses_nothing(path: Path) -> None:
    append(path, line("jm-1"))
    tail = make_tail(path)
    assert code(tail, "jm-1") == 0
    append(path, line("jm-2", status=2))
    path.rename(path.with_suffix(".0"))
    assert code(tail, "jm-2") == 2
    append(path, line("jm-3", status=3))
    assert code(tail, "jm-3") == 3
    assert code(tail, "jm-1") == 0


@pytest.mark.parametrize("further", [0, 5])
def test_truncation_is_seen_even_when_the_file_has_grown_again(path: Path, further: int) -> None:
    append(path, line("jm-1") + line("jm-2"))
    tail = make_tail(path)
    assert code(tail, "jm-2") == 0
    with open(path, "w") as file:
        file.write("".join(line(f"jm-{number}", status=9) for number in range(30, 31 + further)))
    assert code(tail, "jm-30") == 9


def test_the_last_record_counts_and_a_reused_number_is_told_apart(path: Path) -> None:
    append(path, line("jm-1", job=5, failed=25) + line("jm-1", job=5, status=1) + line("jm-1", job=5, status=4))
    append(path, line("jm-9", job=5, status=7))
    tail = make_tail(path)
    assert code(tail, "jm-1", "5") == 4
    assert code(tail, "jm-9", "5") == 7
    assert code(tail, "jm-9", "6") is None


def test_others_are_not_ours(path: Path) -> None:
    append(path, line("jm-1", owner="bob") + line("xx-1"))
    assert make_tail(path).find([("jm-1", None), ("xx-1", None)]) == {}


def test_tasks_have_names_of_their_own(path: Path) -> None:
    append(path, line("jm-b", task=1, status=1) + line("jm-b", task=2, status=2))
    assert code(make_tail(path), "jm-b.2") == 2


def test_an_old_file_is_read_from_near_its_end(path: Path) -> None:
    append(path, "".join(line(f"jm-{number}") for number in range(100)))
    tail = make_tail(path, limit=5 * len(line("jm-99")) + 7)
    found = tail.find([(f"jm-{number}", None) for number in range(100)])
    assert sorted(found) == [f"jm-{number}" for number in range(95, 100)]


def test_only_so_many_are_remembered(path: Path) -> None:
    append(path, "".join(line(f"jm-{number}") for number in range(100)))
    found = make_tail(path, keep=10).find([(f"jm-{number}", None) for number in range(100)])
    assert sorted(found) == [f"jm-{number}" for number in range(90, 100)]


def test_a_file_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        make_tail(tmp_path).find([("jm-1", None)])
