"""1,000 one-second jobs through the server on Grid Engine, beside one array of the same that was written by hand.

python bench/cluster.py [JOBS] [ROUNDS]

As root on Debian: brings up a Grid Engine of its own (as the tests do) and ends it. Both take turns, so that what else
the machine does touches both. Told are the medians of the wall times, from the call to the end of the last job, and how
many commands of Grid Engine were started; everything below one listing per poll interval is a submission or a deletion.
"""

from __future__ import annotations

import collections
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("JOBMON_TEST_ROOT", "/tmp")

from jobmon import BashTask, Workflow
from tests.e2e.clients import connect
from tests.e2e.clusters import make_server, open_folder, sge_settings
from tests.executors.cluster import SgeCluster, log_commands, running
from tests.services import EmbeddedServer

COMMANDS = ("qsub", "qstat", "qdel", "qacct")
COMMAND = "sleep 1"
LONGEST = 1800.0


@contextmanager
def serving(cluster: SgeCluster, programs: Path) -> Iterator[EmbeddedServer]:
    """With the settings of a production server: a listing every five seconds."""
    with open_folder() as folder:
        given = sge_settings(cluster, BIN_DIR=str(programs), POLL_INTERVAL="5", GRACE="120")
        server = make_server(folder, {}, "sge", **{**given, "JOBMON_SWEEP_SECONDS": "30"})
        try:
            yield server.start()
        finally:
            server.close()


def wait_until_gone(cluster: SgeCluster, name: str) -> None:
    """Cheaply, and as quickly as a person could know: qstat's answer once a second."""
    deadline = time.monotonic() + LONGEST
    while f"<JB_name>{name}" in cluster.command("qstat", "-xml", "-u", "*"):
        if time.monotonic() > deadline:
            raise SystemExit(f"{name} did not end")
        time.sleep(1.0)


def run_by_hand(cluster: SgeCluster, jobs: int, turn: int) -> float:
    name = f"byhand{turn}"
    script = cluster.folder / "byhand.sh"
    script.write_text(f"#!/bin/sh\n{COMMAND}\n")
    script.chmod(0o755)
    began = time.monotonic()
    array = ["-t", f"1-{jobs}", "-N", name, "-o", "/dev/null", "-e", "/dev/null", "-l", "mem_free=10M"]
    cluster.command(f"{cluster.binaries}/qsub", "-wd", "/", "-P", "demo", *array, str(script), user=True)
    wait_until_gone(cluster, name)
    return time.monotonic() - began


def run_through_server(server: EmbeddedServer, jobs: int, turn: int) -> float:
    workflow = Workflow(workflow_args=f"bench {turn}", working_dir="/tmp", executor="sge", client=connect(server))
    tasks = (BashTask(f"{COMMAND} # {number} {turn}", name=f"j{number}", mem_free=0.01) for number in range(jobs))
    workflow.add_tasks(tasks)
    began = time.monotonic()
    if not workflow.run():
        raise SystemExit("the workflow failed")
    return time.monotonic() - began


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    hand: list[float] = []
    ours: list[float] = []
    with running(SgeCluster) as cluster, open_folder() as folder:
        programs, log = log_commands(cluster.binaries, COMMANDS, folder / "programs")
        with serving(cluster, programs) as server:
            for turn in range(rounds):
                hand.append(run_by_hand(cluster, jobs, turn))
                ours.append(run_through_server(server, jobs, turn))
                print(f"round {turn + 1}: by hand {hand[-1]:.1f} s, through the server {ours[-1]:.1f} s", flush=True)
        counts = collections.Counter(log.read_text().split())
    overhead = statistics.median(our / own for our, own in zip(ours, hand, strict=True))
    started = ", ".join(f"{counts[name]} {name}" for name in COMMANDS)
    print(f"{jobs} jobs of one second, 32 slots; medians of {rounds}")
    print(f"one array by hand   {statistics.median(hand):7.1f} s")
    print(f"through the server  {statistics.median(ours):7.1f} s ({overhead:.2f} times)")
    print(f"commands in all     {started} for {jobs * rounds} jobs")


if __name__ == "__main__":
    main()
