"""Sentences: why a job is where it is, why an attempt ended, and numbers in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from workflows import explain, words
from workflows.bottlenecks import Facts, explain_pace
from workflows.models import Job, JobGroup, JobInstance, WorkflowRun

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NONE = explain.Upstreams(0, 0, [])


def job(status: str, **fields: object) -> Job:
    group = JobGroup(
        name="fit", **{name: fields.pop(name) for name in list(fields) if name.startswith(("count_", "max_conc"))}
    )
    return Job(name="fit_1", status=status, group=group, **{"max_attempts": 3, **fields})


def attempt(status: str, **fields: object) -> JobInstance:
    defaults = {"attempt": 2, "executor_type": "sge", "submitted_date": NOW - timedelta(minutes=8), "mem_free": 4.0}
    return JobInstance(status=status, **{**defaults, **fields})


def run(**fields: object) -> WorkflowRun:
    return WorkflowRun(status="R", **fields)


CASES = [
    (job("D"), attempt("D", wallclock=75.0, nodename="c042"), run(), NONE, "Done in 1 min on c042, with attempt 2."),
    (job("D", marked_done_by="bob"), None, run(), NONE, "Marked done by bob: a person's word, not a run."),
    (
        job("F"),
        attempt("E", reason="exit", exit_code=1, nodename="c042"),
        run(),
        NONE,
        "Exit code 1 on c042. All 3 attempts are used up.",
    ),
    (
        job("F"),
        attempt("E", reason="memory", maxvmem=4_300_000_000),
        run(),
        NONE,
        "Over memory: asked 4 GB, used 4.3 GB. All 3 attempts are used up.",
    ),
    (
        job("F"),
        attempt("E", reason="refused"),
        run(),
        NONE,
        "Refused by sge: it will never run this request. It will not be tried again in this run.",
    ),
    (
        job("E", num_attempts=1),
        attempt("E", reason="signal", signal=11),
        run(),
        NONE,
        "Attempt 1 of 3 failed (ended by SIGSEGV). Another one follows.",
    ),
    (job("I"), attempt("B", executor_id="8812345"), run(), NONE, "In the queue of sge as 8812345 for 8 min."),
    (
        job("I"),
        attempt("B", executor_type="slurm", phase_message="Priority"),
        run(),
        NONE,
        "In the queue of slurm for 8 min, because it says: Priority (jobs of a higher priority come first).",
    ),
    (
        job("I"),
        attempt("B", executor_type="local"),
        run(),
        NONE,
        "In the queue of local for 8 min, until this machine has slots and memory for it.",
    ),
    (
        job("I"),
        attempt("B", executor_id="88", phase="stuck", phase_message="Eqw: can't chdir"),
        run(),
        NONE,
        "Stuck in sge as 88: Eqw: can't chdir.",
    ),
    (job("I"), attempt("I"), run(), NONE, "Being submitted to sge for 8 min."),
    (
        job("R"),
        attempt("R", started_at=NOW - timedelta(minutes=5), nodename="c1"),
        run(),
        NONE,
        "Running for 5 min on c1, attempt 2 of 3.",
    ),
    (
        job("R"),
        attempt("R", absent_since=NOW - timedelta(seconds=40)),
        run(),
        NONE,
        "Checking: not listed by sge for 40 s. Not listed is not gone yet.",
    ),
    (
        job("R"),
        attempt("R", kill_asked_at=NOW, kill_asked_by="bob"),
        run(),
        NONE,
        "Kill asked by bob; waiting for sge to confirm that it is gone.",
    ),
    (job("G"), None, run(), explain.Upstreams(4, 3, []), "Waits for 3 of 4 upstreams, none of them failed."),
    (job("G"), None, run(), explain.Upstreams(5, 5, ["a", "b", "c", "d"]), "Blocked: a, b, c and 1 more failed."),
    (job("G"), None, None, NONE, "Ready, but no run is live: resume the workflow to start it."),
    (job("G"), None, run(stopping="drain"), NONE, "Ready, but the run is being stopped: nothing more is submitted."),
    (job("Q"), None, run(hold_reason="owner disabled"), NONE, "Ready, but the run is on hold: owner disabled"),
    (
        job("Q"),
        None,
        run(backoff_until=NOW + timedelta(minutes=3), submit_failures=3),
        NONE,
        "Ready. Submission failed 3 times; next try in 3 min.",
    ),
    (job("Q", not_before=NOW + timedelta(seconds=30)), None, run(), NONE, "Ready; the next attempt starts in 30 s."),
    (
        job("G", max_concurrently_running=500, count_r=499, count_i=1),
        None,
        run(),
        NONE,
        "Ready; the limit of 500 for fit is reached.",
    ),
    (job("Q"), None, run(), NONE, "Next to be submitted."),
]


def test_a_ready_job_names_the_limit_that_it_waits_for() -> None:
    full = {"sge": 400}
    waiting = job("G")
    assert explain.why(waiting, None, run(executor="sge"), NONE, NOW, {}, full) == (
        "Ready; the limit of the executor sge is reached: it holds 400 at once, of all runs together."
    )
    assert explain.why(waiting, None, run(executor="slurm"), NONE, NOW, {}, full).startswith("Ready: it is submitted")
    elsewhere = job("G", executor="sge")
    assert "executor sge" in explain.why(elsewhere, None, run(executor="slurm"), NONE, NOW, {}, full)
    waiting.live_in_graph = 7  # type: ignore[attr-defined]
    limited = run(executor="sge", max_concurrently_running=7)
    assert (
        explain.why(waiting, None, limited, NONE, NOW, {}, full)
        == "Ready; the run's limit of 7 jobs at once is reached."
    )


@pytest.mark.parametrize(("it", "last", "live", "upstreams", "expected"), CASES, ids=[case[4][:40] for case in CASES])
def test_why(
    it: Job, last: JobInstance | None, live: WorkflowRun | None, upstreams: explain.Upstreams, expected: str
) -> None:
    assert explain.why(it, last, live, upstreams, NOW) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reason": "runtime", "max_runtime": 3600, "wallclock": 3605.0}, "Over run time: asked 1 h, ran 1 h"),
        ({"reason": "lost", "nodename": "c042"}, "Lost after its start on c042: it vanished without an exit code"),
        (
            {
                "reason": "lost",
                "nodename": "c042",
                "evidence": "Lost after start on c042: no exit record, absent from two listings (100 : assumedly after job).",
            },
            "Lost after its start on c042: no exit file, absent from two listings (accounting: 100 : assumedly after job)",
        ),
        (
            {
                "reason": "memory",
                "mem_free": 4.0,
                "maxvmem": 4_300_000_000,
                "evidence": "Over memory: asked 4 GB (OUT_OF_MEMORY).",
            },
            "Over memory: asked 4 GB, used 4.3 GB (accounting: OUT_OF_MEMORY)",
        ),
        (
            {
                "reason": "refused",
                "executor_type": "slurm",
                "evidence": "Refused: Invalid account or account/partition.",
            },
            "Refused by slurm: Invalid account or account/partition",
        ),
        ({"reason": "refused", "executor_type": "sge"}, "Refused by sge: it will never run this request"),
        (
            {
                "reason": "signal",
                "signal": 9,
                "evidence": "Ended on c1 by signal 9: no exit record, accounting says so.",
            },
            "Ended by SIGKILL (accounting)",
        ),
        ({"reason": "killed", "kill_asked_by": "alice"}, "Killed by alice"),
        ({"reason": "void"}, "Never started; not counted as an attempt"),
        ({"reason": "exit", "exit_code": None}, "Exit code not known"),
        ({"reason": "signal", "signal": 64}, "Ended by signal 64"),
        ({"reason": ""}, ""),
    ],
)
def test_every_reason_is_a_sentence(fields: dict[str, object], expected: str) -> None:
    assert words.reason_sentence(fields) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (5, "5 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.97, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3570, "1 h"),
        (3569, "59 min"),
        (11_400, "3 h 10 min"),
        (86_400, "1 d"),
        (187_200, "2 d 4 h"),
        (None, words.NONE),
    ],
)
def test_durations(seconds: float | None, expected: str) -> None:
    assert words.duration(seconds) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [(999, "1 kB"), (5 * 10**6, "5 MB"), (4_300_000_000, "4.3 GB"), (10**11, "100 GB"), (1_536 * 10**9, "1,536 GB"),
     (None, words.NONE)],
)  # fmt: skip
def test_memory_is_in_decimal_gigabytes(size: int | None, expected: str) -> None:
    assert words.memory(size) == expected
    assert words.gigabytes(None if size is None else size / 10**9) == expected


def test_nothing_asked_for_is_no_gigabytes() -> None:
    assert words.gigabytes(0) == "0 GB"


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    name = "fit_" + "location_" * 20 + "2019"
    assert words.short_name(name[:60]) == name[:60]
    short = words.short_name(name)
    assert len(short) == words.LONGEST_NAME
    assert short.startswith("fit_location_")
    assert short.endswith("…cation_location_location_2019")


def test_since() -> None:
    assert words.since(NOW - timedelta(minutes=8), NOW) == "8 min ago"
    assert words.since(NOW + timedelta(minutes=3), NOW) == "in 3 min"
    assert words.since(NOW, NOW) == "just now"
    assert words.since(NOW - timedelta(seconds=4), NOW) == "4 s ago"
    assert words.since(NOW - timedelta(days=11, hours=20), NOW) == "12 days ago"
    assert words.since(NOW - timedelta(hours=30), NOW) == "1 d 6 h ago"
    assert words.since(NOW - timedelta(days=60), NOW) == "24 Sep 2026"


def test_a_live_attempt_is_counted() -> None:
    assert words.attempts(0, 3, is_live=True) == "attempt 1 of 3"
    assert words.attempts(1, 3, is_live=False) == "1 of 3 attempts used"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", NOW - timedelta(minutes=30)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00+01:00", datetime(2026, 11, 1, 9, tzinfo=UTC)),
        ("", None),
        ("yesterday", None),
        ("99999999d", None),
    ],
)
def test_since_in_filters(text: str, expected: datetime | None) -> None:
    assert words.parse_since(text, NOW) == expected


def test_the_sentence_of_a_workflow() -> None:
    counts = {"D": 412_118, "F": 37, "R": 4, "G": 87_841}
    assert words.workflow_sentence("R", counts) == "Running: 412,118 of 500,000 jobs done, 37 failed, 4 running."
    assert "37 failed (2 kinds of errors), 4 running" in words.workflow_sentence("R", counts, kinds=2)
    assert "failed (1 kind of error)," in words.workflow_sentence("R", counts, kinds=1)
    # Of several failed jobs some block nothing, and nobody has counted which
    assert words.workflow_sentence("E", {"D": 1, "F": 2, "B": 3}).endswith("2 failed, 3 blocked.")
    assert words.workflow_sentence("E", {"D": 1, "F": 1, "B": 3}).endswith("1 failed, 3 blocked by it.")
    assert words.workflow_sentence("D", {"D": 3}) == "Done: all 3 jobs."
    assert words.workflow_sentence("C", {}) == "It has no jobs."
    assert words.workflow_sentence("R", counts, stopping="kill").startswith("Stopping: running jobs are being killed: ")


def test_bottlenecks_name_limits_and_holds() -> None:
    group = JobGroup(name="fit", max_concurrently_running=2, count_r=2)
    held = run(hold_reason="x", max_concurrently_running=2, held_at=NOW - timedelta(minutes=25))
    group.pk = 7
    facts = Facts(ready={7: 431}, ready_waiting=431, oldest_queued=NOW - timedelta(hours=3), held_by="bob")
    counts = {"R": 2, "I": 1, "F": 1, "E": 2, "G": 451}
    assert explain_pace(held, [group], counts, NOW, facts) == [
        "On hold for 25 min, by bob: x",
        "The limit of the run is exceeded: 3 jobs at once, 1 over the limit of 2; nothing more is submitted until fewer are; 431 more are ready.",
        "The limit of fit is reached: 2 of 2 jobs at once; 431 more are ready.",
        "1 job failed for good; it is tried again only if a person asks for it.",
        "1 job submitted, not started yet, and may start though the run is on hold; the oldest has waited 3 h in the queue.",
        "2 jobs between two attempts.",
        "20 jobs wait for jobs before them.",
    ]
    assert explain_pace(run(hold_reason="x"), [], {}, NOW) == ["On hold: x"]
    assert explain_pace(run(), [], {"F": 2, "B": 1}, NOW) == ["1 job blocked by failed jobs."]
    assert explain_pace(run(), [], {"F": 1, "B": 2}, NOW) == ["2 jobs blocked by the failed job."]
    assert explain_pace(run(), [], {"F": 2}, NOW) == [
        "2 jobs failed for good; they are tried again only if a person asks for it."
    ]


@pytest.mark.parametrize(
    ("executor", "told"), [("local", "for slots or memory of this machine"), ("sge", "in the queue of sge")]
)
def test_what_is_submitted_is_told_as_its_executor_works(executor: str, told: str) -> None:
    facts = Facts(oldest_queued=NOW - timedelta(minutes=8), queued_with=executor)
    sentence = f"12 jobs submitted, not started yet; the oldest has waited 8 min {told}."
    assert explain_pace(run(executor=executor), [], {"I": 12, "R": 2}, NOW, facts) == [sentence]


def test_a_hold_does_not_keep_what_is_submitted() -> None:
    queued = attempt("B", executor_type="local")
    told = explain.why(job("I"), queued, run(hold_reason="disk full"), NONE, NOW)
    assert told.endswith("memory for it. It may start though the run is on hold.")
    assert "hold" not in explain.why(job("I"), queued, run(), NONE, NOW)


def test_a_killed_job_has_attempts_left() -> None:
    killed = attempt("E", reason="killed", kill_asked_by="root")
    told = explain.why(job("F", num_attempts=0), killed, run(), NONE, NOW)
    assert told == "Killed by root, and left failed; 0 of 3 attempts used."
    failed = attempt("E", reason="exit", exit_code=1)
    assert (
        explain.why(job("F", max_attempts=1), failed, run(), NONE, NOW) == "Exit code 1. Its only attempt is used up."
    )
    assert explain_pace(run(), [], {"R": 2}, NOW) == []


def test_a_full_executor_is_named_while_something_waits_for_it() -> None:
    told = ["The limit of the executor sge is reached: 400 at once, of all runs together."]
    facts = Facts(full={"sge": 400})
    assert explain_pace(run(executor="sge"), [], {"R": 2, "Q": 1}, NOW, facts) == told
    assert explain_pace(run(executor="sge"), [], {"R": 2, "D": 9}, NOW, facts) == []


def tag(name: str, jobs: int, **counts: int) -> JobGroup:
    return JobGroup(name=name, jobs=jobs, **counts)


FIT = tag("fit", 200, count_d=143, count_f=5, count_r=21, count_i=9)
LOAD = tag("load", 9, count_d=9)
WHY_TAG = [
    (tag("end", 1, count_d=1), [FIT], ""),
    (tag("plot", 8, count_g=8), [LOAD], "8 ready"),
    (tag("plot", 8, count_g=8, count_blocked=8), [FIT], "8 blocked by failed jobs"),
    (tag("sum", 1, count_g=1), [LOAD, FIT], "1 waits for a limit or fit (52 to come)"),
    (
        tag("plot", 100, count_g=80, count_blocked=4, count_i=3, count_r=7, count_e=2, max_concurrently_running=10),
        [FIT],
        "76 wait for a limit or fit (52 to come); 7 running; 4 blocked by failed jobs; the limit of 10 is reached; "
        "3 submitted, not started; 2 between attempts",
    ),
    (
        tag("plot", 9, count_g=9, count_blocked=4),
        [tag("fit", 9, count_d=5, count_f=4)],
        "5 ready; 4 blocked by failed jobs",
    ),
    (tag("plot", 10, count_r=10, max_concurrently_running=10), [], "10 running"),
    (tag("clean", 9, count_d=4, count_f=4, count_r=1), [], "1 running; 4 failed"),
]


@pytest.mark.parametrize(("group", "upstreams", "sentence"), WHY_TAG, ids=range(len(WHY_TAG)))
def test_why_a_tag_is_not_done(group: JobGroup, upstreams: list[JobGroup], sentence: str) -> None:
    assert "; ".join(explain.why_tag(group, upstreams)) == sentence


@pytest.mark.parametrize(
    ("ready", "sentence"),
    [(6, "8 ready; 74 wait for fit (52 to come)"), (0, "2 ready; 80 wait for fit (52 to come)"), (99, "82 ready")],
)
def test_the_ready_jobs_of_a_tag_are_told_apart(ready: int, sentence: str) -> None:
    assert "; ".join(explain.why_tag(tag("plot", 82, count_g=80, count_q=2), [FIT], ready=ready)) == sentence


def test_jobs_may_wait_for_others_of_their_tag() -> None:
    chain = tag("chain", 9, count_g=8, count_r=1)
    assert explain.why_tag(chain, [], ready=0) == ["8 wait for others of the same tag", "1 running"]
