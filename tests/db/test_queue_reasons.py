"""Why jobs wait, asked of a batch system whose listing does not say: seldom, for few, and never in the listing's way."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from executors.base import AttemptRef, Listed, PartlyUnavailable, Phase
from executors.sge import SgeExecutor
from executors.sge_config import SgeConfig
from tests.db.engine import job, make_actor, start, submit
from workflows.models import ExecutorState, JobInstance, Workflow
from workflows.scheduling import back_ends, queue_reasons, reconcile, tick
from workflows.scheduling.collect import Attempt
from workflows.scheduling.judge import Asked
from workflows.scheduling.live_attempts import LiveAttempt, read_live
from workflows.scheduling.queue_reasons import JOBS_ASKED, STARTED_AT_MOST, Waiting, choose
from workflows.state_machine import InstanceStatus

GOLDEN = Path(__file__).parent.parent / "executors" / "golden"
LISTING = "<?xml version='1.0'?><job_info><queue_info></queue_info><job_info>{}</job_info></job_info>"
ROW = (
    "<job_list><JB_job_number>{}</JB_job_number><JB_name>{}</JB_name><JB_owner>{}</JB_owner><state>{}</state>"
    "<JB_submission_time>2026-11-22T12:00:00</JB_submission_time>{}</job_list>"
)
# Each question leaves a line of the ids that it names
QSTAT = """#!/bin/sh
cd {folder}
case "$*" in
*-j*) echo "$3" >>asked; [ ! -e hang ] || exec sleep 600; cat answer ;;
*) cat listing ;;
esac
"""


class Cell:
    """A Grid Engine that says what a test tells it to: its numbers begin at 467, of which the recorded answers tell."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.folder = folder
        for name, text in (("qsub", "#!/bin/sh\necho 467\n"), ("qstat", QSTAT)):
            (folder / name).write_text(text.format(folder=folder))
            (folder / name).chmod(0o755)
        self.config = SgeConfig(
            spool=folder / "spool", bin_dir=folder, sge_root=folder, poll_interval=0.001, query_timeout=30.0, **given
        )
        self.use()
        self.lists()
        self.answers("sge_queue_reasons.xml")

    def use(self) -> None:
        """As another worker does: nothing is known but what is stored."""
        back_ends.use(SgeExecutor(self.config))

    def lists(self, *names: str, state: str = "qw", number: int = 467, tasks: str = "") -> None:
        tag = f"<tasks>{tasks}</tasks>" if tasks else ""
        rows = [ROW.format(number + at, name, getpass.getuser(), state, tag) for at, name in enumerate(names)]
        (self.folder / "listing").write_text(LISTING.format("".join(rows)))

    def answers(self, golden: str) -> None:
        (self.folder / "answer").write_text((GOLDEN / golden).read_text())

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().split() if path.exists() else []

    def poll(self) -> str:
        """One poll; what is stored of the first attempt's waiting then."""
        reconcile.reconcile("sge")
        return JobInstance.objects.order_by("pk")[0].phase_message


@pytest.fixture
def make_cell(tmp_path: Path, settings: Any) -> Iterable[Callable[..., Cell]]:
    settings.EXECUTORS = ["sge"]
    yield lambda **given: Cell(tmp_path, **given)
    back_ends.forget()


def submit_one(cell: Cell, jobs: int = 1) -> list[JobInstance]:
    """Attempts that have been in the queue for a minute."""
    graph = [job(f"a{n}", mem_free=1.0, command=f"true {n}") for n in range(jobs)]
    tick.advance(start(submit(graph, executor="sge")).pk)
    JobInstance.objects.update(submitted_date=timezone.now() - timedelta(minutes=1))
    made = list(JobInstance.objects.order_by("pk"))
    cell.lists(made[0].name)
    return made


REASON = "host vm offers less mem_free than 999G (21G)"


@pytest.mark.django_db
class TestEngine:
    def test_the_reason_is_stored_and_shown_until_the_job_starts(self, make_cell: Callable[..., Cell]) -> None:
        cell = make_cell()
        (attempt,) = submit_one(cell)
        assert cell.poll().startswith(REASON)
        client = Client(HTTP_HOST="127.0.0.1")
        client.force_login(make_actor().user)
        text = client.get(f"/jobs/{attempt.job_id}/").content.decode()
        assert "because it says" in text
        assert REASON in text
        assert REASON in client.get(f"/api/v1/jobs/{attempt.job_id}/why/").json()["why"]
        cell.lists(attempt.name, state="r")
        assert cell.poll() == ""
        assert JobInstance.objects.get().status == "R"

    def test_twenty_polls_of_two_workers_ask_once(self, make_cell: Callable[..., Cell]) -> None:
        cell = make_cell()
        submit_one(cell)
        reason, before = cell.poll(), Workflow.objects.get().change_no
        for _ in range(20):
            cell.use()
            assert cell.poll() == reason
        assert cell.asked == ["467"]
        assert Workflow.objects.get().change_no == before, "what stays the same is no news"
        ExecutorState.objects.update(reasons_due_at=timezone.now())
        cell.poll()
        assert cell.asked == ["467", "467"]

    def test_of_two_workers_that_would_ask_at_once_one_does(self, make_cell: Callable[..., Cell]) -> None:
        """The turn is taken before the question, which may take its time."""
        submit_one(make_cell())
        reconcile.claim_poll("sge", "sge", 0.001)
        assert [queue_reasons._claim("sge", 60.0) for _ in range(2)] == [True, False]

    def test_it_is_asked_again_after_the_clock_was_set_back(self, make_cell: Callable[..., Cell]) -> None:
        cell = make_cell()
        submit_one(cell)
        cell.poll()
        ExecutorState.objects.update(reasons_due_at=timezone.now() + timedelta(days=1))
        cell.poll()
        assert len(cell.asked) == 2

    def test_who_has_only_just_come_is_not_asked_about(self, make_cell: Callable[..., Cell]) -> None:
        cell = make_cell()
        submit_one(cell)
        JobInstance.objects.update(submitted_date=timezone.now())
        assert cell.poll() == ""
        assert cell.asked == []

    def test_none_are_asked_where_that_is_switched_off(self, make_cell: Callable[..., Cell]) -> None:
        cell = make_cell()
        submit_one(cell)
        assert cell.poll() != ""
        cell.config = replace(cell.config, reason_interval=0)
        cell.use()
        ExecutorState.objects.update(reasons_due_at=None)
        assert cell.poll() == ""
        assert cell.asked == ["467"]

    def test_tasks_of_an_array_share_a_reason(self, make_cell: Callable[..., Cell]) -> None:
        cell = make_cell()
        made = submit_one(cell, jobs=3)
        batch = made[0].name.rpartition(".")[0]
        cell.lists(batch, tasks="1-3:1")
        assert cell.poll().startswith(REASON)
        assert {one.phase_message for one in JobInstance.objects.all()} == {cell.poll()}
        assert cell.asked == ["467"]


@pytest.mark.django_db
class TestSilence:
    def test_a_cell_that_may_not_say_is_told_of_once(self, make_cell: Callable[..., Cell]) -> None:
        cell = make_cell()
        submit_one(cell)
        assert cell.poll() != ""
        cell.answers("sge_queue_reasons_off.xml")
        ExecutorState.objects.update(reasons_due_at=None)
        assert cell.poll() == ""
        client = Client(HTTP_HOST="127.0.0.1")
        client.force_login(make_actor().user)
        for path in ("/executors/", "/executors/sge/"):
            assert client.get(path).content.decode().count("qconf -msconf") == 1, path
        cell.answers("sge_queue_reasons.xml")
        ExecutorState.objects.update(reasons_due_at=None)
        assert cell.poll() != ""
        assert "qconf" not in client.get("/executors/").content.decode()

    def test_one_that_hangs_is_left_alone_for_long_and_spoils_no_listing(self, make_cell: Callable[..., Cell]) -> None:
        cell = make_cell()
        submit_one(cell)
        reason = cell.poll()
        cell.config = replace(cell.config, query_timeout=1.0, reason_interval=1.0)
        cell.use()
        (cell.folder / "hang").touch()
        ExecutorState.objects.update(reasons_due_at=None)
        before = timezone.now()
        assert cell.poll() == reason
        state = ExecutorState.objects.get()
        assert (state.failures_in_a_row, state.counts) == (0, {"pending": 1})
        assert state.poll_seconds >= 1.0, "it counts in the cost of the poll"
        assert state.reasons_due_at >= before + timedelta(seconds=100)
        cell.poll()
        assert len(cell.asked) == 2

    @pytest.mark.parametrize("text", ["", "nonsense", "<comunication_error/>", "<unknown_jobs/>"])
    def test_nonsense_spoils_no_listing(self, make_cell: Callable[..., Cell], text: str) -> None:
        cell = make_cell()
        submit_one(cell)
        (cell.folder / "answer").write_text(text)
        assert cell.poll() == ""
        assert ExecutorState.objects.get().failures_in_a_row == 0
        assert len(cell.asked) == 1

    def test_a_slow_batch_system_is_not_asked(self, make_cell: Callable[..., Cell]) -> None:
        cell = make_cell()
        submit_one(cell)
        cell.poll()
        ExecutorState.objects.update(reasons_due_at=None)
        executor = back_ends.get("sge")
        live, listing = read_live("sge"), executor.poll()
        known = queue_reasons.add_reasons(executor, live, listing, queue_reasons.SLOW_LISTING + 1)
        assert len(cell.asked) == 1
        assert [one.message for one in known.values()] == [live[0].phase_message]
        assert queue_reasons.add_reasons(executor, live, listing, 0.1) == known
        assert len(cell.asked) == 2

    def test_an_incomplete_listing_keeps_what_was_known(self, make_cell: Callable[..., Cell], monkeypatch: Any) -> None:
        cell = make_cell()
        submit_one(cell)
        reason = cell.poll()
        executor = back_ends.get("sge")
        listing = executor.poll()

        def poll() -> dict[str, Listed]:
            raise PartlyUnavailable("one account does not answer", listing, set())

        monkeypatch.setattr(executor, "poll", poll)
        assert cell.poll() == reason
        assert len(cell.asked) == 1


def waiting(number: int, run: int = 1, mem_free: float = 1.0, name: str = "", age: int = 100) -> Waiting:
    attempt = Attempt(number, run, InstanceStatus.SUBMITTED, "", "", Asked(number, False, "", mem_free, None), "sge")
    name = name or f"jm-{number}"
    live = LiveAttempt(attempt, AttemptRef(number, name, str(number), float(number - age)), None, "", "", False)
    return Waiting(live, Listed(name, str(number), Phase.PENDING))


class TestChoice:
    """Who is asked about."""

    def names(self, *some: Waiting, listing: dict[str, Listed] | None = None) -> list[str]:
        return [one.name for one in choose(some, listing or {})]

    def test_the_oldest_of_each_request_come_first(self) -> None:
        many = [waiting(number) for number in range(100)]
        odd = [waiting(200, mem_free=900.0), waiting(300, run=2)]
        assert self.names(*reversed(many), *odd) == ["jm-0", "jm-200", "jm-300", *(f"jm-{n}" for n in range(1, 18))]

    def test_never_more_than_so_many(self) -> None:
        assert len(self.names(*(waiting(number, run=number) for number in range(500)))) == JOBS_ASKED

    def test_one_task_of_an_array_stands_for_all(self) -> None:
        tasks = [waiting(number, name=f"jm-b1.{number}") for number in range(1, 50)]
        assert self.names(*tasks, waiting(99)) == ["jm-b1.1", "jm-99"]

    def test_an_array_of_which_many_tasks_run_is_left_out(self) -> None:
        """The answer would tell of each of them."""
        names = [f"jm-b1.{number}" for number in range(1, STARTED_AT_MOST + 2)]
        running = {name: Listed(name, "1", Phase.RUNNING) for name in names}
        tasks = [waiting(number, name=f"jm-b1.{number}") for number in range(900, 905)]
        assert self.names(*tasks, waiting(999), listing=running) == ["jm-999"]
        del running[names[0]]
        assert self.names(*tasks, waiting(999), listing=running) == ["jm-b1.900", "jm-999"]
