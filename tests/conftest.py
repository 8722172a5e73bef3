"""What all tests share: the suite's own MariaDB, the embedded server, and a loud account of what was not tested."""

from __future__ import annotations

import collections
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.executors.cluster import sge_cluster, slurm_cluster  # noqa: F401 - one of each per process, for all folders
from tests.services import EmbeddedServer, MariaDB, Unavailable, server_database

# An example takes as long as the machine is busy: time decides nothing. Nor does chance: a run is like the one before.
# `--hypothesis-profile=explore` looks for other examples.
PATIENT: dict[str, Any] = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("explore", **PATIENT)
hypothesis.settings.register_profile("jobmon", **PATIENT, derandomize=True, database=None)
hypothesis.settings.load_profile("jobmon")

ROOT = Path(os.environ["JOBMON_TEST_ROOT"])
TESTS = Path(__file__).parent
MARIADB = pytest.StashKey[MariaDB]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files go to the suite's processes as wholes, in this order. What takes long and mostly waits comes first, so that
    nothing is left to wait for at the end. Long forms run on request; each has a short form that always runs."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)
    if config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("slow"):
            reason = (
                f"the long form; `make chaos` runs it, or `pytest -m slow {item.path.parent.relative_to(TESTS.parent)}`"
            )
            item.add_marker(pytest.mark.skip(reason=reason))


def _is_controller(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput")


def _be_like_everywhere() -> None:
    """Whatever whoever starts the tests has set."""
    os.umask(0o022)
    _let_children_hear()


def _let_children_hear() -> None:
    """What is started in the background, or by nohup, ignores SIGINT or SIGHUP, and so does all that it starts: no Ctrl-C
    would reach a server of a test. A handler that does nothing is not inherited by other programs."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_configure(config: pytest.Config) -> None:
    """The server must be there before xdist starts its processes; they inherit its address."""
    if not _is_controller(config) or config.option.collectonly:
        return
    _be_like_everywhere()
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


@pytest.fixture(scope="session", autouse=True)
def _reads_have_time() -> Iterator[None]:
    """The server gives up what takes long to read, after two seconds and less: on a busy machine that may be any page.
    Tests of these limits set their own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("workflows.views.base.READ_SECONDS", "workflows.api.base.READ_SECONDS",
                     "workflows.queries.limits.BOX_SECONDS", "workflows.logs.FIND_SECONDS"):  # fmt: skip
            patch.setattr(name, 60.0)
        patch.setattr("workflows.logs._in_time.__defaults__", (60.0,))
        yield


# What a worker remembers by the ids of rows, which begin anew with each test.
MEMORIES = {
    "accounting": "_settled", "bad_hosts": "_newest_seen", "blocked": "_seen", "epoch": "_fine_until",
    "failing_runs": "_change_seen", "housekeeping": "_verified", "retention": "_swept",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    """Of the tests before, which are others in each process of the suite."""
    for module, name in MEMORIES.items():
        if loaded := sys.modules.get(f"workflows.scheduling.{module}"):
            getattr(loaded, name).clear()


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
