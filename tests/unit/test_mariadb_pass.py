"""`make test` runs on MariaDB again whatever touches a database: no folder is forgotten when tests are added."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SCRIPT = (REPOSITORY / "deploy" / "setup" / "test.sh").read_text()
TOUCHES_A_DATABASE = re.compile(
    r"django_db|\bdb: None|\b(make_)?embedded_server\b|server_database\(|def \w+\([^)]*\bworld\b"
)


def second_pass() -> str:
    found = re.search(r"JOBMON_TEST_DATABASE=mariadb run_suite MariaDB(.*?)\"\$@\"", SCRIPT, re.S)
    assert found is not None
    return found[1]


def test_every_folder_with_tests_of_the_database_is_in_the_second_pass() -> None:
    touching = {
        file.parent.name
        for file in (REPOSITORY / "tests").glob("*/test_*.py")
        if file.name != Path(__file__).name and TOUCHES_A_DATABASE.search(file.read_text())
    }
    assert {"db", "api", "ops"} <= touching
    assert touching - set(re.findall(r"\btests/(\w+)(?=\s)", second_pass())) == set()


def test_what_is_left_out_is_there_and_says_why() -> None:
    left_out = re.findall(r"--ignore (\S+)", second_pass())
    assert left_out
    for name in left_out:
        assert (REPOSITORY / name).is_file(), name
        assert Path(name).stem in SCRIPT.split("run_suite MariaDB")[0], f"{name}: the script does not say why"
