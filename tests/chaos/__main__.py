"""The chaos harness as a program; see docs/reliability.md.

python -m tests.chaos                                            20 short rounds
python -m tests.chaos --nightly FOLDER                           200 rounds of 300 jobs on each database and executor
python -m tests.chaos --executor sge --database mysql            20 short rounds there
python -m tests.chaos --seed 7 --first-wave 3 --waves 1          one wave again
python -m tests.chaos --jobs 300 --waves 10 --json r.json        goes on after the last finished wave in r.json
python -m tests.chaos --table r.json s.json                      reports side by side
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.report import Report, as_table
from tests.chaos.servers import EXECUTORS, chaos_server
from tests.chaos.session import Session, Shape

DATABASES = ("sqlite", "mysql")


def parse_arguments() -> argparse.Namespace:
    default = Shape()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    parser.add_argument("--executor", choices=EXECUTORS, default="local")
    parser.add_argument("--database", choices=DATABASES, default="")
    parser.add_argument("--jobs", type=int, default=default.jobs, help="jobs of one round")
    parser.add_argument("--waves", type=int, default=default.waves)
    parser.add_argument("--together", type=int, default=default.together, help="rounds of one wave")
    parser.add_argument("--faults", type=int, default=default.faults, help="faults of one wave")
    parser.add_argument("--first-wave", type=int, default=0)
    parser.add_argument("--json", type=Path, help="keep the report here after each wave, and go on from it")
    parser.add_argument("--keep", type=Path, help="keep the server's home and the ledgers in this new folder")
    parser.add_argument("--nightly", type=Path, metavar="FOLDER", help="all combinations; reports in this folder")
    parser.add_argument("--table", type=Path, nargs="+", metavar="REPORT", help="print these reports side by side")
    return parser.parse_args()


def read_report(path: Path | None) -> Report | None:
    return Report.from_json(json.loads(path.read_text())) if path is not None and path.exists() else None


def run(options: argparse.Namespace, folder: Path) -> Report:
    """A session, or what is left of one that was interrupted."""
    before = read_report(options.json)
    first = before.next_wave if before else options.first_wave
    waves = options.first_wave + options.waves - first
    if before is not None and waves <= 0:
        return before
    shape = Shape(options.jobs, waves, options.together, options.faults, first)

    def keep(report: Report) -> None:
        if options.json:
            options.json.write_text(json.dumps(report.as_json(), indent=1))

    with chaos_server(folder, options.executor, options.database) as target:
        report = before or Report(
            options.seed, target.title, missing=target.missing, keeps_ledger=target.work.keeps_ledger
        )
        print(f"{report.title}, seed {report.seed}, from wave {first}", flush=True)
        return Session(target, folder, report, shape, say=lambda text: print(text, flush=True), keep=keep).run()


def run_in_folder(options: argparse.Namespace) -> Report:
    with tempfile.TemporaryDirectory(prefix="jobmon-chaos-") as temporary:
        os.environ["JOBMON_TEST_ROOT"] = temporary
        report = run(options, options.keep or Path(temporary, "session"))
    print(report.as_text(), flush=True)
    return report


def run_nightly(options: argparse.Namespace) -> Iterator[Report]:
    """200 rounds of 300 jobs on each database and executor, in waves of 20 with 40 faults each. Started again, it goes
    on; each combination keeps the seed of its first start."""
    options.nightly.mkdir(parents=True, exist_ok=True)
    chosen = {**vars(options), "jobs": 300, "waves": 10, "together": 20, "faults": 40, "first_wave": 0, "keep": None}
    for database in DATABASES:
        for executor in EXECUTORS:
            own = {"json": options.nightly / f"{executor}-{database}.json", "executor": executor, "database": database}
            try:
                yield run_in_folder(argparse.Namespace(**{**chosen, **own}))
            except pytest.skip.Exception as missing:
                print(f"NOT DONE HERE: {executor} on {database}: {missing}", flush=True)


def main() -> int:
    options = parse_arguments()
    if options.table:
        reports = [report for path in options.table if (report := read_report(path)) is not None]
        print(as_table(reports))
        return 0
    reports = list(run_nightly(options)) if options.nightly else [run_in_folder(options)]
    if options.nightly and reports:
        print(as_table(reports))
    if not reports:
        print("NOT DONE HERE: nothing could be run", flush=True)
    return 0 if reports and all(report.is_clean for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
