"""The positive controls of the whole harness: a real server that is broken on purpose must not come out clean. The same
session, fault and reading as everywhere; only the product is another one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from executors.script import install_wrapper
from tests.chaos.clock import make_python
from tests.chaos.plan import PAUSE_POINT
from tests.chaos.report import Report
from tests.chaos.servers import Target, chaos_server
from tests.chaos.session import Session, Shape

# Only the sleeping submitter: its attempts are given up, and then they are submitted all the same.
SHORT = Shape(jobs=24, waves=1, together=2, faults=0, points=(PAUSE_POINT,))
SAYS_DONE = '''\
import importlib.abc, importlib.util, sys
from dataclasses import replace

class Patch(importlib.abc.MetaPathFinder):
    """What never started is called done."""

    def find_spec(self, name, path, target=None):
        if name != "workflows.scheduling.judge":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module
        def execute(module):
            load(module)
            judge_void = module.judge_void
            module.judge_void = lambda asked: replace(judge_void(asked), reason=None)
        spec.loader.exec_module = execute
        return spec

sys.meta_path.insert(0, Patch())
'''


def run_broken(folder: Path, spoil: Callable[[Target], None]) -> Report:
    with chaos_server(folder, spoil=spoil) as target:
        report = Report(7, target.title)
        Session(target, folder, report, SHORT, say=print).run()
        print(report.as_text())
        if not report.kinds:
            print(target.server.last_words())
        return report


def ignore_the_token(target: Target) -> None:
    """The wrapper of this version is there already, and lacks the exclusive creation."""
    wrapper = install_wrapper(target.spool)
    text = wrapper.read_text()
    assert text.count("\nset -C\n") == 1
    wrapper.chmod(0o700)
    wrapper.write_text(text.replace("\nset -C\n", "\n"))


def call_absence_done(target: Target) -> None:
    target.server.program = str(make_python(target.server.home.parent / "broken", SAYS_DONE, {}))


@pytest.mark.timeout(300)
@pytest.mark.first
def test_a_wrapper_that_ignores_the_token_is_caught(tmp_path: Path) -> None:
    report = run_broken(tmp_path / "chaos", ignore_the_token)
    assert not report.is_clean
    assert report.kinds["void-started"] >= 1, report.problems
    assert report.kinds["doubled"] + report.kinds["overlap"] >= 1, report.problems


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.first
def test_a_server_that_calls_absence_done_is_caught(tmp_path: Path) -> None:
    report = run_broken(tmp_path / "chaos", call_absence_done)
    assert not report.is_clean
    assert report.kinds["lost"] >= 1, report.problems
