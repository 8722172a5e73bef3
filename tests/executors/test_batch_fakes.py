"""Commands that lie, hang or talk nonsense, and what reaches them: stubs stand in for the batch systems."""

from __future__ import annotations

import dataclasses
import getpass
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from executors.base import ExecutorUnavailable, JobSpec, Phase, Resources, TokenKind
from executors.batch import BatchExecutor
from executors.script_batch import install_wrapper
from executors.sge import SgeExecutor
from executors.sge_config import SgeConfig
from executors.slurm import SlurmExecutor
from executors.slurm_config import SlurmConfig
from executors.slurm_parse import LISTING_FORMAT
from tests.executors.contract import HOSTILE, ref
from tests.waiting import wait_until

STUB = Path(__file__).parent.parent / "fakes" / "bin" / "stub"
COMMANDS = ("qsub", "qstat", "qdel", "qacct", "sbatch", "squeue", "scancel", "sacct", "scontrol", "sinfo")
EMPTY_QSTAT = "<?xml version='1.0'?><job_info><queue_info></queue_info><job_info></job_info></job_info>\n"
SQUEUE_HEADER = "ARRAY_JOB_ID|ARRAY_TASK_ID|NAME|USER|STATE|START_TIME|SUBMIT_TIME|NODELIST|REASON\n"
CONTROL = {text for text in HOSTILE if not text.isprintable() or text.startswith("-")}


class Site:
    """An executor whose commands are stubs."""

    def __init__(self, folder: Path, kind: str, **given: Any) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in COMMANDS:
            shutil.copy(STUB, self.bin / name)
        root = folder / "root"
        (root / "default" / "common").mkdir(parents=True)
        common: dict[str, Any] = {"spool": folder / "spool", "bin_dir": self.bin, "query_timeout": 60.0, **given}
        self.submit_command, self.list_command, self.delete_command = {
            "sge": ("qsub", "qstat", "qdel"),
            "slurm": ("sbatch", "squeue", "scancel"),
        }[kind]
        self.executor: BatchExecutor
        if kind == "sge":
            self.executor = SgeExecutor(SgeConfig(sge_root=root, parallel_environment="smp", **common))
        else:
            self.executor = SlurmExecutor(SlurmConfig(**common))
        self.accounting = root / "default" / "common" / "accounting"
        self.says("list", {"sge": EMPTY_QSTAT, "slurm": SQUEUE_HEADER}[kind])

    def says(self, what: str, out: str = "", err: str = "", code: int = 0) -> None:
        name = {"submit": self.submit_command, "list": self.list_command, "delete": self.delete_command}.get(what, what)
        for ending, text in (("out", out), ("err", err), ("code", str(code))):
            (self.bin / f"{name}.{ending}").write_text(text)

    def arguments(self, what: str) -> list[bytes]:
        name = {"submit": self.submit_command, "delete": self.delete_command}[what]
        path = self.bin / f"{name}.argv"
        return path.read_bytes().split(b"\0")[:-1] if path.exists() else []


@pytest.fixture(params=["sge", "slurm"])
def make_site(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Site]:
    return lambda **given: Site(tmp_path, request.param, **given)


def spec(number: int = 1, **given: Any) -> JobSpec:
    wanted = {field.name for field in dataclasses.fields(Resources)}
    resources = Resources(**{key: value for key, value in given.items() if key in wanted})
    others = {key: value for key, value in given.items() if key not in wanted}
    return JobSpec(number, 7, f"jm-{number}", f"jm-{number}", 0, "true", resources, **others)


def list_one(site: Site, name: str, job: str, owner: str | None = None) -> None:
    owner = owner or getpass.getuser()
    if site.list_command == "squeue":
        line = f"{job}|N/A|{name}|{owner}|RUNNING|2026-11-22T12:00:00|2026-11-22T12:00:00|vm|None\n"
        site.says("list", SQUEUE_HEADER + line)
        return
    job_list = (
        f"<job_list state='running'><JB_job_number>{job}</JB_job_number><JB_name>{name}</JB_name>"
        f"<JB_owner>{owner}</JB_owner><state>r</state><JAT_start_time>2026-11-22T12:00:00</JAT_start_time></job_list>"
    )
    site.says("list", EMPTY_QSTAT.replace("</queue_info>", job_list + "</queue_info>"))


class TestLies:
    def test_accepted_but_reported_as_a_failure(self, make_site: Callable[..., Site]) -> None:
        """The job is there; only its name tells."""
        site = make_site()
        site.says("submit", "", "error: connection closed by peer", 1)
        with pytest.raises(ExecutorUnavailable, match="connection closed") as error:
            site.executor.submit([spec()])
        assert error.value.accepted == {}
        list_one(site, "jm-1", "77")
        assert site.executor.find([ref(spec())]) == {"jm-1": "77"}

    def test_what_was_accepted_before_the_outage_is_kept(self, make_site: Callable[..., Site]) -> None:
        site = make_site()
        program = site.bin / site.submit_command
        program.write_text(f"#!/bin/sh\n[ ! -e {site.bin}/once ] || exit 1\n: >{site.bin}/once\necho 5\n")
        with pytest.raises(ExecutorUnavailable) as error:
            site.executor.submit([spec(1), spec(2), spec(3)])
        assert error.value.accepted == {"jm-1": "5"}

    def test_hangs(self, make_site: Callable[..., Site]) -> None:
        site = make_site(query_timeout=0.3, submit_timeout=0.3)
        for name in COMMANDS:
            (site.bin / f"{name}.hang").touch()
        with pytest.raises(ExecutorUnavailable, match="no answer within"):
            site.executor.poll()
        with pytest.raises(ExecutorUnavailable, match="no answer within"):
            site.executor.submit([spec()])
        with pytest.raises(ExecutorUnavailable, match="no answer within"):
            site.executor.cancel([ref(spec())])

    @pytest.mark.parametrize(
        "text", ["", "nonsense\n", "3\n<job_info>", "\ufffd\x00", "Your job 3 has been submitted\n"]
    )
    def test_nonsense(self, make_site: Callable[..., Site], text: str) -> None:
        site = make_site()
        site.says("submit", text)
        site.says("list", text)
        with pytest.raises(ExecutorUnavailable):
            site.executor.submit([spec()])
        with pytest.raises(ExecutorUnavailable):
            site.executor.poll()
        with pytest.raises(ExecutorUnavailable):
            site.executor.cancel([ref(spec())])

    def test_missing_program(self, make_site: Callable[..., Site]) -> None:
        site = make_site()
        (site.bin / site.list_command).unlink()
        with pytest.raises(ExecutorUnavailable, match="cannot be run"):
            site.executor.poll()

    def test_full_disk_shows_before_anything_is_submitted(self, make_site: Callable[..., Site], tmp_path: Path) -> None:
        site = make_site()
        (tmp_path / "spool").mkdir()
        (tmp_path / "spool" / "batches").touch()  # no folder can be made there
        with pytest.raises(ExecutorUnavailable, match="cannot prepare"):
            site.executor.submit([spec()])
        assert site.arguments("submit") == []


class TestCancel:
    def test_only_listed_jobs_of_ours_are_ended(self, make_site: Callable[..., Site]) -> None:
        site = make_site()
        list_one(site, "jm-1", "77", owner="somebody")
        site.executor.cancel([ref(spec(), "77")])
        assert site.arguments("delete") == []
        list_one(site, "jm-2", "77")
        site.executor.cancel([ref(spec(), "77")])  # the number belongs to another job now
        assert site.arguments("delete") == []
        list_one(site, "jm-1", "78")
        site.executor.cancel([ref(spec(), "77")])
        assert site.arguments("delete") == [b"78"]

    def test_many_go_in_one_command(self, make_site: Callable[..., Site]) -> None:
        site = make_site()
        rows = [f"{n}|N/A|jm-{n}|{getpass.getuser()}|PENDING|N/A|2026-11-22T12:00:00||None\n" for n in range(1, 301)]
        if site.list_command == "squeue":
            site.says("list", SQUEUE_HEADER + "".join(rows))
        else:
            jobs = "".join(
                f"<job_list><JB_job_number>{n}</JB_job_number><JB_name>jm-{n}</JB_name><state>qw</state>"
                f"<JB_owner>{getpass.getuser()}</JB_owner></job_list>"
                for n in range(1, 301)
            )
            site.says("list", EMPTY_QSTAT.replace("</queue_info>", jobs + "</queue_info>"))
        site.executor.cancel([ref(spec(number)) for number in range(1, 301)])
        assert site.arguments("delete") == [str(number).encode() for number in range(1, 301)]


class TestHostileStrings:
    """Refused, or byte for byte in one item of the arguments."""

    @pytest.mark.parametrize("text", [*HOSTILE, "a\nb", "a\0b", "*", "x" * 5000, ""])
    @pytest.mark.parametrize("field", ["project", "queue", "extra"])
    def test_resources(self, make_site: Callable[..., Site], field: str, text: str) -> None:
        site = make_site(allowed_options=("soption",))
        site.says("submit", "5\n")
        value: Any = (("soption", text),) if field == "extra" else text
        result = site.executor.submit([spec(**{field: value})])
        arguments = site.arguments("submit")
        if result.rejected:
            assert arguments == []
            return
        assert text not in CONTROL
        if not text:
            return
        carried = [one for one in arguments if one in (text.encode(), b"--soption=" + text.encode())]
        assert field == "extra", f"{text!r} is no name"
        assert len(carried) == 1

    @pytest.mark.parametrize("text", [*HOSTILE, "a\nb", "a\0b"])
    @pytest.mark.parametrize("field", ["working_dir", "stdout_path", "stderr_path", "command", "variable", "name"])
    def test_texts_never_reach_a_command(self, make_site: Callable[..., Site], field: str, text: str) -> None:
        site = make_site()
        site.says("submit", "5\n")
        marked = f"canary{text}"
        base = spec()
        if field == "variable":
            hostile = dataclasses.replace(base, environment=(("VALUE", marked),))
        elif field == "name":
            hostile = dataclasses.replace(base, name=marked, batch=marked)
        else:
            hostile = dataclasses.replace(base, **{field: f"/{marked}" if field != "command" else marked})
        result = site.executor.submit([hostile])
        arguments = site.arguments("submit")
        assert bool(arguments) == (not result.rejected)
        assert field == "name" or not any(b"canary" in one for one in arguments)

    @pytest.mark.parametrize("text", HOSTILE)
    def test_unlisted_options_are_refused(self, make_site: Callable[..., Site], text: str) -> None:
        site = make_site(allowed_options=("soption",))
        result = site.executor.submit([spec(extra=((text, "x"),))])
        assert "not allowed here" in result.rejected["jm-1"]
        assert site.arguments("submit") == []

    @pytest.mark.parametrize(
        "given",
        [{"slots": 0}, {"slots": -1}, {"mem_free": -1.0}, {"mem_free": float("nan")}, {"mem_free": float("inf")},
         {"max_runtime": 0}, {"max_runtime": 10**12}, {"slots": 10**9}],
    )  # fmt: skip
    def test_numbers(self, make_site: Callable[..., Site], given: dict[str, Any]) -> None:
        site = make_site()
        assert site.executor.submit([spec(**given)]).rejected
        assert site.arguments("submit") == []


class TestWrapper:
    """The wrapper itself, run by each shell that a node may have."""

    @pytest.fixture(params=[shell for shell in ("/bin/dash", "/bin/bash", "/bin/busybox") if os.path.exists(shell)])
    def run_wrapper(self, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
        argv = [request.param, "sh"] if request.param.endswith("busybox") else [request.param]

        def start(target: Path, **variables: str) -> subprocess.Popen[bytes]:
            wrapper = install_wrapper(tmp_path / "spool")
            environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **variables}
            return subprocess.Popen([*argv, str(wrapper), str(target)], env=environment, start_new_session=True)

        return start

    def prepare(self, tmp_path: Path, *specs: JobSpec) -> Site:
        site = Site(tmp_path, "sge")
        site.says("submit", "5\n")
        assert site.executor.submit(specs).accepted
        return site

    def test_two_wrappers_start_once(self, run_wrapper: Callable[..., Any], tmp_path: Path) -> None:
        one = dataclasses.replace(spec(), command=f"echo ran >>{tmp_path}/ledger; sleep 0.2")
        site = self.prepare(tmp_path, one)
        processes = [run_wrapper(site.executor.store.folder(1), JOB_ID="5") for _ in range(6)]
        assert [process.wait(30) for process in processes] == [0] * 6
        assert (tmp_path / "ledger").read_text() == "ran\n"
        found = site.executor.store.read([1])[1]
        assert found.token is not None
        assert found.token.executor_id == "5"

    def test_void_wins_for_ever(self, run_wrapper: Callable[..., Any], tmp_path: Path) -> None:
        site = self.prepare(tmp_path, dataclasses.replace(spec(), command=f"touch {tmp_path}/ran"))
        site.executor.store.void([1], "test")
        assert run_wrapper(site.executor.store.folder(1), JOB_ID="5").wait(30) == 0
        assert not (tmp_path / "ran").exists()
        assert site.executor.store.read([1])[1].token.kind is TokenKind.VOID

    def test_no_folder_no_setup_no_start(self, run_wrapper: Callable[..., Any], tmp_path: Path) -> None:
        site = self.prepare(tmp_path, dataclasses.replace(spec(), command=f"touch {tmp_path}/ran"))
        assert run_wrapper(tmp_path / "nowhere", JOB_ID="5").wait(30) == 0
        (site.executor.store.folder(1) / "setup").unlink()
        assert run_wrapper(site.executor.store.folder(1), JOB_ID="5").wait(30) == 0
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize(
        ("variables", "expected"),
        [
            ({"JOB_ID": "5", "SGE_TASK_ID": "2"}, "5.2"),
            ({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "2"}, "5_2"),
        ],
    )
    def test_tasks_of_an_array(
        self, run_wrapper: Callable[..., Any], tmp_path: Path, variables: dict[str, str], expected: str
    ) -> None:
        base = [dataclasses.replace(spec(n), name=f"jm-b.{n}", batch="jm-b", index=n) for n in (1, 2, 3)]
        site = self.prepare(tmp_path, *base)
        assert run_wrapper(tmp_path / "spool" / "batches" / "jm-b", **variables).wait(30) == 0
        found = site.executor.store.read([1, 2, 3])
        assert list(found) == [2]
        assert found[2].token.executor_id == expected

    @pytest.mark.parametrize("task", ["", "undefined", "9", "1;id", "1p"])
    def test_no_such_task(self, run_wrapper: Callable[..., Any], tmp_path: Path, task: str) -> None:
        site = self.prepare(tmp_path, dataclasses.replace(spec(), name="jm-b.1", batch="jm-b", index=1))
        assert run_wrapper(tmp_path / "spool" / "batches" / "jm-b", JOB_ID="5", SGE_TASK_ID=task).wait(30) == 0
        assert site.executor.store.read([1]) == {}

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
    def test_signals_reach_the_command_and_the_exit_is_written(
        self, run_wrapper: Callable[..., Any], tmp_path: Path, number: int
    ) -> None:
        name = signal.Signals(number).name[3:]
        command = f"trap 'exit 44' {name}; echo up; while :; do sleep 0.05; done"
        site = self.prepare(tmp_path, dataclasses.replace(spec(), command=command))
        process = run_wrapper(site.executor.store.folder(1), JOB_ID="5")
        wait_until(lambda: site.executor.store.tail(1, "stdout", 9) == b"up\n")
        process.send_signal(number)
        assert process.wait(30) == 1
        assert site.executor.store.read([1])[1].exit.code == 44

    def test_values_of_variables_arrive_whole(self, run_wrapper: Callable[..., Any], tmp_path: Path) -> None:
        values = ["two\nlines\n", "\n", "+x\n=Y=z\nh", " \t ", "$(id)`id`", "\\n\\", "", "a\rb", *HOSTILE]
        names = [f"V{number}" for number in range(len(values))]
        command = "; ".join(f"printf '%s\\0' \"${name}\"" for name in names)
        given = dataclasses.replace(spec(), command=command, environment=tuple(zip(names, values, strict=True)))
        site = self.prepare(tmp_path, given)
        assert run_wrapper(site.executor.store.folder(1), JOB_ID="5").wait(30) == 0
        out = (site.executor.store.folder(1) / "out").read_bytes()
        assert out.split(b"\0")[:-1] == [value.encode() for value in values]

    def test_output_that_cannot_be_written_is_told(self, run_wrapper: Callable[..., Any], tmp_path: Path) -> None:
        site = self.prepare(tmp_path, dataclasses.replace(spec(), stdout_path="/proc/no/file"))
        assert run_wrapper(site.executor.store.folder(1), JOB_ID="5").wait(30) == 1
        assert site.executor.store.read([1])[1].exit.code == 126
        assert b"/proc/no/file" in site.executor.store.tail(1, "stderr", 5000)

    def test_the_command_may_be_interrupted(self, run_wrapper: Callable[..., Any], tmp_path: Path) -> None:
        """A background command of a plain shell ignores SIGINT for ever; ours must not."""
        site = self.prepare(tmp_path, dataclasses.replace(spec(), command="kill -INT $$; exit 3"))
        run_wrapper(site.executor.store.folder(1), JOB_ID="5").wait(30)
        assert site.executor.store.read([1])[1].exit.code == 128 + signal.SIGINT


class TestAccounting:
    def test_sge_falls_back_to_qacct(self, tmp_path: Path) -> None:
        site = Site(tmp_path, "sge", user="jobmon-demo", name_prefix="jm")
        site.accounting.mkdir()  # cannot be read as a file
        site.says("qacct", (Path(__file__).parent / "golden" / "sge_qacct.txt").read_text())
        wanted = [dataclasses.replace(ref(spec()), name=name) for name in ("jm-e2", "jm-b5.3", "jm-none")]
        found = site.executor.exit_info(wanted)
        assert {name: info.over for name, info in found.items()} == {"jm-e2": "runtime", "jm-b5.3": None}

    def test_slurm_without_accounting_asks_scontrol(self, tmp_path: Path) -> None:
        site = Site(tmp_path, "slurm", user="jobmon-demo")
        site.says("sacct", "", "Slurm accounting storage is disabled\n", 1)
        site.says("scontrol", (Path(__file__).parent / "golden" / "slurm_scontrol.txt").read_text())
        found = site.executor.exit_info([dataclasses.replace(ref(spec()), name="jm-6")])
        assert found["jm-6"].exit_code == 3
        assert LISTING_FORMAT.count("|") == SQUEUE_HEADER.count("|")

    def test_slurm_accounting_that_does_not_answer_is_unavailable(self, tmp_path: Path) -> None:
        site = Site(tmp_path, "slurm")
        site.says("sacct", "", "sacct: error: Problem talking to the database\n", 1)
        with pytest.raises(ExecutorUnavailable, match="database"):
            site.executor.exit_info([ref(spec())])

    def test_phase_of_a_listed_job(self, make_site: Callable[..., Site]) -> None:
        site = make_site()
        list_one(site, "jm-1", "77")
        assert site.executor.poll()["jm-1"].phase is Phase.RUNNING


def test_excluded_hosts_go_by_slurms_own_names_which_are_asked_for_once(tmp_path: Path) -> None:
    site = Site(tmp_path, "slurm")
    site.says("sinfo", "n1|c041.example.org\nc042|c042\n")
    for number in (1, 2):
        site.says("submit", f"{number}\n")
        site.executor.submit([spec(number, excluded_hosts=("c041.example.org", "c042", "gone"))])
        assert b"--exclude=n1,c042" in site.arguments("submit")
        site.says("sinfo", code=1)


def test_who_cannot_be_asked_for_the_nodes_is_not_given_a_job(tmp_path: Path) -> None:
    site = Site(tmp_path, "slurm")
    site.says("sinfo", err="slurm_load_partitions: Unable to contact slurm controller", code=1)
    with pytest.raises(ExecutorUnavailable, match="sinfo answered with code 1"):
        site.executor.submit([spec(excluded_hosts=("c041",))])
    assert site.arguments("submit") == []
