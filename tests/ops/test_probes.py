"""What probes tell, to whom, and what metrics and log lines hold."""

from __future__ import annotations

import json
import logging
import logging.config
import re
import sqlite3
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as site_settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from jobmon_site.counters import Counters
from jobmon_site.log_format import make_logging
from jobmon_site.metrics import Metric, label, render
from tests.factories import Tag, make_user, make_workflow
from workflows import bell, transactions
from workflows.models import ErrorGroup, ExecutorState, JobInstance, Notice, RunStall, SystemState

TOKEN = "metrics-token-of-a-test"


@pytest.fixture
def visitor() -> Client:
    return Client(HTTP_HOST="127.0.0.1")


@pytest.fixture
def staff(db: None) -> Client:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(make_user("root", is_staff=True))
    return client


@pytest.fixture
def person(db: None) -> Client:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(make_user("alice"))
    return client


@pytest.fixture
def counter_file(tmp_path: Path, settings) -> Path:
    settings.METRICS_FILE = tmp_path / "counters.sqlite3"
    return settings.METRICS_FILE


@pytest.fixture
def swept(db: None) -> None:
    SystemState.objects.update_or_create(name="sweep", defaults={"at": timezone.now()})


def body(client: Client, path: str, **headers: str) -> tuple[int, str]:
    response = client.get(path, headers=headers)
    return response.status_code, response.content.decode()


def test_health_says_ok_and_asks_nobody(visitor: Client) -> None:
    """Without a database fixture: a query would fail here."""
    assert body(visitor, "/healthz") == (200, "ok\n")
    assert "no-store" in visitor.get("/healthz")["Cache-Control"]
    assert visitor.post("/healthz").status_code == 405


def test_ready_when_all_answers(visitor: Client, swept: None) -> None:
    assert body(visitor, "/readyz") == (200, "ready\n")


@pytest.mark.parametrize("age", [None, timedelta(minutes=5)])
def test_not_ready_without_a_sweep(visitor: Client, staff: Client, age: timedelta | None) -> None:
    SystemState.objects.all().delete()
    if age is not None:
        SystemState.objects.create(name="sweep", at=timezone.now() - age)
    assert body(visitor, "/readyz") == (503, "not ready\n")
    status, text = body(staff, "/readyz")
    assert status == 503
    assert "database: answers\nredis: answers\nsweep: " in text
    ended = re.search(r"ended (\d+) s ago", text)
    if age is None:
        assert "none yet" in text
    else:
        assert ended is not None
        assert 300 <= int(ended[1]) < 360


def test_only_staff_reads_why(person: Client, swept: None) -> None:
    assert body(person, "/readyz") == (200, "ready\n")


def test_not_ready_without_redis(staff: Client, swept: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from celery import current_app

    monkeypatch.setattr(current_app.conf, "broker_write_url", f"redis+socket://{tmp_path}/nobody.sock")
    status, text = body(staff, "/readyz")
    assert status == 503
    assert "redis: does not answer" in text


@pytest.mark.skipif(connection.vendor != "sqlite", reason="takes the file of SQLite away")
@pytest.mark.django_db(transaction=True)
def test_not_ready_without_a_database_and_no_words_then(staff: Client, tmp_path: Path) -> None:
    name = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = str(tmp_path / "no" / "such.sqlite3")
    try:
        assert body(staff, "/readyz") == (503, "not ready\n")
        assert body(staff, "/healthz") == (200, "ok\n")
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name


def test_metrics_are_for_the_token_and_for_staff(
    visitor: Client, person: Client, staff: Client, settings, counter_file: Path
) -> None:
    assert body(visitor, "/metrics")[0] == body(person, "/metrics")[0] == 404
    assert body(visitor, "/metrics", Authorization="Bearer ")[0] == 404
    assert body(staff, "/metrics")[0] == 200
    settings.METRICS_TOKEN = TOKEN
    assert body(visitor, "/metrics", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert body(visitor, "/metrics", Authorization=f"bearer {TOKEN}")[0] == 200
    for text in (f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}", "Bearer é"):
        assert body(visitor, "/metrics", Authorization=text)[0] == 404, text
    assert body(person, "/metrics")[0] == 404


def samples(text: str) -> dict[str, float]:
    """As Prometheus reads it: names with their labels, each once."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.type != "unknown"
        for sample in family.samples:
            labels = ",".join(label(name, value) for name, value in sample.labels.items())
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert name not in found, name
            found[name] = sample.value
    return found


def test_metrics_count_what_is_there(staff: Client, counter_file: Path) -> None:
    owner = make_user("alice")
    tags = [Tag("fit", {"D": 3, "F": 2, "R": 1, "G": 4})]
    made = make_workflow(owner, tags)
    make_workflow(owner, [Tag("fit", {"D": 2})], status="D")
    now = timezone.now()
    ExecutorState.objects.create(
        name="sge", kind="sge", polled_at=now - timedelta(seconds=40), failures_in_a_row=3, failure="qstat: no answer"
    )
    ErrorGroup.objects.all().delete()
    for number, (reason, attempts) in enumerate([("exit", 2), ("exit", 3), ("memory", 1)]):
        ErrorGroup.objects.create(
            workflow=made.workflow, fingerprint=str(number), title="x", reason=reason, attempts=attempts,
            first_seen_at=now, last_seen_at=now,
        )  # fmt: skip
    SystemState.objects.update_or_create(name="sweep", defaults={"at": now - timedelta(seconds=7)})
    status, text = body(staff, "/metrics")
    found = samples(text)
    assert status == 200
    assert found["jobmon_live_runs"] == 1
    states = {name: n for name, n in found.items() if name.startswith("jobmon_jobs{") and n}
    assert states == {
        'jobmon_jobs{state="done"}': 5, 'jobmon_jobs{state="error-fatal"}': 2, 'jobmon_jobs{state="running"}': 1,
        'jobmon_jobs{state="registered"}': 4,
    }  # fmt: skip
    assert found['jobmon_failed_attempts{reason="exit"}'] == 5
    assert found['jobmon_failed_attempts{reason="memory"}'] == 1
    assert found['jobmon_poll_failures_in_a_row{executor="sge"}'] == 3
    assert found['jobmon_poll_age_seconds{executor="sge"}'] >= 40
    assert found["jobmon_sweep_age_seconds"] >= 7
    assert "alice" not in text
    assert "qstat" not in text


def test_metrics_tell_what_stands_still_and_what_waits(staff: Client, counter_file: Path) -> None:
    """Stalled runs by kind, attempts that have not started by executor, and the mail's outbox by state."""
    owner, now = make_user("alice"), timezone.now()
    made = make_workflow(owner, [Tag("fit", {"R": 2, "I": 3})])
    other = make_workflow(owner, [Tag("fit", {"I": 1})], args="other")
    assert made.run is not None
    assert other.run is not None
    for run, kind in ((made.run, "stuck"), (other.run, "held")):
        RunStall.objects.create(run=run, kind=kind, words="Nothing moves.", since=now, noted_at=now)
    for number, state in enumerate(("waiting", "waiting", "given-up")):
        Notice.objects.create(
            user=owner, event=f"run {number}", kind="run-ended", workflow_id=made.workflow.pk, words="x", path="/",
            created_at=now, state=state, state_at=now,
        )  # fmt: skip
    found = samples(body(staff, "/metrics")[1])
    waiting = JobInstance.objects.filter(status__in=("I", "B")).count()
    assert waiting > 0
    assert sum(n for name, n in found.items() if name.startswith("jobmon_attempts_in_queue{")) == waiting
    assert found['jobmon_stalled_runs{kind="stuck"}'] == found['jobmon_stalled_runs{kind="held"}'] == 1
    assert found['jobmon_notices{state="waiting"}'] == 2
    assert found['jobmon_notices{state="given-up"}'] == 1


def test_requests_lost_bells_and_retries_are_counted(
    staff: Client, counter_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        staff.get("/healthz")
    staff.get("/nowhere/")
    before = samples(body(staff, "/metrics")[1])
    monkeypatch.setattr(bell, "lost_bells", bell.lost_bells + 2)
    monkeypatch.setattr(transactions, "retries_counted", transactions.retries_counted + 1)
    staff.get("/healthz")
    after = samples(body(staff, "/metrics")[1])
    assert before['jobmon_http_requests_total{status="2xx"}'] == 3
    assert after['jobmon_http_requests_total{status="4xx"}'] == 1
    assert after["jobmon_lost_bells_total"] - before["jobmon_lost_bells_total"] == 2
    assert after["jobmon_transaction_retries_total"] - before["jobmon_transaction_retries_total"] == 1


def test_the_file_adds_up_what_several_count(tmp_path: Path) -> None:
    file = tmp_path / "counters.sqlite3"
    each = [Counters(file) for _ in range(4)]

    def count(counters: Counters) -> None:
        for _ in range(50):
            counters.add("n", 'a="b"')
            counters.write()

    threads = [threading.Thread(target=count, args=(counters,)) for counters in each]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for counters in each:
        counters.write()
    assert Counters(file).read() == {("n", 'a="b"'): 200}


def test_counts_wait_while_the_file_cannot_be_written(tmp_path: Path) -> None:
    counters = Counters(tmp_path / "later" / "counters.sqlite3")
    counters.add("n")
    counters.write()
    counters.file.parent.mkdir()
    counters.add("n")
    assert counters.read() == {("n", ""): 2}


def test_metrics_without_their_file_still_tell_the_rest(staff: Client, settings, tmp_path: Path) -> None:
    settings.METRICS_FILE = tmp_path / "no" / "such" / "file"
    with pytest.raises(sqlite3.Error):
        Counters(settings.METRICS_FILE).read()
    assert samples(body(staff, "/metrics")[1])["jobmon_live_runs"] == 0


def test_labels_are_escaped() -> None:
    text = render([Metric("m", "gauge", "Words.", [("", label("name", 'a"b\\c\nd'), 1.5)])])
    assert text == '# HELP m Words.\n# TYPE m gauge\nm{name="a\\"b\\\\c\\nd"} 1.5\n'


def formatted(form: str, **extra: object) -> str:
    made = logging.config.DictConfigurator(make_logging(form, "INFO"))
    formatter = made.configure_formatter(made.config["formatters"][form])
    record = logging.LogRecord("jobmon.http", logging.INFO, "", 0, "said %s", ("x",), None)
    record.__dict__.update(extra)
    return formatter.format(record)


def test_log_lines_in_json_hold_the_ids() -> None:
    import structlog

    with structlog.contextvars.bound_contextvars(request_id="abc", run_id=7):
        line = json.loads(formatted("json", status=200))
    assert line.pop("time").endswith("Z")
    assert line == {
        "message": "said x", "level": "info", "logger": "jobmon.http", "request_id": "abc", "run_id": 7, "status": 200,
    }  # fmt: skip
    assert "\n" not in formatted("json", path="/a\nb")


def test_log_lines_for_a_person_are_text() -> None:
    assert formatted("plain").endswith(" INFO jobmon.http said x")


def test_the_site_logs_requests_with_their_id_and_without_their_query(
    person: Client, counter_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "jobmon.http"):
        person.get("/login/once/?code=secret", headers={"X-Request-ID": "0123456789ab"})
    [record] = [record for record in caplog.records if record.name == "jobmon.http"]
    assert (record.path, record.status, record.method) == ("/login/once/", 200, "GET")
    assert "secret" not in str(record.__dict__)


def test_tasks_are_timed_and_name_their_run(counter_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    import structlog
    from celery import current_app, shared_task

    bound: list[dict[str, object]] = []

    @shared_task(name="tests.look")
    def look(*, run_id: int) -> None:
        bound.append(structlog.contextvars.get_contextvars())

    try:
        look.apply(kwargs={"run_id": 12})
    finally:
        current_app.tasks.pop("tests.look")
    assert bound[0]["run_id"] == 12
    assert structlog.contextvars.get_contextvars() == {}
    counts = Counters(counter_file)
    from jobmon_site.counters import counters

    counters(site_settings.METRICS_FILE).write()
    assert counts.read()["jobmon_task_seconds_count", 'task="look"'] == 1


def test_the_user_of_a_disabled_account_reads_nothing(counter_file: Path, db: None) -> None:
    user = make_user("eve", is_staff=True)
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(user)
    User.objects.update(is_active=False)
    assert body(client, "/metrics")[0] == 404


@pytest.mark.parametrize("path", ["/login/", "/workflows/", "/api/v1/"])
def test_a_foreign_host_name_gets_400_and_no_error_of_ours(db: None, path: str) -> None:
    response = Client(HTTP_HOST="evil.example.org").get(path)
    assert response.status_code == 400
    assert b"evil.example.org" not in response.content
