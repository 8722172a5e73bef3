"""The audit log: append-only, in the transaction of what it records, and one harmless line in the log."""

from __future__ import annotations

import json
import logging
import subprocess
import uuid
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from tests.db.engine import job, make_actor, submit
from tests.services import run_mariadb
from workflows.audit import as_line, write_audit, write_event
from workflows.models import AuditEntry
from workflows.sharing import share
from workflows.transactions import write_transaction

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@write_transaction
def record_and_fail() -> None:
    write_audit(make_actor(), "share", "workflow 1")
    raise LookupError("after the row was written")


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_leaves_no_row_and_no_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jobmon.audit")
    with pytest.raises(LookupError):
        record_and_fail()
    assert not AuditEntry.objects.exists()
    assert not [record for record in caplog.records if record.name == "jobmon.audit"]


@pytest.mark.django_db(transaction=True)
def test_a_row_outside_a_transaction_is_refused() -> None:
    with pytest.raises(AssertionError, match="belongs into the transaction"):
        write_audit(make_actor(), "share", "workflow 1")


@pytest.mark.django_db(transaction=True)
def test_every_row_is_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jobmon.audit")
    workflow = submit([job("a")])
    assert not share(workflow.pk, None, False, make_actor())  # nothing changes, nothing is recorded
    lines = [record.getMessage() for record in caplog.records if record.name == "jobmon.audit"]
    assert [json.loads(line.removeprefix("audit "))["action"] for line in lines] == ["submit"]
    assert AuditEntry.objects.get().result == "done"


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["a\nb", "a\r\x1b[2Jb", "\x00\x07\x7f", "\u2028\u202e\x85", 'audit {"action": "x"}'])
def test_no_text_breaks_or_fakes_a_line(text: str) -> None:
    write_event("sign-in-failed", "sign-in by password", name=text.replace("\x00", ""), after={"typed": text})
    line = as_line(AuditEntry.objects.get())
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["after"] == {"typed": text}


def test_nothing_changes_or_removes_rows() -> None:
    """The code has no such call; the database may forbid it as well (docs/users.md)."""
    found = subprocess.run(
        ["grep", "-rnE", r"AuditEntry\.objects.*\.(update|delete)\(|DELETE FROM audit_entry|UPDATE audit_entry",
         "--include=*.py", "workflows", "jobmon_site"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert found.stdout == ""


@pytest.mark.mariadb
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "mysql", reason="rights on single tables exist on MariaDB only")
def test_the_documented_rights_let_rows_be_added_and_read_only() -> None:
    """What `manage.py server_rights` prints, with a real account of the database."""
    write_event("first", "x")
    name = f"jm{uuid.uuid4().hex[:8]}"
    socket = Path(settings.DATABASES["default"]["HOST"])
    printed = StringIO()
    call_command("server_rights", "--user", name, stdout=printed)
    run_mariadb(socket, f"CREATE USER '{name}'@'localhost'", *printed.getvalue().replace(";", "").splitlines())
    try:
        assert run_as(name, socket, "SELECT COUNT(*) FROM audit_entry") == "1"
        insert = (
            "INSERT INTO audit_entry (at, actor, via, token_prefix, address, request_id, action, target, `before`, `after`)"
            f" VALUES ('{timezone.now():%Y-%m-%d %H:%M:%S}', 'x', 'page', '', '', '', 'x', 'x', '{{}}', '{{}}')"
        )
        run_as(name, socket, insert)
        for forbidden in ("UPDATE audit_entry SET actor = 'y'", "DELETE FROM audit_entry", "TRUNCATE audit_entry"):
            with pytest.raises(subprocess.CalledProcessError) as refused:
                run_as(name, socket, forbidden)
            assert "command denied" in refused.value.stderr
        run_as(name, socket, "UPDATE workflow SET note = 'x' WHERE id = 0")
        assert run_as(name, socket, "SELECT COUNT(*) FROM audit_entry") == "2"
    finally:
        run_mariadb(socket, f"DROP USER '{name}'@'localhost'")


def run_as(name: str, socket: Path, statement: str) -> str:
    done = subprocess.run(
        ["mariadb", "--no-defaults", f"--socket={socket}", f"--user={name}", "-N", "-e", statement,
         str(connection.settings_dict["NAME"])],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.stdout.strip()
