"""Slurm's answers as they really are, and as they must not be believed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from executors.base import ExecutorUnavailable, JobSpec, Phase, Resources, SubmitRejected
from executors.shell import Completed
from executors.slurm_accounting import is_disabled, keep_last, read_duration, read_sacct, read_scontrol, read_size
from executors.slurm_config import SlurmConfig
from executors.slurm_parse import (
    build_submission,
    read_cancellation,
    read_listing,
    read_nodes,
    read_phase,
    read_submission,
    read_time,
)

GOLDEN = Path(__file__).parent.parent / "executors" / "golden"


def golden(name: str) -> Completed:
    return Completed(0, (GOLDEN / name).read_text(), "")


def config(**given: object) -> SlurmConfig:
    return SlurmConfig(spool=Path("/spool"), user="alice", **given)


def spec(index: int = 0, **resources: object) -> JobSpec:
    batch = "jm-7"
    return JobSpec(7, 1, f"{batch}.{index}" if index else batch, batch, index, "true", Resources(**resources))


class TestListing:
    def test_a_real_listing(self) -> None:
        rows = read_listing(golden("slurm_listing.txt"))
        by_name = {row.name: row for row in rows}
        assert Counter(row.batch for row in rows) == {
            "jm-b2": 9, "jm-5": 1, "jm-b4": 5, "jm-3": 1, "jm-1": 1, "jm-8": 1, "jm-10": 1, "jm-11": 1,
        }  # fmt: skip
        assert by_name["jm-1"].phase is Phase.RUNNING
        assert by_name["jm-1"].host == "vm"
        assert by_name["jm-11"].phase is Phase.HELD
        assert by_name["jm-b2.4"].phase is Phase.PENDING
        assert (by_name["jm-b4.5"].phase, by_name["jm-b4.5"].message) == (Phase.HELD, "JobHeldUser")
        assert (by_name["jm-5"].phase, by_name["jm-5"].message) == (Phase.STUCK, "PartitionConfig")
        assert {row.owner for row in rows} == {"jobmon-demo"}
        assert all(row.since for row in rows)

    def test_only_the_header_is_an_empty_listing(self) -> None:
        header = (GOLDEN / "slurm_listing.txt").read_text().splitlines()[0]
        assert read_listing(Completed(0, header + "\n", "")) == []

    def test_what_has_ended_is_left_out(self) -> None:
        text = (GOLDEN / "slurm_listing.txt").read_text().replace("|RUNNING|", "|COMPLETED|")
        assert "jm-1" not in {row.name for row in read_listing(Completed(0, text, ""))}

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: "",
            lambda text: text.split("\n", 1)[1],
            lambda text: text + "1681799|N/A|jm-1\n",
            lambda text: text + "x|N/A|jm-1|alice|RUNNING|N/A|N/A|vm|None\n",
            lambda text: text + "7|1-4|jm-1|alice|PENDING|N/A|N/A||None\n",
        ],
    )
    def test_what_cannot_be_read_is_never_a_shorter_listing(self, change: object) -> None:
        with pytest.raises(ExecutorUnavailable):
            read_listing(Completed(0, change((GOLDEN / "slurm_listing.txt").read_text()), ""))

    def test_an_error_is_not_a_listing(self) -> None:
        with pytest.raises(ExecutorUnavailable, match="Unable to contact"):
            read_listing(
                Completed(1, "", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
            )

    @pytest.mark.parametrize(
        ("state", "reason", "phase"),
        [
            ("PENDING", "Priority", "pending"), ("PENDING", "BeginTime", "pending"), ("CONFIGURING", "None", "pending"),
            ("PENDING", "JobHeldAdmin", "held"), ("PENDING", "launch failed requeued held", "held"),
            ("PENDING", "BadConstraints", "stuck"), ("SPECIAL_EXIT", "None", "stuck"), ("SUSPENDED", "None", "held"),
            ("RUNNING", "None", "running"), ("COMPLETING", "None", "running"), ("WHATEVER", "x", "unknown"),
            ("", "", "unknown"),
        ],
    )  # fmt: skip
    def test_phase(self, state: str, reason: str, phase: str) -> None:
        assert read_phase(state, reason)[0] == phase

    def test_times_are_utc(self) -> None:
        assert read_time("2026-11-22T12:48:42") == 1795351722.0
        assert read_time("Unknown") is None
        assert read_time("N/A") is None


class TestSubmission:
    @pytest.mark.parametrize(("text", "job"), [("3\n", "3"), ("7;cluster\n", "7")])
    def test_numbers(self, text: str, job: str) -> None:
        assert read_submission(Completed(0, text, "")) == job

    @pytest.mark.parametrize(
        "words",
        [
            "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
            "sbatch: error: Batch job submission failed: Invalid partition name specified",
            "sbatch: error: Memory specification can not be satisfied\nsbatch: error: Batch job submission failed:"
            " Requested node configuration is not available",
            "sbatch: error: Batch job submission failed: Invalid job array specification",
            "sbatch: error: Invalid --time specification",
            "sbatch: unrecognized option '--nosuch'",
            "sbatch: error: Invalid generic resource (gres) specification",
            "sbatch: error: Batch job submission failed: Invalid feature specification",
            "sbatch: error: Batch job submission failed: Invalid license specification",
        ],
    )
    def test_refusals_keep_their_words(self, words: str) -> None:
        with pytest.raises(SubmitRejected) as refusal:
            read_submission(Completed(1, "", words + "\n"))
        assert str(refusal.value) == words

    @pytest.mark.parametrize(
        "answer",
        [
            Completed(0, "", ""),
            Completed(0, "Submitted batch job 4", ""),
            Completed(1, "4\n", ""),
            Completed(1, "", "sbatch: error: Batch job submission failed: Unable to contact slurm controller"),
            Completed(1, "", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"),
            Completed(1, "", "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying"),
            Completed(1, "", "sbatch: error: Job violates accounting/QOS policy (job submit limit, user's size)"),
            Completed(1, "", "sbatch: error: something nobody has seen yet"),
            Completed(1, "", "sbatch: error: Batch job submission failed: Invalid node name specified"),
        ],
    )
    def test_everything_else_is_unknown(self, answer: Completed) -> None:
        with pytest.raises(ExecutorUnavailable, match="sbatch answered"):
            read_submission(answer)


class TestArguments:
    def test_single(self) -> None:
        argv = build_submission(config(), [spec(mem_free=1.5, max_runtime=90)], Path("/w"), Path("/spool/0/7"))
        assert argv == [
            "/usr/bin/sbatch", "--parsable", "--export=NONE", "--no-requeue", "--job-name=jm-7", "--output=/dev/null",
            "--error=/dev/null", "--input=/dev/null", "--chdir=/", "--nodes=1", "--ntasks=1", "--cpus-per-task=1",
            "--mem=1431M", "--time=2", "/w", "/spool/0/7",
        ]  # fmt: skip

    def test_array_with_options(self) -> None:
        site = config(concurrent_tasks=5, allowed_options=("qos",), default_project="demo", default_queue="short")
        specs = [spec(index, slots=4, queue="long", extra=(("qos", "high"),)) for index in (1, 2, 5)]
        argv = build_submission(site, specs, Path("/w"), Path("/b"))
        assert argv[argv.index("--ntasks=1") + 1 :] == [
            "--cpus-per-task=4", "--account=demo", "--partition=long", "--mem=1908M", "--qos=high",
            "--array=1-5%5", "/w", "/b",
        ]  # fmt: skip

    def test_excluded_hosts(self) -> None:
        argv = build_submission(config(), [spec(excluded_hosts=("c041", "c042"))], Path("/w"), Path("/b"))
        assert "--exclude=c041,c042" in argv
        with pytest.raises(ValueError, match="not the name of a host"):
            build_submission(config(), [spec(excluded_hosts=("c[1-99]",))], Path("/w"), Path("/b"))

    def test_nodes_are_known_by_both_of_their_names(self) -> None:
        """A node's name to Slurm need not be its host's; with several partitions each is listed once for each."""
        text = "n1|c041.example.org\nn1|c041.example.org\nc042|c042\n"
        assert read_nodes(Completed(0, text, "")) == {"c041": "n1", "n1": "n1", "c042": "c042"}
        for answer in (Completed(1, text, ""), Completed(0, "", ""), Completed(0, "c041 c042", "")):
            with pytest.raises(ExecutorUnavailable, match="sinfo"):
                read_nodes(answer)


class TestDeletion:
    def test_gone_is_fine(self) -> None:
        read_cancellation(Completed(0, "", ""))
        read_cancellation(Completed(1, "", "scancel: error: Kill job error on job id 9: Invalid job id specified\n"))

    @pytest.mark.parametrize(
        "answer",
        [
            Completed(8, "", "scancel: error: Unable to contact slurm controller (connect failure)"),
            Completed(1, "", "scancel: error: Kill job error on job id 9: Access/permission denied"),
            Completed(1, "", ""),
        ],
    )
    def test_the_rest_is_said(self, answer: Completed) -> None:
        with pytest.raises(ExecutorUnavailable, match="scancel answered"):
            read_cancellation(answer)


class TestSacct:
    @pytest.mark.parametrize(
        ("name", "code", "signal", "over"),
        [
            ("jm-1", 0, None, None),
            ("jm-6", 3, None, None),
            ("jm-7", 0, 9, None),
            ("jm-8", 0, None, "memory"),
            ("jm-9", 0, None, None),
            ("jm-10", 0, None, "runtime"),
            ("jm-b2.1", 0, None, None),
        ],
    )
    def test_real_endings(self, name: str, code: int, signal: int | None, over: str | None) -> None:
        info = keep_last(read_sacct(golden("slurm_sacct.txt")))[name].info
        assert (info.exit_code, info.signal, info.over, info.node_failed) == (code, signal, over, False)
        assert info.host == "vm"

    def test_usage_comes_from_the_steps(self) -> None:
        usage = keep_last(read_sacct(golden("slurm_sacct.txt")))["jm-8"].info.usage
        assert usage.wallclock == 8.0
        assert usage.cpu == 0.073
        assert usage.maxvmem == 3308 * 1024
        assert usage.io == int(97.53 * 2**20) + int(48.78 * 2**20)

    def test_what_runs_or_waits_has_not_ended(self) -> None:
        text = (GOLDEN / "slurm_sacct.txt").read_text().replace("|COMPLETED|", "|RUNNING|")
        names = set(keep_last(read_sacct(Completed(0, text, ""))))
        assert names == {"jm-6", "jm-7", "jm-8", "jm-9", "jm-10"}

    def test_memory_enforced_by_sampling(self) -> None:
        """The job is only "failed by signal 9"; its step was cancelled by the system itself."""
        text = (GOLDEN / "slurm_sacct.txt").read_text().replace("|batch||CANCELLED|0:9|", "|batch||CANCELLED by 0|0:9|")
        assert keep_last(read_sacct(Completed(0, text, "")))["jm-7"].info.over == "memory"

    @pytest.mark.parametrize(("state", "is_node"), [("NODE_FAIL", True), ("BOOT_FAIL", True), ("PREEMPTED", False)])
    def test_failures_of_the_node(self, state: str, is_node: bool) -> None:
        text = (GOLDEN / "slurm_sacct.txt").read_text().replace("|FAILED|3:0|", f"|{state}|0:0|")
        info = keep_last(read_sacct(Completed(0, text, "")))["jm-6"].info
        assert (info.node_failed, info.words) == (is_node, state)

    @pytest.mark.parametrize(
        "answer",
        [
            Completed(0, "", ""),
            Completed(1, "", "sacct: error: Problem talking to the database: Connection refused"),
            Completed(0, "JobID|State\n1|FAILED\n", ""),
        ],
    )
    def test_what_cannot_be_read(self, answer: Completed) -> None:
        with pytest.raises(ExecutorUnavailable, match="sacct"):
            read_sacct(answer)

    def test_a_cut_line_is_an_error(self) -> None:
        text = (GOLDEN / "slurm_sacct.txt").read_text() + "1681799|jm-1|ali"
        with pytest.raises(ExecutorUnavailable, match="1681799"):
            read_sacct(Completed(0, text, ""))

    def test_accounting_that_is_not_there(self) -> None:
        assert is_disabled(Completed(1, "", "Slurm accounting storage is disabled\n"))
        assert not is_disabled(golden("slurm_sacct.txt"))


class TestScontrol:
    def test_real_endings(self) -> None:
        records = keep_last(read_scontrol(golden("slurm_scontrol.txt")))
        assert records["jm-8"].info.over == "memory"
        assert records["jm-6"].info.exit_code == 3
        assert records["jm-b2.1"].info.exit_code == 0
        assert records["jm-b2.1"].job != records["jm-6"].job
        assert {record.owner for record in records.values()} == {"jobmon-demo"}
        assert "jm-3" not in records  # held

    def test_nothing_known(self) -> None:
        assert read_scontrol(Completed(0, "No jobs in the system\n", "")) == []

    @pytest.mark.parametrize(
        "answer",
        [Completed(1, "", "slurm_load_jobs error: Unable to contact slurm controller"), Completed(0, "what\n", "")],
    )
    def test_what_cannot_be_read(self, answer: Completed) -> None:
        with pytest.raises(ExecutorUnavailable, match="scontrol"):
            read_scontrol(answer)


class TestUnits:
    @pytest.mark.parametrize(
        ("text", "seconds"), [("00:00.073", 0.073), ("01:02:03", 3723.0), ("1-00:00:01", 86401.0), ("UNLIMITED", None)]
    )
    def test_durations(self, text: str, seconds: float | None) -> None:
        assert read_duration(text) == seconds

    @pytest.mark.parametrize(
        ("text", "size"), [("2840K", 2840 * 1024), ("0", 0), ("1.50M", 1572864), ("", None), ("x", None)]
    )
    def test_sizes(self, text: str, size: int | None) -> None:
        assert read_size(text) == size


class TestConfiguration:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"slurm_conf": Path("slurm.conf")}, "slurm_conf"),
            ({"accounting": "guess"}, "accounting"),
            ({"allowed_options": ("export",)}, "belong to Jobmon"),
            ({"allowed_options": ("--qos",)}, "leave out the dashes"),
        ],
    )
    def test_what_cannot_be_is_said_at_once(self, given: dict[str, object], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            config(**given)
