"""That `make bench` measures what it says, in short forms: each part answers with its rows, beside their baselines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.services import REPOSITORY


def run_bench(*words: str, timeout: float = 240) -> dict[str, dict[str, Any]]:
    """The rows by name. What the suite has set for its own database is none of its business."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("JOBMON_")}
    command = [sys.executable, str(REPOSITORY / "bench" / "run.py"), "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=REPOSITORY, env=given)
    assert done.returncode == 0, done.stderr[-3000:]
    return {row["name"]: row for row in json.loads(done.stdout)}


def test_engine_and_client_in_a_short_form() -> None:
    rows = run_bench("--only", "client", "shapes", "--tasks", "300", "--shapes", "layers:60")
    assert rows["engine: layers of 60, register"]["ratio"] == 1.0
    assert rows["engine: layers of 60, of it finding what may start"]["ours"] > 0
    assert rows["engine: layers of 60, peak RSS"]["ratio"] >= 1.0
    described = rows["script: describing 300 tasks, and to write it as JSON"]
    assert described["ours"] > 0
    assert described["baseline_name"] == "bare dictionaries"
    assert described["told"] == "0 MB"


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "mariadb"])
def test_every_part_in_its_small_form(database: str) -> None:
    rows = run_bench("--small", "--database", database, timeout=1700)
    for name in (
        "local: 500 no-op jobs, done and recorded",
        "dummy: 500 jobs, submitted, done and recorded",
        "local: chain of 20, median hop",
        "dummy: chain of 20, longest hop",
        f"{database}: script to running, 3,000 jobs, 5,892 edges",
        f"server, {database}: 3,000 jobs, 5,892 edges: script to running",
        f"server, {database}: 3,000 jobs, jobs that end",
        f"server, {database}: 3,000 jobs, database",
        f"server, {database}: 3,000 jobs, control script, peak PSS",
        f"pages, {database}, 2,000 jobs: workflow-jobs",
        "longest wait of a run beside 2 others, worst",
        "idle server, over 10 s, all processes (PSS)",
    ):
        assert rows[name]["ours"] > 0, name
        assert rows[name]["ratio"], name
