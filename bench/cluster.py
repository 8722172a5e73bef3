"""1,000 one-second jobs through the server on a batch system, beside one array of the same that was written by hand.

python bench/cluster.py [JOBS] [ROUNDS] [sge|slurm]

As root on Debian: brings up a Grid Engine (or a Slurm) of its own, as the tests do, and ends it. Both take turns, so that
what else the machine does touches both. Told are the medians of the wall times, from the call to the end of the last
job, and how many of its commands were started; what is not one listing per poll interval is a submission or a question
to accounting. Also the CPU of one job: of the server's processes, and on Grid Engine, from its accounting, of the job's
own shells (a wrapper and bash, or the one of the script by hand).
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
sys.path.insert(0, str(Path(__file__).resolve().parent))
os.environ.setdefault("JOBMON_TEST_ROOT", "/tmp")

from processes import read_cpu
from services import find_processes

from jobmon import BashTask, Workflow
from tests.e2e.clients import connect
from tests.e2e.clusters import make_server, open_folder, sge_settings, slurm_settings
from tests.executors.cluster import SgeCluster, SlurmCluster, log_commands, running
from tests.services import EmbeddedServer

AnyCluster = SgeCluster | SlurmCluster
KINDS: dict[str, type[SgeCluster] | type[SlurmCluster]] = {"sge": SgeCluster, "slurm": SlurmCluster}
COMMAND = "sleep 1"
LONGEST = 1800.0
JOB_NAME, USER_TIME, SYSTEM_TIME = 4, 14, 15  # fields of a line of accounting(5)


@contextmanager
def serving(cluster: AnyCluster, programs: Path) -> Iterator[EmbeddedServer]:
    """With the settings of a production server: a listing every five seconds."""
    with open_folder() as folder:
        settings = {"BIN_DIR": str(programs), "POLL_INTERVAL": "5", "GRACE": "120"}
        given = (
            sge_settings(cluster, **settings)
            if isinstance(cluster, SgeCluster)
            else slurm_settings(cluster, **settings)
        )
        server = make_server(folder, {}, cluster.prefix, **{**given, "JOBMON_SWEEP_SECONDS": "30"})
        try:
            yield server.start()
        finally:
            server.close()


def wait_until_gone(cluster: AnyCluster, name: str) -> None:
    """Cheaply, and as quickly as a person could know: a listing once a second."""
    deadline = time.monotonic() + LONGEST
    while name in cluster.list_jobs():
        if time.monotonic() > deadline:
            raise SystemExit(f"{name} did not end")
        time.sleep(1.0)


def array_by_hand(cluster: AnyCluster, name: str, jobs: int) -> list[str]:
    """What a person would type."""
    if isinstance(cluster, SgeCluster):
        where = ["-wd", "/", "-P", "demo", "-o", "/dev/null", "-e", "/dev/null", "-l", "mem_free=10M"]
        return [f"{cluster.binaries}/qsub", "-N", name, "-t", f"1-{jobs}", *where]
    where = ["--chdir=/", "--account=demo", "--output=/dev/null", "--mem=10M"]
    return [f"{cluster.binaries}/sbatch", f"--job-name={name}", f"--array=1-{jobs}", *where]


def run_by_hand(cluster: AnyCluster, jobs: int, turn: int) -> float:
    name = f"byhand{turn}"
    script = cluster.folder / "byhand.sh"
    script.write_text(f"#!/bin/sh\n{COMMAND}\n")
    script.chmod(0o755)
    began = time.monotonic()
    cluster.command(*array_by_hand(cluster, name, jobs), str(script), user=True)
    wait_until_gone(cluster, name)
    return time.monotonic() - began


def run_through_server(server: EmbeddedServer, kind: str, jobs: int, turn: int) -> float:
    workflow = Workflow(workflow_args=f"bench {turn}", working_dir="/tmp", executor=kind, client=connect(server))
    tasks = (BashTask(f"{COMMAND} # {number} {turn}", name=f"j{number}", mem_free=0.01) for number in range(jobs))
    workflow.add_tasks(tasks)
    began = time.monotonic()
    if not workflow.run():
        raise SystemExit("the workflow failed")
    return time.monotonic() - began


def read_server_cpu(server: EmbeddedServer) -> float:
    return sum(map(read_cpu, find_processes(server).values()))


def read_shells_cpu(cluster: AnyCluster) -> dict[str, list[float]]:
    """CPU seconds of each job as Grid Engine has accounted for them; nothing of Slurm, which samples every 30 s."""
    if not isinstance(cluster, SgeCluster):
        return {}
    found: dict[str, list[float]] = {}
    for line in (cluster.root / "default" / "common" / "accounting").read_text().splitlines():
        fields = line.split(":")
        if not line.startswith("#") and len(fields) > SYSTEM_TIME and fields[JOB_NAME] != "probe":
            name = "by hand" if fields[JOB_NAME].startswith("byhand") else "through the server"
            found.setdefault(name, []).append(float(fields[USER_TIME]) + float(fields[SYSTEM_TIME]))
    return found


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    kind = KINDS[sys.argv[3] if len(sys.argv) > 3 else "sge"]
    hand: list[float] = []
    ours: list[float] = []
    cpu = 0.0
    with running(kind) as cluster, open_folder() as folder:
        programs, log = log_commands(cluster.binaries, kind.programs, folder / "programs")
        with serving(cluster, programs) as server:
            for turn in range(rounds):
                hand.append(run_by_hand(cluster, jobs, turn))
                before = read_server_cpu(server)
                ours.append(run_through_server(server, kind.prefix, jobs, turn))
                cpu += read_server_cpu(server) - before
                print(f"round {turn + 1}: by hand {hand[-1]:.1f} s, through the server {ours[-1]:.1f} s", flush=True)
        counts = collections.Counter(log.read_text().split())
        shells = read_shells_cpu(cluster)
    overhead = statistics.median(our / own for our, own in zip(ours, hand, strict=True))
    started = ", ".join(f"{counts[name]} {name}" for name in kind.programs)
    print(f"{jobs} jobs of one second, 32 slots; medians of {rounds}")
    print(f"one array by hand   {statistics.median(hand):7.1f} s")
    print(f"through the server  {statistics.median(ours):7.1f} s ({overhead:.2f} times)")
    print(f"commands in all     {started} for {jobs * rounds} jobs")
    print(f"CPU of one job      the server's processes {1000 * cpu / jobs / rounds:.2f} ms")
    for name, times in sorted(shells.items()):
        print(f"                    its shells, {name}: {1000 * statistics.mean(times):.1f} ms, {len(times)} jobs")


if __name__ == "__main__":
    main()
