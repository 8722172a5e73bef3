"""Executors from names and variables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from executors.batch import batch_of
from executors.registry import UnknownKind, create
from executors.sge import SgeExecutor
from executors.slurm import SlurmExecutor
from executors.spool import Spool

REPOSITORY = Path(__file__).parent.parent.parent
PLUGIN = REPOSITORY / "examples" / "executor_plugin"


def test_settings_become_a_configuration(tmp_path: Path) -> None:
    store = Spool(tmp_path)
    executor = create(
        "sge",
        store,
        {
            "JOBMON_SGE_ROOT": "/opt/sge",
            "JOBMON_SGE_QMASTER_PORT": "6444",
            "JOBMON_SGE_MEMORY_RESOURCES": "m_mem_free, h_vmem",
            "JOBMON_SGE_VERIFY": "no",
            "JOBMON_SGE_GRACE": "30.5",
            "JOBMON_SGE_DEFAULT_QUEUE": "",
            "JOBMON_SLURM_CONF": "/etc/slurm.conf",
            "PATH": "/bin",
        },
    )
    assert isinstance(executor, SgeExecutor)
    assert executor.store is store
    config = executor.config
    assert (config.sge_root, config.qmaster_port, config.grace) == (Path("/opt/sge"), 6444, 30.5)
    assert (config.memory_resources, config.verify) == (("m_mem_free", "h_vmem"), False)
    assert config.default_queue is None
    assert config.name_prefix == "jm1-"


def test_names_of_batch_jobs_begin_with_the_deployment(tmp_path: Path) -> None:
    executor = create("slurm", Spool(tmp_path), {"JOBMON_DEPLOYMENT": "v1.2"})
    assert executor.config.name_prefix == "jmv1.2-"
    assert (batch_of("jmv1.2-5"), batch_of("jmv1.2-b5.31")) == ("jmv1.2-5", "jmv1.2-b5")


def test_a_second_one_of_a_kind(tmp_path: Path) -> None:
    variables = {"JOBMON_BIG_SLURM_KIND": "slurm", "JOBMON_BIG_SLURM_CONF": "/etc/big/slurm.conf"}
    executor = create("big-slurm", Spool(tmp_path), variables)
    assert isinstance(executor, SlurmExecutor)
    assert (executor.name, executor.config.slurm_conf) == ("big-slurm", Path("/etc/big/slurm.conf"))


def test_a_name_that_begins_like_another(tmp_path: Path) -> None:
    variables = {
        "JOBMON_EXECUTORS": "sge, sge-big",
        "JOBMON_SGE_CELL": "small",
        "JOBMON_SGE_BIG_KIND": "sge",
        "JOBMON_SGE_BIG_CELL": "big",
    }
    cells = [create(name, Spool(tmp_path), variables).config.sge_cell for name in ("sge", "sge-big")]
    assert cells == ["small", "big"]


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("JOBMON_SGE_NAME_PREFIX", "mine", "follows from JOBMON_DEPLOYMENT"),
        ("JOBMON_SGE_PARALEL_ENVIRONMENT", "smp", "did you mean PARALLEL_ENVIRONMENT"),
        ("JOBMON_SGE_ARRAY_SIZE", "many", "ARRAY_SIZE: 'many'"),
        ("JOBMON_SGE_VERIFY", "perhaps", "write 1 or 0"),
        ("JOBMON_SGE_ROOT", "relative", "absolute path"),
        ("JOBMON_SGE_SPOOL", "/elsewhere", "no setting SPOOL"),
    ],
)
def test_a_wrong_setting_is_a_sentence(tmp_path: Path, variable: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        create("sge", Spool(tmp_path), {variable: text})
    assert "executor sge" in str(error.value)


def test_unknown_kind_names_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UnknownKind, match=r"there are .*sge, slurm"):
        create("pbs", Spool(tmp_path), {})


def test_the_example_plugin_is_found_by_its_entry_point_and_runs(tmp_path: Path) -> None:
    """Installed as pip would: its package and its metadata on the path of a process of its own."""
    metadata = tmp_path / "jobmon_print-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: jobmon-print\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[jobmon.executors]\nprint = jobmon_print:create\n")
    assert 'print = "jobmon_print:create"' in (PLUGIN / "pyproject.toml").read_text()
    script = (
        "from executors.registry import create\nfrom executors.spool import Spool\nfrom executors.base import *\n"
        "from pathlib import Path\n"
        f"executor = create('print', Spool(Path({str(tmp_path)!r})), {{'JOBMON_PRINT_WORD': 'job'}})\n"
        "print(executor.kind, executor.submit([JobSpec(1, 1, 'jm-1', 'jm-1', 0, 'true')]).accepted, executor.poll())\n"
        "print(executor.store.read([1])[1].exit.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={
            "PYTHONPATH": f"{tmp_path}:{PLUGIN}:{REPOSITORY}",
            "PATH": "/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "job jm-1: true\nprint {'jm-1': 'jm-1'} {}\n0\n", done.stderr
