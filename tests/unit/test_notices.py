"""What a mail says."""

from __future__ import annotations

import re

import pytest

from jobmon_site.environment import SettingError
from jobmon_site.mail_options import mail_settings, site_url
from workflows.notices.text import MOST_LINES, Item, one_line, write_confirmation, write_digest

SITE = "https://jobmon.example.org"


def test_one_event_is_its_own_subject() -> None:
    mail = write_digest([Item("Workflow 3 “fit” is done (run 7).", "/workflow-runs/7/")], SITE)
    assert mail.subject == "Jobmon: Workflow 3 “fit” is done (run 7)."
    assert f"  {SITE}/workflow-runs/7/\n" in mail.body
    assert f"{SITE}/account/mail/" in mail.body


def test_many_events_are_counted_and_cut() -> None:
    items = [Item(f"event {number}", f"/workflow-runs/{number}/") for number in range(MOST_LINES + 5)]
    mail = write_digest(items, SITE)
    assert mail.subject == f"Jobmon: {MOST_LINES + 5} events: event 0"
    assert mail.body.count("/workflow-runs/") == MOST_LINES
    assert "and 5 more" in mail.body


@pytest.mark.parametrize("text", ["a\nBcc: eve@example.org", "a\r\nb", "a\u2028b", "a\x00\x1b[31mb"])
def test_names_make_no_lines(text: str) -> None:
    mail = write_digest([Item(text, "/x/")], SITE)
    assert "\n" not in mail.subject + one_line(text)
    assert "\r" not in mail.subject + mail.body
    assert not any(line.startswith("Bcc") for line in mail.body.splitlines())


def test_the_first_mail_holds_the_link_and_the_name() -> None:
    mail = write_confirmation("alice", "c0de", SITE)
    assert f"{SITE}/account/mail/confirm/?code=c0de" in mail.body
    assert "alice" in mail.body


def test_without_a_host_there_is_no_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBMON_MAIL_HOST", raising=False)
    assert mail_settings("http://127.0.0.1:8000")["EMAIL_HOST"] == ""


def test_settings_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBMON_MAIL_HOST", "mail.example.org")
    with pytest.raises(SettingError, match="JOBMON_MAIL_FROM is missing"):
        mail_settings(SITE)
    monkeypatch.setenv("JOBMON_MAIL_FROM", "Jobmon <jobmon@example.org>")
    monkeypatch.setenv("JOBMON_MAIL_SECURITY", "tls")
    found = mail_settings(SITE)
    assert (found["EMAIL_PORT"], found["EMAIL_USE_SSL"], found["EMAIL_USE_TLS"]) == (465, True, False)
    monkeypatch.setenv("JOBMON_MAIL_USER", "jobmon")
    monkeypatch.setenv("JOBMON_MAIL_SECURITY", "none")
    with pytest.raises(SettingError, match="never sent in clear"):
        mail_settings(SITE)


def test_the_address_of_the_site() -> None:
    assert site_url("https://jobmon.example.org/") == SITE
    for wrong in ("jobmon.example.org", "ftp://x", "https://", "https://x/?a=1"):
        with pytest.raises(SettingError, match="no address"):
            site_url(wrong)


UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
HOSTILE = (
    "\u05d0\u202e</p><img src=x onerror=alert(1)>{{7}}{lines}%s\x1b[31m\x9b1m\r\nBcc: eve@example.org\u2028\u2066x\x00"
)


def test_hostile_names_are_text_of_one_line() -> None:
    """In the subject and in both mails; there is no other form than plain text."""
    mails = [write_digest([Item(HOSTILE, "/x/")] * count, SITE) for count in (1, 2, MOST_LINES + 5)]
    mails.append(write_confirmation(HOSTILE, "c0de", SITE))
    for mail in mails:
        assert not UNSEEN.search(mail.subject + mail.body)
        assert not any(line.startswith("Bcc") for line in mail.body.splitlines())
        assert "\n" not in mail.subject
        assert "{{7}}{lines}%s" in mail.body
