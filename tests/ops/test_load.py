"""The short form of `python bench/load.py`: browsers, a submitter and a run at once. Nothing fails, all gets done."""

from __future__ import annotations

from pathlib import Path

from bench.browsers import Audience, in_parallel
from bench.load import Sizes, count_done, reach, start_large, submit_graphs
from tests.waiting import wait_until

SIZES = Sizes(jobs=1_000, browsers=6, submitters=1, graph=200, poll_seconds=1.0, think_seconds=0.2)


def test_browsers_and_submitters_beside_a_run(make_embedded_server, tmp_path: Path) -> None:
    served = reach(make_embedded_server().start(), tmp_path)
    took: list[float] = []
    large = start_large(served, SIZES.jobs, ":")
    with Audience(served.site, served.cookies, large.workflow_id, SIZES.browsers, SIZES.poll_seconds) as audience:
        raised = in_parallel([lambda: submit_graphs(served, 0, SIZES, 0.0, took)])
        wait_until(lambda: count_done(served, large) == SIZES.jobs, 150, "all jobs are done", pause=0.2)
    assert raised == []
    assert audience.seen.is_clean, audience.seen.broken[:5]
    assert set(audience.seen.answers) <= {"2xx"}
    assert len(audience.seen.pages) >= SIZES.browsers
    assert len(took) == 1
