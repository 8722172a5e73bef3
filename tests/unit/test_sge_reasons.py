"""Why jobs wait in Grid Engine: its scheduler's own words, recorded from a real cell, folded into one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.base import ExecutorUnavailable
from executors.sge_parse import read_scheduler_info
from executors.sge_reasons import MOST_CHARACTERS, SchedulerInfo, explain_job
from executors.shell import Completed

GOLDEN = Path(__file__).parent.parent / "executors" / "golden"
OTHERS = "1 queue instance is temporarily not available, 1 overloaded, 1 disabled"


def golden(name: str) -> SchedulerInfo:
    return read_scheduler_info(Completed(0, (GOLDEN / name).read_text(), ""))


def fold(own: list[str], of_all: list[str] | None = None, queues: list[str] | None = None) -> str:
    return explain_job(SchedulerInfo({"7": own}, of_all or [], {"7": queues or []}), "7")


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ("467", f"host vm offers less mem_free than 999G (21G); {OTHERS}"),
        ("468", "host vm offers less mem_free than 999G (21G)"),  # asks for one queue, which is open
        ("469", f"the whole cell offers less lic than 1 (0); {OTHERS}"),
        ("470", "the resource quota maxpr is used up"),
        (
            "471",
            f"the parallel environment smp has only 0 slots for it; {OTHERS};"
            ' its user may not use the queue (six.q); PE "smp" is not in PE list (seven.q)',
        ),
        (
            "472",
            f"it may not run on host vm; {OTHERS};"
            " it is not of type batch (five.q@vm); its user may not use the queue (six.q)",
        ),
        ("473", "two.q@vm is disabled"),
        ("474", "h_rt=100 is more than the queue allows (seven.q)"),
        ("475", "its user may not use the queue (six.q)"),
        ("476", "it is not of type batch (five.q@vm)"),
        ("477", f"host vm offers no arch=sol; {OTHERS}"),
        (
            "478",
            'the parallel environment smp has only 0 slots for it; PE "smp" is not in PE list (seven.q)',
        ),
        ("479", "as many tasks of its array run as may at once"),
        ("480", f"it waits for other jobs of Grid Engine; {OTHERS}"),
        ("481", f"host vm offers less mem_free than 30G (21G); {OTHERS}"),
        ("999", ""),
    ],
)
def test_what_a_real_scheduler_says(job: str, words: str) -> None:
    assert explain_job(golden("sge_queue_reasons.xml"), job) == words


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (
            "467",
            "2 queue instances are full, 1 temporarily not available, 1 overloaded, 1 disabled;"
            " it is not of type batch (five.q@vm); its user may not use the queue (six.q)",
        ),
        ("473", "two.q@vm is disabled"),
        ("479", "as many tasks of its array run as may at once; all.q@vm is full"),
    ],
)
def test_while_all_queues_are_full(job: str, words: str) -> None:
    """It does not look at what a job asks for then."""
    assert explain_job(golden("sge_queue_reasons_full.xml"), job) == words


def test_a_scheduler_that_may_not_say() -> None:
    info = golden("sge_queue_reasons_off.xml")
    assert info.is_turned_off
    assert info.queues.keys() == {"467"}
    assert explain_job(info, "467") == ""
    assert not golden("sge_queue_reasons.xml").is_turned_off


def test_many_hosts_are_counted() -> None:
    """The recorded lines with the names of other hosts: a cell of 300."""
    short = '(-l h_vmem=1G,mem_free=999G) cannot run at host "c%d" because it offers only hl:mem_free=%d.251G'
    arch = '(-l h_vmem=1G,mem_free=999G) cannot run at host "d%d" because it offers only hl:h_vmem=512.000M'
    full = 'queue instance "all.q@e%d" dropped because it is full'
    busy = 'queue instance "all.q@f%d" dropped because it is overloaded: np_load_avg=%d (no load adjustment) >= 1.75'
    own = [short % (n, 100 + n) for n in range(200)] + [arch % n for n in range(10)]
    of_all = [full % n for n in range(60)] + [busy % (n, n) for n in range(30)]
    assert fold(own, of_all) == (
        "200 hosts offer less mem_free than 999G (at most 300G); 10 hosts offer less h_vmem than 1G (at most 510M);"
        " 60 queue instances are full, 30 overloaded"
    )


@pytest.mark.parametrize(
    ("asked", "offered", "words"),
    [
        ("h_rt=100", "qf:h_rt=00:01:00", "offers less h_rt than 100 (00:01:00)"),
        ("slots=3", "hc:slots=2.000000", "offers less slots than 3 (2)"),
        ("load=2", "hl:load=0.123", "offers less load than 2 (0.12)"),
        ("m=152588M", "hl:m=20.975G", "offers less m than 149G (21G)"),
        ("m=21G", "hl:m=20.975G", "offers less m than 21G (20.975G)"),
        ("m=1003G", "hl:m=999.975G", "offers less m than 1000G (999.975G)"),
        ("m=1900m", "hl:m=999k", "offers less m than 1.9g (1000k)"),
        ("m=9999T", "hl:m=1023.900M", "offers less m than 10000T (1000M)"),
        ("big=TRUE", "hf:big=FALSE", "offers no big=TRUE"),
        ("mem_free=1G", "hl:mem_free=2G", "offers no mem_free=1G"),  # another relation than "at least"
        ("a=1,b=2", "hl:cut=1", "offers no cut"),
    ],
)
def test_what_is_asked_and_offered(asked: str, offered: str, words: str) -> None:
    line = f'(-l {asked}) cannot run at host "c1" because it offers only {offered}'
    assert fold([line]) == f"host c1 {words}"


@pytest.mark.parametrize(
    ("queues", "words"),
    [
        ([], "2 queue instances are full"),
        (["a.q"], "a.q@h1 is full"),
        (["*.q@h2"], "2 queue instances are full"),
        (["a.q|b.q"], "2 queue instances are full"),  # not a plain pattern: all are told
    ],
)
def test_only_queues_that_the_job_asks_for_are_told_of(queues: list[str], words: str) -> None:
    of_all = [f'queue instance "{name}" dropped because it is full' for name in ("a.q@h1", "b.q@h2")]
    own = ['cannot run in queue "c.q" because it is not contained in its hard queue list (-q)']
    assert fold(own, of_all, queues) == words


def test_what_is_said_of_queues_is_no_reason_for_a_job_that_was_not_looked_at() -> None:
    of_all = ['queue instance "a.q@h1" dropped because it is disabled']
    assert fold([], of_all) == ""
    all_dropped = "All queues dropped because of overload or full"
    assert fold([], [*of_all, all_dropped]) == "a.q@h1 is disabled"
    assert fold([], [all_dropped]) == "all queues are full or overloaded"


@pytest.mark.parametrize(
    "answer",
    [
        Completed(0, "", ""),
        Completed(1, "<detailed_job_info/>", "error: commlib error"),
        Completed(0, "<comunication_error><AN_text>got send error</AN_text></comunication_error>", ""),
        Completed(0, "Following jobs do not exist:\n9\n", ""),
    ],
)
def test_what_is_no_answer_is_none(answer: Completed) -> None:
    with pytest.raises(ExecutorUnavailable, match="qstat answered"):
        read_scheduler_info(answer)


def test_jobs_that_are_gone_have_no_reason() -> None:
    assert read_scheduler_info(Completed(0, (GOLDEN / "sge_unknown_jobs.xml").read_text(), "")) == SchedulerInfo()


def _messages(name: str) -> list[str]:
    info = golden(name)
    return [line for lines in info.own.values() for line in lines] + info.of_all


MESSAGES = [line for path in GOLDEN.glob("sge_queue_reasons*.xml") for line in _messages(path.name)]
lines = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.sampled_from(sorted(set(MESSAGES))),
        st.builds(lambda line, at, piece: line[:at] + piece + line[at:], st.sampled_from(sorted(set(MESSAGES))),
                  st.integers(0, 80), st.text(max_size=8)),
    ),
    max_size=8,
)  # fmt: skip


@settings(max_examples=400)
@given(lines, lines, st.lists(st.text(max_size=10), max_size=3))
def test_any_words_become_one_short_line(own: list[str], of_all: list[str], queues: list[str]) -> None:
    words = fold(own, of_all, queues)
    assert len(words) <= MOST_CHARACTERS
    assert words == " ".join(words.split())
    if not own and not any("All queues dropped" in line for line in of_all):
        assert words == ""


def test_very_many_and_very_long_lines_stay_short() -> None:
    odd = [f"something new about host {n} {'x' * 1000}" for n in range(5000)]
    assert 0 < len(fold(odd)) <= MOST_CHARACTERS
