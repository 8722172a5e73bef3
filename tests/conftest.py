"""What all tests share: the suite's own MariaDB, the embedded server, and a loud account of what was not tested."""

from __future__ import annotations

import collections
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.executors.cluster import sge_cluster, slurm_cluster  # noqa: F401 - one of each per process, for all folders
from tests.services import EmbeddedServer, MariaDB, Unavailable, server_database

# An example takes as long as the machine is busy: time decides nothing.
hypothesis.settings.register_profile("jobmon", deadline=None)
hypothesis.settings.load_profile("jobmon")

ROOT = Path(os.environ["JOBMON_TEST_ROOT"])
MARIADB = pytest.StashKey[MariaDB]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files go to the suite's processes as wholes, in this order. What takes long and mostly waits comes first, so that
    nothing is left to wait for at the end."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


def _is_controller(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """The server must be there before xdist starts its processes; they inherit its address."""
    if not _is_controller(config) or config.option.collectonly:
        return
    if os.environ.get("JOBMON_TEST_DATABASE") == "mariadb":
        server = MariaDB(ROOT / "mariadb")
        config.stash[MARIADB] = server
        try:
            server.start()
        except Unavailable as error:
            pytest.exit(f"JOBMON_TEST_DATABASE=mariadb, but {error}", returncode=3)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not _is_controller(config):
        return
    server = config.stash.get(MARIADB, None)
    if server is not None:
        server.stop()
    shutil.rmtree(ROOT, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A skip is a hole in what the suite shows: name every one, with how many tests fell into it."""
    reasons: collections.Counter[str] = collections.Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason.removeprefix("Skipped: ")] += 1
    if not reasons:
        return
    terminalreporter.section("REAL PARTS NOT TESTED", sep="=", red=True, bold=True)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:5} skipped: {reason}")


@pytest.fixture
def make_embedded_server(tmp_path: Path) -> Iterator[Callable[..., EmbeddedServer]]:
    """Makes (and does not start) embedded servers on the database of this run; ends all they started."""
    made: list[EmbeddedServer] = []
    with server_database(f"served_{uuid.uuid4().hex[:12]}") as database:

        def make(home: Path | None = None, **environment: str) -> EmbeddedServer:
            server = EmbeddedServer(home or tmp_path / "home", database, **environment)
            made.append(server)
            return server

        yield make
        for server in made:
            server.close()
            print(server.last_words())  # shown by pytest when the test failed


@pytest.fixture
def embedded_server(make_embedded_server: Callable[..., EmbeddedServer]) -> EmbeddedServer:
    """A running embedded server."""
    return make_embedded_server().start()
