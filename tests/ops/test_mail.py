"""From an event to a mail in a mail server: to whom, about what, once, and what happens when the server does not take it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import Made, Tag, acts, make_user, make_workflow
from tests.mail_server import MailServer, running_mail_server
from workflows.models import AuditEntry, ErrorGroup, MailSettings, Notice, RunStall, WorkflowRun
from workflows.notices import addresses, outbox
from workflows.notices.delivery import CONFIRM_TASK, DELIVER_TASK, deliver, send_code, sweep_mail
from workflows.notices.sending import Fate

pytestmark = pytest.mark.django_db
FAILED = [Tag("fit", {"D": 2, "F": 1})]


@pytest.fixture
def server(settings) -> Iterator[MailServer]:
    with running_mail_server() as found:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", found.port, 60
        settings.DEFAULT_FROM_EMAIL = "Jobmon <jobmon@example.org>"
        settings.SITE_URL, settings.MAIL_MINUTES = "https://jobmon.example.org", 15
        yield found


def let_write(user: User, **wishes: object) -> MailSettings:
    """With a proven address, long ago."""
    long_ago = timezone.now() - timedelta(days=9)
    values = {"address": f"{user.username}@example.org", "verified_at": long_ago, "since": long_ago, **wishes}
    return MailSettings.objects.create(user=user, **values)


def end(made: Made, status: str, minutes: float = 1) -> WorkflowRun:
    """The run has just ended."""
    WorkflowRun.objects.filter(pk=made.run.pk).update(
        status=status, ended_at=timezone.now() - timedelta(minutes=minutes)
    )
    ErrorGroup.objects.filter(workflow=made.workflow).update(first_seen_at=timezone.now() - timedelta(days=20))
    made.run.refresh_from_db()
    return made.run


def sweep_and_send() -> list[Fate | None]:
    """What the sweep rings for, done at once."""
    tasks = {DELIVER_TASK: deliver, CONFIRM_TASK: send_code}
    return [tasks[task](user_id) for task, user_id in sweep_mail()]


def body(server: MailServer) -> str:
    return server.mails[-1].get_content()


def test_the_end_of_a_run_is_told_once(server: MailServer) -> None:
    alice = make_user("alice")
    let_write(alice, run_ends="all")
    run = end(make_workflow(alice, FAILED, args="yearly", status="E"), "E")
    assert sweep_and_send() == [Fate.SENT]
    [mail] = server.mails
    assert mail["To"] == "alice@example.org"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert f"“yearly” ended with errors (run {run.pk}" in body(server)
    assert f"https://jobmon.example.org/workflow-runs/{run.pk}/" in body(server)
    assert "python /home" not in body(server)
    for _ in range(3):
        assert sweep_and_send() == []
    MailSettings.objects.update(last_mail_at=None)
    assert sweep_and_send() == []
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("wish", "status", "told"),
    [
        ("off", "E", 0),
        ("failures", "E", 1),
        ("failures", "D", 0),
        ("failures", "S", 0),
        ("all", "D", 1),
        ("all", "S", 1),
    ],
)
def test_each_person_is_told_what_they_wish(server: MailServer, wish: str, status: str, told: int) -> None:
    alice = make_user("alice")
    let_write(alice, run_ends=wish)
    end(make_workflow(alice, [Tag("fit", {"D": 2})], status=status), status)
    assert len(sweep_and_send()) == told


def test_strangers_disabled_and_unproven_people_are_told_nothing(server: MailServer) -> None:
    alice, bob, carol = make_user("alice"), make_user("bob"), make_user("carol")
    let_write(alice, verified_at=None)
    let_write(bob, run_ends="all")
    let_write(carol, run_ends="all")
    end(make_workflow(alice, FAILED, status="E"), "E")
    end(make_workflow(carol, FAILED, status="E"), "E")
    User.objects.filter(pk=carol.pk).update(is_active=False)
    assert sweep_and_send() == []
    assert Notice.objects.count() == 0


def test_whoever_started_it_is_told_only_while_they_may_see_it(server: MailServer, settings) -> None:
    settings.EVERYONE_READS = False
    alice, bob = make_user("alice"), make_user("bob")
    let_write(bob, run_ends="all")
    made = make_workflow(alice, FAILED, status="E")
    WorkflowRun.objects.filter(pk=made.run.pk).update(started_by=bob)
    end(made, "E")
    assert sweep_and_send() == []
    settings.EVERYONE_READS = True
    assert sweep_and_send() == [Fate.SENT]


def test_what_happens_meanwhile_comes_in_one_mail(server: MailServer) -> None:
    alice = make_user("alice")
    wishes = let_write(alice, run_ends="all")
    end(make_workflow(alice, FAILED, args="first", status="E"), "E")
    assert sweep_and_send() == [Fate.SENT]
    for args in ("second", "third"):
        end(make_workflow(alice, FAILED, args=args, status="E"), "E")
    assert sweep_and_send() == []
    assert Notice.objects.filter(state="waiting").count() == 2
    MailSettings.objects.filter(pk=wishes.pk).update(last_mail_at=timezone.now() - timedelta(minutes=16))
    assert sweep_and_send() == [Fate.SENT]
    assert "2 events" in server.mails[1]["Subject"]
    assert "“second”" in body(server)
    assert "“third”" in body(server)


def test_old_events_are_no_news(server: MailServer) -> None:
    alice = make_user("alice")
    wishes = let_write(alice, run_ends="all")
    end(make_workflow(alice, FAILED, status="E"), "E", minutes=25 * 60)
    assert sweep_and_send() == []
    end(make_workflow(alice, FAILED, status="E"), "E", minutes=60)
    MailSettings.objects.filter(pk=wishes.pk).update(since=timezone.now() - timedelta(minutes=30))
    assert sweep_and_send() == []


def test_new_kinds_of_errors_and_stalls(server: MailServer) -> None:
    alice = make_user("alice")
    let_write(alice, run_ends="off")
    made = make_workflow(alice, [Tag("fit", {"D": 2, "F": 1, "G": 1}, message="Secret: /home/alice/x")], status="R")
    now = timezone.now()
    ErrorGroup.objects.filter(workflow=made.workflow).update(first_seen_at=now)
    group = ErrorGroup.objects.get(workflow=made.workflow)
    killed = ErrorGroup.objects.create(
        workflow=made.workflow, fingerprint="k", title="Killed", reason="killed", first_seen_at=now, last_seen_at=now
    )
    RunStall.objects.create(run=made.run, kind="held", words="On hold.", since=now, noted_at=now)
    assert sweep_and_send() == [Fate.SENT]
    assert f"/error-groups/{group.pk}/" in body(server)
    assert f"/error-groups/{killed.pk}/" not in body(server), "whoever killed it knows"
    assert "stands still" in body(server)
    assert "Secret" not in body(server)
    RunStall.objects.update(words="On hold for longer.")
    MailSettings.objects.update(last_mail_at=None)
    assert sweep_and_send() == []


@pytest.mark.parametrize("mood", ["451", "550"])
def test_what_the_server_refuses_is_sent_later(server: MailServer, mood: str) -> None:
    alice = make_user("alice")
    let_write(alice)
    end(make_workflow(alice, FAILED, status="E"), "E")
    server.mood = mood
    assert sweep_and_send() == [Fate.REFUSED]
    notice = Notice.objects.get()
    assert (notice.state, notice.tries, mood in notice.trouble) == ("waiting", 1, True)
    assert "alice@" not in notice.trouble
    MailSettings.objects.update(last_mail_at=None)
    assert sweep_and_send() == []
    server.mood = ""
    Notice.objects.update(next_try_at=timezone.now())
    assert sweep_and_send() == [Fate.SENT]
    assert len(server.mails) == 1


def test_a_server_that_is_away_is_asked_again_and_at_last_given_up(server: MailServer, settings) -> None:
    alice = make_user("alice")
    let_write(alice)
    end(make_workflow(alice, FAILED, status="E"), "E")
    settings.EMAIL_PORT = 1
    assert sweep_and_send() == [Fate.REFUSED]
    Notice.objects.update(tries=outbox.MOST_TRIES - 1, next_try_at=None)
    MailSettings.objects.update(last_mail_at=None)
    assert sweep_and_send() == [Fate.REFUSED]
    assert Notice.objects.get().state == "given-up"


def test_never_twice_when_the_answer_is_lost(server: MailServer) -> None:
    alice = make_user("alice")
    let_write(alice)
    end(make_workflow(alice, FAILED, status="E"), "E")
    server.mood = "vanish"
    assert sweep_and_send() == [Fate.UNSURE]
    server.mood = ""
    MailSettings.objects.update(last_mail_at=None)
    assert sweep_and_send() == []
    assert (Notice.objects.get().state, len(server.mails)) == ("unsure", 1)


def test_never_twice_when_the_worker_dies(server: MailServer) -> None:
    alice = make_user("alice")
    let_write(alice)
    end(make_workflow(alice, FAILED, status="E"), "E")
    sweep_mail()
    assert outbox.claim_digest(alice.pk) is not None
    assert outbox.claim_digest(alice.pk) is None
    MailSettings.objects.update(last_mail_at=None)
    assert sweep_and_send() == []
    Notice.objects.update(state_at=timezone.now() - 2 * outbox.CLAIM_LASTS)
    assert sweep_and_send() == []
    assert Notice.objects.get().state == "unsure"
    assert server.mails == []


def test_without_a_mail_server_nothing_is_gathered(settings) -> None:
    settings.EMAIL_HOST = ""
    alice = make_user("alice")
    let_write(alice)
    end(make_workflow(alice, FAILED, status="E"), "E")
    assert sweep_mail() == []
    assert Notice.objects.count() == 0


@pytest.fixture
def browser(db: None) -> Client:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(make_user("alice"))
    return client


def choose(browser: Client, address: str, run_ends: str = "all") -> int:
    return browser.post("/account/mail/", {"address": address, "run_ends": run_ends, "stalls": "on"}).status_code


def test_an_address_is_proven_by_its_owner(browser: Client, server: MailServer) -> None:
    assert choose(browser, "alice@example.org") == 302
    end(make_workflow(User.objects.get(username="alice"), FAILED, status="E"), "E")
    assert sweep_and_send() == [Fate.SENT]
    [mail] = server.mails
    link = re.search(r"https://jobmon.example.org(/account/mail/confirm/\?code=\S+)", mail.get_content())
    assert link is not None
    page = browser.get(link[1])
    assert page.status_code == 200
    assert MailSettings.objects.get().verified_at is None
    code = link[1].partition("=")[2]
    stranger = Client(HTTP_HOST="127.0.0.1")
    stranger.force_login(make_user("bob"))
    stranger.post("/account/mail/confirm/", {"code": code})
    assert MailSettings.objects.get(user__username="alice").verified_at is None
    browser.post("/account/mail/confirm/", {"code": code})
    found = MailSettings.objects.get(user__username="alice")
    assert found.verified_at is not None
    assert (found.tells_new_errors, found.tells_stalls, found.run_ends) == (False, True, "all")
    assert list(acts().values_list("action", flat=True)) == ["mail-settings", "confirm-mail"]
    assert "alice@example.org" not in str(list(AuditEntry.objects.values()))


def test_another_address_has_to_be_proven_anew_and_codes_are_rare(browser: Client, server: MailServer) -> None:
    for address in ("one@example.org", "two@example.org", "three@example.org"):
        assert choose(browser, address) == 302
        sweep_and_send()
    assert [mail["To"] for mail in server.mails] == ["one@example.org"]
    MailSettings.objects.update(code_sent_at=timezone.now() - addresses.CODE_GAP)
    assert sweep_and_send() == [Fate.SENT]
    assert server.mails[-1]["To"] == "three@example.org"
    MailSettings.objects.update(verified_at=timezone.now())
    choose(browser, "four@example.org")
    assert MailSettings.objects.get().verified_at is None


def test_codes_grow_old(browser: Client, server: MailServer) -> None:
    choose(browser, "alice@example.org")
    address, code = addresses.claim_code(User.objects.get().pk) or ("", "")
    assert address == "alice@example.org"
    MailSettings.objects.update(code_sent_at=timezone.now() - addresses.CODE_LASTS - timedelta(seconds=1))
    browser.post("/account/mail/confirm/", {"code": code})
    assert MailSettings.objects.get().verified_at is None


@pytest.mark.parametrize(
    ("address", "run_ends"), [("no address", "all"), ("a@b.org\nBcc: c@d.org", "all"), ("a@b.org", "some")]
)
def test_nonsense_is_refused_with_a_sentence(browser: Client, address: str, run_ends: str) -> None:
    assert choose(browser, address, run_ends) == 409
    assert not MailSettings.objects.exists()


def test_the_page_shows_what_was_told(browser: Client, server: MailServer) -> None:
    alice = User.objects.get()
    let_write(alice)
    run = end(make_workflow(alice, FAILED, args="yearly", status="E"), "E")
    sweep_and_send()
    page = browser.get("/account/mail/").content.decode()
    assert f'href="/workflow-runs/{run.pk}/"' in page
    assert "sent" in page
