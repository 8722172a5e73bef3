"""The systemd units check before they start, and are locked in; where jobs run as their owners, the worker may use sudo, and
nothing else may. Nothing is started by systemd here: its own tools read the files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.installation import UNITS
from tests.services import REPOSITORY

SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
DROP_IN = UNITS / "jobmon-worker.service.d" / "run-as.conf"
LOCKS = ("NoNewPrivileges=yes", "ProtectKernelTunables=yes", "ProtectControlGroups=yes", "RestrictSUIDSGID=yes")
# systemd.exec(5): each of these implies NoNewPrivileges for a service that is not root, whatever else is said.
IMPLIES_NO_NEW_PRIVILEGES = {
    "DynamicUser", "LockPersonality", "MemoryDenyWriteExecute", "PrivateDevices", "ProtectClock", "ProtectHostname",
    "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "RestrictAddressFamilies", "RestrictNamespaces",
    "RestrictRealtime", "RestrictSUIDSGID", "SystemCallArchitectures", "SystemCallFilter", "SystemCallLog",
}  # fmt: skip
MOUNT_NAMESPACE = {"PrivateTmp", "PrivateMounts", "ProtectSystem", "ProtectHome", "ProtectControlGroups", "ProtectProc"}
# systemd's own measure of what a service that is broken into could do, in tenths; lower is better. The worker starts
# qsub and sbatch and makes folders in homes; what the shepherd starts are people's jobs.
MOST_EXPOSED = {"jobmon-web": 20, "jobmon-beat": 20, "jobmon-worker": 55, "jobmon-shepherd": 76}


def settings_of(*files: Path) -> dict[str, str]:
    """What holds in the end: a later line replaces an earlier one; "" and no mean that it is off."""
    found: dict[str, str] = {}
    for file in files:
        found |= dict(re.findall(r"^([A-Za-z]+)=(.*)$", file.read_text(), re.M))
    return {name: value for name, value in found.items() if value not in ("", "no")}


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """The units with the paths of this machine."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    for file in filter(Path.is_file, UNITS.rglob("*")):
        text = file.read_text().replace("/opt/jobmon/.venv/bin", str(Path(sys.executable).parent))
        target = tmp_path / file.relative_to(UNITS)
        target.parent.mkdir(exist_ok=True)
        target.write_text(text.replace("/opt/jobmon", str(REPOSITORY)))
    return tmp_path


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", SERVICES)
def test_each_is_locked_in(name: str) -> None:
    text = (UNITS / name).read_text()
    assert [lock for lock in LOCKS if lock not in text] == []


@pytest.mark.parametrize("name", ["jobmon-web.service", "jobmon-worker.service", "jobmon-beat.service"])
def test_each_checks_before_it_starts(name: str) -> None:
    assert re.search(r"^ExecStartPre=\S+/python manage.py check", (UNITS / name).read_text(), re.M)


@pytest.mark.parametrize("with_drop_in", [False, True], ids=["shipped", "owner mode"])
def test_systemd_understands_the_units(copies: Path, with_drop_in: bool) -> None:
    if not with_drop_in:
        shutil.rmtree(copies / "jobmon-worker.service.d")
    done = analyze("verify", *sorted(file for file in copies.iterdir() if file.is_file()))
    complaints = [line for line in done.stderr.splitlines() if "jobmon-" in line and "Failed to load" not in line]
    wrong = [line for line in complaints if re.search(r"Unknown|Invalid|ignoring|not executable|Failed to parse", line)]
    assert wrong == []


@pytest.mark.parametrize("name", sorted(MOST_EXPOSED))
def test_systemd_finds_them_no_more_exposed_than_they_must_be(copies: Path, name: str) -> None:
    shutil.rmtree(copies / "jobmon-worker.service.d")
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED[name]}", copies / f"{name}.service")
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_in_owner_mode_the_worker_may_use_sudo() -> None:
    """Nothing that is left after the drop-in takes set-user-id programs away."""
    shipped = UNITS / "jobmon-worker.service"
    assert settings_of(shipped)["NoNewPrivileges"] == "yes"
    left = settings_of(shipped, DROP_IN)
    assert (
        left.keys() & ({"NoNewPrivileges", "CapabilityBoundingSet"} | IMPLIES_NO_NEW_PRIVILEGES | MOUNT_NAMESPACE)
        == set()
    )
    assert left["User"] == "jobmon"


def test_in_owner_mode_nothing_else_may_use_sudo() -> None:
    drop_ins = [path.parent.name for path in UNITS.rglob("*.conf")]
    assert drop_ins == ["jobmon-worker.service.d"]
    for name in SERVICES:
        assert settings_of(UNITS / name)["NoNewPrivileges"] == "yes", name


def test_systemd_reads_the_drop_in_as_we_do(copies: Path) -> None:
    """By its own account the worker can then acquire new privileges, and before it cannot."""

    def is_set(name: str) -> bool:
        done = analyze("security", "--offline=true", "--json=short", copies / "jobmon-worker.service")
        return bool(re.search(rf'"set":true,"name":"{name}="', done.stdout.replace(" ", "")))

    assert not is_set("NoNewPrivileges")
    shutil.rmtree(copies / "jobmon-worker.service.d")
    assert is_set("NoNewPrivileges")
