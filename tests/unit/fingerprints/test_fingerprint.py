"""Which failures are the same failure: the corpus, the golden hashes, and texts that nobody expects."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.fingerprints.corpus import GOLDEN, Sample, read_corpus
from workflows import fingerprint as module
from workflows.fingerprint import SYNTHETIC, TITLE_LENGTH, VERSION, fingerprint, normalise
from workflows.scheduling.judge import Asked, judge_exit, judge_vanished, judge_void
from workflows.state_machine import Reason

CORPUS = read_corpus()
TRACEBACK = 'Traceback (most recent call last):\n  File "/a/load.py", line 3, in <module>\n    f()\n'
EXIT = "Exit code 1 in the exit record.\n\n"


def first_of_groups() -> dict[str, Sample]:
    found: dict[str, Sample] = {}
    for sample in CORPUS:
        found.setdefault(sample.group, sample)
    return found


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 60
    assert len({sample.text for sample in CORPUS}) >= 60
    assert len(first_of_groups()) >= 30


def test_what_belongs_together_falls_together() -> None:
    hashes = defaultdict(set)
    for sample in CORPUS:
        hashes[sample.group].add(fingerprint(sample.reason, sample.text).hash)
    assert {group: found for group, found in hashes.items() if len(found) > 1} == {}


def test_what_differs_stays_apart() -> None:
    found = {group: fingerprint(sample.reason, sample.text).hash for group, sample in first_of_groups().items()}
    assert [(one, two) for one, two in combinations(found, 2) if found[one] == found[two]] == []


def test_hashes_change_only_together_with_the_version() -> None:
    """A changed hash splits every error group in every database. Meant? Raise VERSION, then write golden.json anew with
    `python -m tests.unit.fingerprints.write_golden`, and look at the difference."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert golden["version"] == VERSION
    found = {group: fingerprint(sample.reason, sample.text) for group, sample in first_of_groups().items()}
    assert golden["groups"] == {group: {"hash": one.hash, "title": one.title} for group, one in found.items()}


def test_the_version_is_part_of_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint("exit", EXIT + "boom boom")
    monkeypatch.setattr(module, "VERSION", VERSION + 1)
    after = fingerprint("exit", EXIT + "boom boom")
    assert (before.hash != after.hash, before.title == after.title) == (True, True)


def test_the_reason_is_part_of_the_hash() -> None:
    assert len({fingerprint(reason, EXIT + "boom boom").hash for reason in Reason}) == len(Reason)


@pytest.mark.parametrize(
    ("reason", "text", "title"),
    [
        (
            "exit",
            EXIT + TRACEBACK + "FileNotFoundError: [Errno 2] No such file or directory: '/x'",
            "FileNotFoundError: No such file or directory: '/x' in load.py",
        ),
        ("exit", EXIT + TRACEBACK + "a.b.Broken", "Broken in load.py"),
        ("exit", EXIT + "Error in f(3) : no 4\nExecution halted", "Error in f: no 4"),
        ("exit", EXIT + "file /a/b.dta not found\nr(601);\n", "r(601): file /a/b.dta not found"),
        ("exit", EXIT + "run.sh: line 3: foo: command not found", "foo: command not found in run.sh"),
        ("exit", EXIT + TRACEBACK + "ValueError: bad value 17", "ValueError: bad value 17 in load.py"),
        ("exit", EXIT + "run.sh: line 3: 77 Killed   ./fit --token abc", "Killed: ./fit --token **** in run.sh"),
        ("exit", EXIT + "2026-11-23 08:15:02,101 [7] fit: no data", "fit: no data"),
        ("exit", "Exit code 3 in the exit record.", "Failed without a word on stderr"),
        ("memory", "Over memory: asked 4 GB.\n\nwhatever", "Over memory"),
        ("signal", "Ended by signal 11 (SIGSEGV): exit code 139 in the exit record.", "Ended by SIGSEGV"),
        ("signal", "Ended by signal 63: exit code 191 in the exit record.", "Ended by signal 63"),
        ("signal", "", "Ended by a signal"),
    ],
)
def test_titles_are_for_people(reason: str, text: str, title: str) -> None:
    assert fingerprint(reason, text).title == title


def test_a_long_message_is_cut_and_the_file_stays() -> None:
    title = fingerprint("exit", EXIT + TRACEBACK + "ValueError: " + "many words " * 60).title
    assert len(title) <= TITLE_LENGTH
    assert title.endswith("… in load.py")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("seed 17 of 20", "seed 3 of 20"),
        ("at 0x7fff12 and 0xdead", "at 0x12 and 0xbeef"),
        ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "commit 83baae61804e65cc73a7201a7252750c76066a30"),
        ("since 2026-11-23 04:37:49 UTC", "since 2025-01-01T00:00:00Z UTC"),
        ("on Mon Nov 23 04:37:49 UTC 2026 it ended", "on Tue Jan  5 14:01:02 UTC 2027 it ended"),
        ("run 550e8400-e29b-41d4-a716-446655440000", "run 1b4e28ba-2fa1-11d2-883f-0016d3cca427"),
        ("cannot read ~/a/b c", "cannot read /x/y/z c"),
        (r"cannot read C:\Users\a c", r"cannot read D:\b c"),
        ("cannot read out/a.csv now", "cannot read b/c/d.csv now"),
        ("no answer from db1.example.org:3306", "no answer from x.y.example.com:80"),
        ("no answer from 10.0.0.7:80", "no answer from 192.168.1.1"),
        ("see https://example.org/a?b=1 there", "see http://other.example.org/ there"),
        ("'a' and \"b\" and `c`", "'d d' and \"e\" and `f f`"),
        ("used 3.9 GiB", "used 812 MiB"),
        ("value -1.5e-7 of (3, 4)", "value 2 of (10, 20, 30)"),
        ("host c042 is down", "host login.cluster7 is down"),
    ],
)
def test_what_differs_from_job_to_job_is_left_out(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("can't open it", "can't close it"), ("read and/or write", "read"), ("a.b is None", "c.d is None")],
)
def test_words_stay(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_the_evidence_sentences_are_recognised() -> None:
    """What the judge writes without a word on stderr never passes for the job's own words."""
    from executors.base import Evidence, Exit, ExitInfo, Token, TokenKind

    token = Token(TokenKind.START, "n", host="c042", started_at=1.0)
    asked = Asked(1, mem_free=4.0, max_runtime=60)
    killed = Asked(1, is_kill_asked=True, kill_asked_by="bob")
    endings = [judge_void(asked), judge_void(killed)]
    endings += [judge_exit(asked, Evidence(token, Exit(code, number, 2.0))) for code, number in ((1, None), (139, 11))]
    endings += [judge_exit(asked, Evidence(token, Exit(137, 9, 2.0), over=over)) for over in ("memory", "runtime")]
    endings += [
        judge_vanished(asked, Evidence(token), told) for told in (None, ExitInfo(signal=9), ExitInfo(over="memory"))
    ]
    endings.append(judge_exit(killed, Evidence(token, Exit(143, 15, 2.0))))
    for ending in endings:
        evidence, lines = module.split_text(ending.evidence)
        assert (evidence, lines) == (ending.evidence, [])
        assert fingerprint("exit", ending.evidence).title == "Failed without a word on stderr"


def test_every_reason_that_explains_itself_is_one_group() -> None:
    for reason in SYNTHETIC:
        hashes = {fingerprint(reason, sample.text).hash for sample in CORPUS}
        assert len(hashes) == 1


SHAPES = st.sampled_from(
    [
        "Traceback (most recent call last):",
        '  File "a.py", line 3, in f',
        '  File "',
        "ValueError: x",
        "Error in ",
        "Error in f(x) :",
        "Execution halted",
        "Error:",
        "r(1);",
        "r(",
        'do "a.do"',
        "terminate called after throwing an instance of 'x'",
        "what():",
        "ERROR: LoadError: ",
        "Stacktrace:",
        " @ Main a.jl:3",
        'Exception in thread "x" y',
        "Caused by: a.B: c",
        "\tat a.b(C.java:3)",
        "a: line 3: b: command not found",
        "line 3: 4 Killed x",
        "Exception Group Traceback",
        "  | ",
        "  +-+---- 1 ----",
        "Calls: a -> b",
        "! x",
        "\u2139 ",
        "\x1b[31",
        "\x00",
        "\ud800",
        "\u2028",
        "'",
        '"',
        "…",
        "N",
        ". ",
        "end of do-file",
        "Fatal Python error: ",
        "",
    ]
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([*Reason, "", "other"]),
    st.one_of(st.text(), st.lists(st.one_of(SHAPES, st.text(max_size=30)), max_size=25).map("\n".join)),
)
def test_no_text_breaks_it(reason: str, text: str) -> None:
    found = fingerprint(reason, text)
    assert re.fullmatch(r"[0-9a-f]{64}", found.hash)
    assert 0 < len(found.title) <= TITLE_LENGTH
    assert found.title.isprintable()
    assert fingerprint(reason, text) == found


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=2000))
def test_only_the_tail_counts(noise: str) -> None:
    block = TRACEBACK + "ValueError: x"
    assert fingerprint("exit", f"{EXIT}{noise}\n\n{block}") == fingerprint("exit", EXIT + block)


ADVERSARIES = [
    "a",
    "/",
    ".",
    "'",
    '"',
    "1",
    "-",
    "a.",
    "a/",
    "a:",
    "f",
    "1,",
    "N",
    "…",
    "… ",
    "'[",
    " ",
    "\t",
    "\n",
    "\x1b[",
    "\x1b[0",
    "a.b.",
    'File "',
    '  File "a", line 1\n',
    "Error in ",
    "Error in f :\n",
    "1.1.1.",
    "at (",
    "    at a/b(",
    "    at " + "x(" * 40 + "\n",
    "0a",
    "host 1",
    "(1, ",
    "12:",
    "Mon ",
    "a@b.",
    "://",
    "aa://",
    "a.csv.",
    "r(1);\n",
    "ERROR: LoadError: ",
    "Caused by: a: ",
    "| ",
    "+-",
    "Exception Group Traceback\n  | ",
    "ValueError: x\n",
    "a: line 1: ",
    "1: ",
    "\\",
    "_",
    "deadbeef",
    "A.b$",
    "Traceback (most recent call last)\n",
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("piece", ADVERSARIES, ids=repr)
def test_ten_megabytes_of_anything_come_to_an_end(piece: str) -> None:
    """Milliseconds each; a pattern that goes catastrophic on one of these would take days."""
    text = EXIT + piece * (10_000_000 // len(piece)) + "!"
    assert fingerprint("exit", text) == fingerprint("exit", EXIT + text[-20_000:])
    fingerprint("signal", text)
    assert len(normalise(text)) <= 500
