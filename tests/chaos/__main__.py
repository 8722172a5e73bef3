"""The chaos harness as a program; see docs/reliability.md.

python -m tests.chaos                                 20 short rounds
python -m tests.chaos --jobs 300 --waves 50           200 long ones
python -m tests.chaos --seed 7 --first-wave 3 --waves 1     one wave again
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.chaos.report import Report
from tests.chaos.servers import chaos_server
from tests.chaos.session import Session, Shape
from tests.services import MariaDB


def parse_arguments() -> argparse.Namespace:
    default = Shape()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    parser.add_argument("--jobs", type=int, default=default.jobs, help="jobs of one round")
    parser.add_argument("--waves", type=int, default=default.waves)
    parser.add_argument("--together", type=int, default=default.together, help="rounds of one wave")
    parser.add_argument("--faults", type=int, default=default.faults, help="faults of one wave")
    parser.add_argument("--first-wave", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the report here too")
    parser.add_argument("--keep", type=Path, help="keep the server's home and the ledgers in this new folder")
    return parser.parse_args()


def run(options: argparse.Namespace, folder: Path) -> Report:
    shape = Shape(options.jobs, options.waves, options.together, options.faults, options.first_wave)
    with chaos_server(folder) as server:
        report = Report(options.seed, "MariaDB" if "JOBMON_DB" in server.environment else "SQLite")
        return Session(server, folder, report, shape, say=lambda text: print(text, flush=True)).run()


def main() -> int:
    options = parse_arguments()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="jobmon-chaos-") as temporary:
        mariadb = None
        if os.environ.get("JOBMON_TEST_DATABASE") == "mariadb":
            os.environ["JOBMON_TEST_ROOT"] = temporary
            mariadb = MariaDB(Path(temporary, "mariadb"))
            mariadb.start()
        try:
            report = run(options, options.keep or Path(temporary, "session"))
        finally:
            if mariadb is not None:
                mariadb.stop()
    print(report.as_text())
    if options.json:
        options.json.write_text(json.dumps(report.as_json(), indent=1))
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
