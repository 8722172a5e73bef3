"""Where the embedded server keeps its things."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from jobmon_site.environment import SettingError
from jobmon_site.home import (
    SOCKET_PATH_BYTES,
    Home,
    file_system_type,
    locate,
    make_private,
    read_or_make_secret,
)

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/export /home nfs4 rw 0 0
tmpfs /home/alice/scratch tmpfs rw 0 0
server:/odd /mnt/with\\040space lustre rw 0 0
torn
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/tmp", "ext4"),
        ("/home", "nfs4"),
        ("/home/alice/.jobmon", "nfs4"),
        ("/homestead", "ext4"),
        ("/home/alice/scratch/x", "tmpfs"),
        ("/mnt/with space/x", "lustre"),
    ],
)
def test_the_longest_mount_point_holds_a_path(path: str, kind: str) -> None:
    assert file_system_type(Path(path), MOUNTS) == kind


def test_no_mounts_no_answer() -> None:
    assert file_system_type(Path("/x"), "") == "unknown"


def test_on_a_local_disk_everything_is_in_one_folder() -> None:
    found = locate("/data/jobmon", mounts=MOUNTS)
    assert found.home == found.local == found.runtime == Path("/data/jobmon")
    assert found.database.parent == found.redis_socket.parent == found.home


def test_on_a_network_file_system_the_database_and_the_sockets_move_away() -> None:
    found = locate("/home/alice/.jobmon", mounts=MOUNTS)
    assert found.home == Path("/home/alice/.jobmon")
    assert found.local == Path(f"/var/tmp/jobmon-{os.getuid()}")
    assert found.database.parent == found.redis_socket.parent == found.lock_file.parent == found.local
    assert found.token_file.parent == found.server_file.parent == found.spool.parent == found.home


def test_the_default_is_below_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/people/bob")
    assert locate("", mounts="").home == Path("/people/bob/.jobmon")
    assert locate("~/x", mounts="").home == Path("/people/bob/x")


@pytest.mark.parametrize("letter", ["x", "ö"])
def test_sockets_of_a_home_with_a_long_path_go_to_a_short_folder(letter: str) -> None:
    for length in range(60, 130):
        home = Home(Path("/" + letter * length), Path("/" + letter * length))
        assert len(os.fsencode(home.redis_socket)) <= SOCKET_PATH_BYTES
        is_short = len(os.fsencode(home.local / "redis.sock")) <= SOCKET_PATH_BYTES
        assert (home.runtime == home.local) == is_short
    one, other = Path("/" + "x" * 120), Path("/" + "x" * 121)
    assert Home(one, one).runtime != Home(other, other).runtime


def test_a_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_private(folder)
    make_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_others_could_enter_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    make_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_link_or_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(SettingError, match="JOBMON_HOME"):
        make_private(tmp_path / "link")
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) != 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make somebody else's folder")
def test_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    with pytest.raises(SettingError, match="another user"):
        make_private(folder)


def test_a_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    first = read_or_make_secret(path)
    assert read_or_make_secret(path) == first
    assert len(first) >= 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_many_that_make_it_at_once_get_the_same_secret(tmp_path: Path) -> None:
    found: list[str] = []
    barrier = threading.Barrier(8)

    def make() -> None:
        barrier.wait()
        found.append(read_or_make_secret(tmp_path / "secret"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert found[0]
