"""Kinds of failure page by page, and how one comes to them from a job."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import Made, Tag, make_workflow
from workflows.models import ErrorGroup, Job
from workflows.queries.errors import GROUPS_SHOWN

pytestmark = pytest.mark.django_db
KINDS = 2 * GROUPS_SHOWN + 7


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, [Tag("fit", {"D": 1, "F": 30})])


def make_kinds(made: Made) -> None:
    """As many kinds as fill three pages; every third is mended, and they block ever more jobs."""
    ErrorGroup.objects.all().delete()
    now = timezone.now()
    ErrorGroup.objects.bulk_create(
        ErrorGroup(
            workflow=made.workflow, fingerprint=f"{number:064}", title=f"kind {number}", reason="exit", attempts=number % 5,
            count_blocked=number // 2, state="fixed" if number % 3 == 0 else "open",
            first_seen_at=now, last_seen_at=now - timedelta(minutes=number),
        )
        for number in range(KINDS)
    )  # fmt: skip


def test_every_kind_of_failure_is_reached_the_urgent_ones_first(client: Client, made: Made) -> None:
    make_kinds(made)
    url, found, pages = f"/workflows/{made.workflow.pk}/errors/", [], 0
    link = ""
    while pages == 0 or link:
        text = client.get(f"{url}{link}").content.decode()
        found += re.findall(r'id="group-(\d+)"', text)
        assert ("Back to the first" in text) == (pages > 0)
        more = re.search(r'href="(\?groups_after=[^"]+)">More kinds', text)
        link, pages = more.group(1) if more else "", pages + 1
    assert pages == 3
    groups = sorted(
        ErrorGroup.objects.all(), key=lambda one: (one.state == "fixed", -one.count_blocked, -one.attempts, -one.pk)
    )
    assert found == [str(group.pk) for group in groups]


def test_the_list_says_how_many_there_are(client: Client, made: Made) -> None:
    make_kinds(made)
    assert f"{GROUPS_SHOWN} of {KINDS};" in client.get(f"/workflows/{made.workflow.pk}/errors/").content.decode()


def test_a_wrong_cursor_is_said_and_the_first_kinds_are_shown(client: Client, made: Made) -> None:
    make_kinds(made)
    page = client.get(f"/workflows/{made.workflow.pk}/errors/?groups_after=WyJ4Iiwx")
    assert "start from the first page" in page.content.decode()
    assert len(page.context["kinds"].rows) == GROUPS_SHOWN


def test_the_export_says_how_many_attempts_it_holds(client: Client, made: Made) -> None:
    url = f"/workflows/{made.workflow.pk}/errors/"
    first = client.get(url)
    rows = b"".join(client.get(f"{url}?export=jsonl").streaming_content).decode().splitlines()
    assert len(rows) > len(first.context["rows"])
    assert f"({len(rows)} rows)" in first.content.decode()
    second = client.get(f"{url}?after={first.context['page'].next}")
    assert f"({len(rows)} rows)" in second.content.decode()
    assert "(0 rows)" not in client.get(f"{url}?host=nowhere").content.decode()


def test_a_failed_job_leads_to_its_kind_of_failure_and_says_how_many_share_it(client: Client, made: Made) -> None:
    job = Job.objects.filter(status="F").first()
    group = job.error_group
    alike = Job.objects.filter(error_group=group).count()
    text = client.get(f"/jobs/{job.pk}/").content.decode()
    assert f'<a href="/error-groups/{group.pk}/" data-key="e">' in text
    assert f'<a href="/workflows/{made.workflow.pk}/jobs/?error={group.pk}">{alike} jobs</a>' in text
    assert 'data-key="e"' not in client.get(f"/jobs/{Job.objects.filter(status='D').first().pk}/").content.decode()


def test_the_kind_of_failure_and_the_time_of_submission_are_columns_of_the_job_table(
    client: Client, made: Made
) -> None:
    job = Job.objects.filter(status="F").first()
    url = f"/workflows/{made.workflow.pk}/jobs/"
    text = html.unescape(client.get(f"{url}?cols=name,error,submitted").content.decode())
    assert f'<a href="/error-groups/{job.error_group_id}/">{job.error_group.title}</a>' in text
    assert "First submitted" in text
    assert "/error-groups/" not in client.get(url).content.decode()
    rows = b"".join(client.get(f"{url}?export=csv").streaming_content).decode().splitlines()
    assert "error_group_id" in rows[0].split(",")


def test_a_full_page_of_kinds_stays_small(client: Client, made: Made) -> None:
    make_kinds(made)
    page = client.get(f"/workflows/{made.workflow.pk}/errors/")
    assert len(page.context["kinds"].rows) == GROUPS_SHOWN
    assert len(page.content) <= 60 * 1024
