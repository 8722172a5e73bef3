"""The systemd units check before they start, and are locked in. That systemd understands them: test_settings.py."""

from __future__ import annotations

import re

import pytest

from tests.deploy.installation import UNITS

SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
LOCKS = ("NoNewPrivileges=yes", "ProtectKernelTunables=yes", "ProtectControlGroups=yes", "RestrictSUIDSGID=yes")


@pytest.mark.parametrize("name", SERVICES)
def test_each_is_locked_in(name: str) -> None:
    text = (UNITS / name).read_text()
    assert [lock for lock in LOCKS if lock not in text] == []


@pytest.mark.parametrize("name", ["jobmon-web.service", "jobmon-worker.service", "jobmon-beat.service"])
def test_each_checks_before_it_starts(name: str) -> None:
    assert re.search(r"^ExecStartPre=\S+/python manage.py check", (UNITS / name).read_text(), re.M)
