"""Grid Engine's answers as they really are, and as they must not be believed."""

from __future__ import annotations

import math
import string
from collections import Counter
from pathlib import Path

import pytest

from executors.base import ExecutorUnavailable, JobSpec, Phase, Resources, SubmitRejected
from executors.batch import Row, check_ids, plan_batches
from executors.sge_accounting import keep_last, read_limits, read_qacct, read_record
from executors.sge_config import SgeConfig
from executors.sge_parse import (
    build_submission,
    expand_tasks,
    format_memory,
    read_cancellation,
    read_error_reasons,
    read_listing,
    read_phase,
    read_submission,
    read_time,
)
from executors.shell import Completed

GOLDEN = Path(__file__).parent.parent / "executors" / "golden"


def golden(name: str) -> Completed:
    return Completed(0, (GOLDEN / name).read_text(), "")


def config(**given: object) -> SgeConfig:
    return SgeConfig(spool=Path("/spool"), user="alice", **given)


def spec(index: int = 0, **resources: object) -> JobSpec:
    batch = "jm-7"
    return JobSpec(7, 1, f"{batch}.{index}" if index else batch, batch, index, "true", Resources(**resources))


class TestListing:
    def test_every_task_of_a_real_listing(self) -> None:
        rows = read_listing(golden("sge_listing.xml"))
        names = Counter(row.batch for row in rows)
        assert names["jm-b2"] == 12
        assert names["jm-b7"] == 3
        assert names["jm-b10"] == 27  # 1-60:2 without 5, 7, 21
        assert names["other<&>name"] == 1  # qstat writes %lt;
        assert all(row.owner == "jobmon-demo" for row in rows)

    def test_phases_of_a_real_listing(self) -> None:
        rows = {row.name: row for row in read_listing(golden("sge_listing.xml"))}
        assert rows["jm-1"].phase is Phase.HELD
        assert rows["jm-1"].message == "suspended"
        assert rows["jm-4"].phase is Phase.HELD
        assert rows["jm-6"].phase is Phase.PENDING
        running = [row for row in rows.values() if row.batch == "jm-b2" and row.phase is Phase.RUNNING]
        assert len(running) == 7
        assert sorted(row.message for row in running)[-1] == "its deletion has been asked for"
        assert {row.host for row in running} == {"vm"}
        assert all(row.since is not None for row in rows.values())

    def test_error_state_and_its_reasons(self) -> None:
        rows = read_listing(golden("sge_listing_error.xml"))
        stuck = [row for row in rows if row.phase is Phase.STUCK]
        reasons = read_error_reasons(golden("sge_error_reasons.xml"))
        assert len(stuck) >= 3
        for row in stuck:
            assert "can't chdir to /nonexistent/folder" in reasons[row.job, row.task or 1]

    def test_nothing_listed_is_not_an_error(self) -> None:
        text = "<?xml version='1.0'?><job_info><queue_info></queue_info><job_info></job_info></job_info>"
        assert read_listing(Completed(0, text, "")) == []

    @pytest.mark.parametrize(
        "answer",
        [
            Completed(0, "", ""),
            Completed(0, "<?xml version='1.0'?><job_info>", ""),
            Completed(0, "<job_info/>", ""),
            Completed(0, "<comunication_error><AN_text>got send error</AN_text></comunication_error>", ""),
            Completed(0, "<unknown_jobs><ST_name>9</ST_name></unknown_jobs>", ""),
            Completed(1, "<job_info><queue_info/><job_info/></job_info>", "error: commlib error"),
            Completed(1, "", 'error: unable to send message to qmaster using port 6444 on host "vm": got send error'),
            Completed(0, "job-ID  prior   name\n-----\n", ""),
        ],
    )
    def test_what_is_no_listing_is_never_an_empty_one(self, answer: Completed) -> None:
        with pytest.raises(ExecutorUnavailable):
            read_listing(answer)

    @pytest.mark.parametrize("broken", ["1-", "a", "1-3:0", "1,,2", "1-99999999999"])
    def test_broken_task_lists(self, broken: str) -> None:
        text = (GOLDEN / "sge_listing.xml").read_text().replace("<tasks>8-12:1</tasks>", f"<tasks>{broken}</tasks>")
        assert broken in text
        with pytest.raises(ExecutorUnavailable):
            read_listing(Completed(0, text, ""))

    def test_ended_jobs_that_are_still_listed_are_left_out(self) -> None:
        text = (GOLDEN / "sge_listing.xml").read_text().replace("<state>r</state>", "<state>z</state>")
        rows = read_listing(Completed(0, text, ""))
        assert [row.message for row in rows if row.phase is Phase.RUNNING] == ["its deletion has been asked for"]

    def test_times_are_utc(self) -> None:
        assert read_time("2026-11-22T12:23:52") == 1795350232.0
        assert read_time(None) is None
        assert read_time("-/-") is None

    @pytest.mark.parametrize(
        ("text", "tasks"),
        [
            (None, [None]),
            ("5", [5]),
            ("8,9", [8, 9]),
            ("1-4:1,8,9,11-19:2", [1, 2, 3, 4, 8, 9, 11, 13, 15, 17, 19]),
            ("1-7:3", [1, 4, 7]),
            ("3-5", [3, 4, 5]),
        ],
    )
    def test_tasks(self, text: str | None, tasks: list[int | None]) -> None:
        assert list(expand_tasks(text)) == tasks


class TestPhase:
    @pytest.mark.parametrize(
        ("letters", "phase"),
        [
            ("qw", "pending"), ("t", "pending"), ("Rq", "pending"), ("hqw", "held"), ("hRq", "held"), ("Eqw", "stuck"),
            ("r", "running"), ("Rr", "running"), ("hr", "running"), ("dr", "running"), ("dt", "pending"),
            ("s", "held"), ("S", "held"), ("T", "held"), ("dS", "held"), ("EhRqw", "stuck"), ("", "unknown"),
            ("x", "unknown"), ("qwX", "unknown"), ("running", "unknown"),
        ],
    )  # fmt: skip
    def test_letters(self, letters: str, phase: str) -> None:
        assert read_phase(letters)[0] == phase

    def test_no_letters_ever_raise(self) -> None:
        for one in string.printable:
            for two in string.ascii_letters:
                assert read_phase(one + two)[0] in Phase


class TestSubmission:
    @pytest.mark.parametrize(("text", "job"), [("3\n", "3"), ("8.1-10:3\n", "8"), ("9999999", "9999999")])
    def test_numbers(self, text: str, job: str) -> None:
        assert read_submission(Completed(0, text, "")) == job

    @pytest.mark.parametrize(
        "words",
        [
            'Unable to run job: job rejected: the requested project "nosuch" does not exist\nExiting.',
            'Unable to run job: unknown resource "nosuch"\nExiting.',
            'Unable to run job: attribute "h_rt" is not a time value\nExiting.',
            'Unable to run job: Job was rejected because job requests unknown queue "nosuch.q"\nExiting.',
            "Unable to run job: error: no suitable queues\nExiting.",
            "Unable to run job: job rejected: your user id 0 is lower than minimum user id 1000",
            'qsub: invalid option argument "-zzz"',
        ],
    )
    def test_refusals_keep_their_words(self, words: str) -> None:
        with pytest.raises(SubmitRejected) as refusal:
            read_submission(Completed(1, "", words))
        assert str(refusal.value) == words.removesuffix("Exiting.").strip()

    @pytest.mark.parametrize(
        "answer",
        [
            Completed(0, "", ""),
            Completed(0, 'Your job 4 ("job.sh") has been submitted', ""),
            Completed(0, "3\n4\n", ""),
            Completed(1, "3\n", ""),
            Completed(1, "3\n", 'Unable to run job: unknown resource "nosuch"'),
            Completed(1, "", ""),
            Completed(-9, "", ""),
            Completed(
                1, "", "error: commlib error: got select error (Connection refused)\nUnable to run job: denied: x"
            ),
            Completed(1, "", "Unable to run job: Error reading answer list from qmaster\nExiting."),
            Completed(
                1, "", "Unable to run job: job rejected: only 2 jobs are allowed per user (current job count: 2)"
            ),
            Completed(1, "", "Unable to run job: something nobody has seen yet"),
        ],
    )
    def test_everything_else_is_unknown(self, answer: Completed) -> None:
        with pytest.raises(ExecutorUnavailable, match="qsub answered"):
            read_submission(answer)


class TestArguments:
    def test_single(self) -> None:
        argv = build_submission(config(), [spec(mem_free=1.5, max_runtime=90)], Path("/w"), Path("/spool/0/7"))
        assert argv == [
            "/usr/lib/gridengine/qsub", "-clear", "-terse", "-b", "y", "-shell", "n", "-r", "n", "-m", "n", "-wd", "/",
            "-N", "jm-7", "-ac", "jobmon=jm-7", "-o", "/dev/null", "-e", "/dev/null", "-w", "e",
            "-l", "mem_free=1431M", "-l", "h_rt=90", "/bin/sh", "/w", "/spool/0/7",
        ]  # fmt: skip

    def test_parallel_array_with_options(self) -> None:
        site = config(
            parallel_environment="smp", memory_resources=("m_mem_free", "h_vmem"), concurrent_tasks=5,
            allowed_options=("p",), default_project="demo", default_queue="all.q", verify=False,
        )  # fmt: skip
        specs = [spec(index, slots=4, mem_free=8.0, project="mine", extra=(("p", "10"),)) for index in (1, 2, 5)]
        argv = build_submission(site, specs, Path("/w"), Path("/b"))
        assert argv[argv.index("/dev/null", argv.index("-e")) + 1 :] == [
            "-P", "mine", "-q", "all.q", "-pe", "smp", "4", "-l", "m_mem_free=1908M", "-l", "h_vmem=1908M",
            "-p", "10", "-t", "1-5", "-tc", "5", "/bin/sh", "/w", "/b",
        ]  # fmt: skip

    def test_excluded_hosts(self) -> None:
        argv = build_submission(config(), [spec(excluded_hosts=("c041", "c042.example.org"))], Path("/w"), Path("/b"))
        at = argv.index("hostname=!(c041|c042.example.org)")
        assert argv[at - 1] == "-l"
        with pytest.raises(ValueError, match="not the name of a host"):
            build_submission(config(), [spec(excluded_hosts=("c*",))], Path("/w"), Path("/b"))

    @pytest.mark.parametrize(
        ("gigabytes", "text"), [(2.0, "1908M"), (0.001, "1M"), (1e-12, "1M"), (1.048576, "1000M"), (1.0485761, "1001M")]
    )
    def test_memory_is_never_less_than_asked_for(self, gigabytes: float, text: str) -> None:
        assert format_memory(gigabytes) == text
        assert int(text[:-1]) * 2**20 >= gigabytes * 10**9


class TestDeletion:
    def test_gone_is_fine(self) -> None:
        read_cancellation(Completed(0, "griduser has registered the job 2056 for deletion\n", ""))
        read_cancellation(Completed(1, "alice has deleted job 1\n", 'denied: job "2056" does not exist\n'))
        read_cancellation(Completed(1, "job 17 is already in deletion\n", ""))

    @pytest.mark.parametrize(
        "answer",
        [
            Completed(1, "", "error: commlib error: got select error (Connection refused)"),
            Completed(1, "", 'nobody - you do not have the necessary privileges to delete the job "2068"'),
            Completed(1, "", ""),
        ],
    )
    def test_the_rest_is_said(self, answer: Completed) -> None:
        with pytest.raises(ExecutorUnavailable, match="qdel answered"):
            read_cancellation(answer)

    @pytest.mark.parametrize("bad", ["*", "1*", "", "-u", "alice", "1.2.3", "1-5", "1 2", "'*'", "\uff11"])
    def test_no_pattern_ever_reaches_the_command(self, bad: str) -> None:
        assert check_ids(["1", "2.3", "4_5"]) == ["1", "2.3", "4_5"]
        with pytest.raises(ValueError, match="not the number"):
            check_ids(["1", bad])


class TestAccounting:
    def records(self) -> dict[str, object]:
        lines = (GOLDEN / "sge_accounting.txt").read_text().splitlines(keepends=True)
        return keep_last(record for line in lines if (record := read_record(line)))

    @pytest.mark.parametrize(
        ("name", "code", "signal", "over"),
        [
            ("jm-e0", 0, None, None),
            ("jm-e1", 1, None, None),
            ("jm-e2", 137, 9, "runtime"),
            ("jm-e3", 127, None, None),
            ("jm-e4", 137, 9, "memory"),
            ("jm-e7", 137, 9, None),
            ("jm-b5.3", 0, None, None),
        ],
    )
    def test_real_endings(self, name: str, code: int, signal: int | None, over: str | None) -> None:
        info = self.records()[name].info
        assert (info.exit_code, info.signal, info.over, info.node_failed) == (code, signal, over, False)
        assert info.host == "vm"
        assert info.ended_at >= info.started_at > 1_700_000_000

    def test_a_job_that_was_put_back_is_not_over(self) -> None:
        assert self.records()["jm-e8"].is_final is False

    def test_the_last_record_counts(self) -> None:
        line = (GOLDEN / "sge_accounting.txt").read_text().splitlines(keepends=True)[0]
        again = line.replace(":0:0:2:", ":0:1:2:", 1)
        assert again != line
        last = keep_last(read_record(one) for one in (line, again))
        assert last["jm-e0"].info.exit_code == 1

    def test_units(self) -> None:
        usage = self.records()["jm-e4"].info.usage
        assert usage.maxvmem == 342163456
        assert usage.io == math.floor(0.922056 * 2**30)
        assert self.records()["jm-e1"].info.usage.maxvmem == 4376 * 1024  # too short to be sampled

    def test_deleted_by_force_looks_like_success_and_is_told(self) -> None:
        line = (GOLDEN / "sge_accounting.txt").read_text().splitlines(keepends=True)[0]
        fields = line.split(":")
        fields[13] = fields[16] = "0"
        assert "by force" in read_record(":".join(fields)).info.words

    @pytest.mark.parametrize(
        ("failed", "is_node"), [(0, False), (1, True), (8, False), (21, True), (26, False), (100, False)]
    )
    def test_failures_of_the_node(self, failed: int, is_node: bool) -> None:
        fields = (GOLDEN / "sge_accounting.txt").read_text().splitlines(keepends=True)[0].split(":")
        fields[11] = str(failed)
        record = read_record(":".join(fields))
        assert record.info.node_failed is is_node
        assert failed == 0 or f"code {failed}" in record.info.words

    @pytest.mark.parametrize("line", ["", "\n", "# comment\n", "a:b:c\n", ":" * 44 + "\n", "all.q:vm" * 10])
    def test_what_is_no_record(self, line: str) -> None:
        assert read_record(line) is None

    def test_a_half_written_line_is_no_record(self) -> None:
        line = (GOLDEN / "sge_accounting.txt").read_text().splitlines()[0]
        assert read_record(line) is None
        assert read_record(line + "\n") is not None

    def test_qacct_tells_the_same(self) -> None:
        wanted, found = self.records(), keep_last(read_qacct((GOLDEN / "sge_qacct.txt").read_text()))
        assert set(found) == {"jm-e2", "jm-b5.1", "jm-b5.2", "jm-b5.3"}
        for name, record in found.items():
            assert (record.info.exit_code, record.info.over) == (wanted[name].info.exit_code, wanted[name].info.over)
            assert record.info.ended_at == wanted[name].info.ended_at
            assert record.info.usage.wallclock == wanted[name].info.usage.wallclock
            assert record.info.usage.maxvmem == pytest.approx(wanted[name].info.usage.maxvmem, rel=0.01)

    @pytest.mark.parametrize("text", ["", "=====\n", "error: job id 9 not found\n", "=====\njobname x\n"])
    def test_qacct_without_records(self, text: str) -> None:
        assert read_qacct(text) == []

    @pytest.mark.parametrize(
        ("category", "limits"),
        [
            ("-l h_rt=60,h_vmem=2G -pe smp 2", {"h_rt": 60.0, "h_vmem": 2.0 * 2**30}),
            ("-l h_rt=1:0:5", {"h_rt": 3605.0}),
            ("-l h_rt=INFINITY,h_vmem=x", {"h_rt": math.inf}),
            ("NONE", {}),
        ],
    )
    def test_limits(self, category: str, limits: dict[str, float]) -> None:
        assert read_limits(category) == limits


class TestBatches:
    def test_same_shapes_go_together(self) -> None:
        one, two = Resources(slots=1), Resources(slots=2)
        shapes = [(one, None), (two, None), (one, None), (one, "/w"), (one, None)]
        assert plan_batches(shapes, 2) == [[0, 2], [4], [1], [3]]
        assert plan_batches([], 5) == []

    def test_name_of_a_row(self) -> None:
        assert Row("jm-1", "3", None, "a", Phase.RUNNING).name == "jm-1"
        assert Row("jm-1", "3", 4, "a", Phase.RUNNING).name == "jm-1.4"


class TestConfiguration:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"parallel_environment": "a b"}, "parallel_environment"),
            ({"memory_resources": ("mem;free",)}, "memory_resources"),
            ({"runtime_resources": ("-l",)}, "runtime_resources"),
            ({"sge_cell": "../x"}, "sge_cell"),
            ({"sge_root": Path("relative")}, "sge_root"),
            ({"qmaster_port": 0}, "qmaster_port"),
            ({"allowed_options": ("N",)}, "belong to Jobmon"),
            ({"allowed_options": ("-p",)}, "leave out the dashes"),
            ({"default_project": "-P"}, "default_project"),
            ({"default_queue": "a\nb"}, "default_queue"),
            ({"name_prefix": "9"}, "name_prefix"),
            ({"array_size": 0}, "array_size"),
            ({"concurrent_tasks": -1}, "concurrent_tasks"),
            ({"query_timeout": 0.0}, "query_timeout"),
            ({"grace": math.nan}, "grace"),
            ({"command_prefix": ("sudo",)}, "command_prefix"),
            ({"bin_dir": Path("bin")}, "bin_dir"),
        ],
    )
    def test_what_cannot_be_is_said_at_once(self, given: dict[str, object], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            config(**given)
