"""Whatever a command or a file says: a parser answers with what it could read or says that it could not, and nothing
else. It is fed arbitrary text, and true answers that were cut, doubled and stirred."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors import sge_accounting, sge_parse, slurm_accounting, slurm_parse
from executors.base import Evidence, ExecutorUnavailable, Phase, SubmitRejected
from executors.shell import Completed
from executors.token_file import parse_times, parse_token, parse_usage

GOLDEN = Path(__file__).resolve().parent.parent / "executors" / "golden"
TOKENS = (
    "void 5f whoever@host\n",
    "start n host 12 34.5 1700000000\n0m0.010s 0m0.020s\n0m0.0s 0m0.0s\nexit 3\nusage wallclock=1.5 cpu=0.2 ended=17.5\n",
)
SEEDS = [path.read_text() for path in sorted(GOLDEN.iterdir())] + list(TOKENS)


@st.composite
def stirred(draw: st.DrawFn) -> str:
    """A true answer with a piece of it replaced by another piece, or by anything."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 200)))
        other = draw(st.one_of(st.text(max_size=30), st.just(""), st.just(text[end : end + 40])))
        text = text[:start] + other + text[end:]
    return text


texts = st.one_of(st.text(max_size=400), stirred())
answers = st.builds(Completed, st.sampled_from([0, 1, 2, 137, -9]), texts, texts)
ANSWERS = [
    sge_parse.read_submission, sge_parse.read_cancellation, sge_parse.read_listing, sge_parse.read_error_reasons,
    sge_parse.read_scheduler_info,
    slurm_parse.read_submission, slurm_parse.read_cancellation, slurm_parse.read_listing,
    slurm_accounting.read_sacct, slurm_accounting.read_scontrol,
]  # fmt: skip
TEXTS = [sge_accounting.read_qacct, sge_accounting.read_record, parse_times, parse_usage]


@pytest.mark.parametrize("read", ANSWERS, ids=lambda read: f"{read.__module__.partition('.')[2]}.{read.__name__}")
def test_any_answer_is_read_or_called_unreadable(read) -> None:  # type: ignore[no-untyped-def]
    @settings(max_examples=150, deadline=None)
    @given(answers)
    def feed(answer: Completed) -> None:
        try:
            read(answer)
        except (ExecutorUnavailable, SubmitRejected) as error:
            assert str(error)

    feed()


@pytest.mark.parametrize("read", TEXTS, ids=lambda read: read.__name__)
def test_any_text_is_read(read) -> None:  # type: ignore[no-untyped-def]
    @settings(max_examples=150, deadline=None)
    @given(texts)
    def feed(text: str) -> None:
        read(text)

    feed()


@settings(max_examples=300, deadline=None)
@given(texts, st.floats(0, 1e10))
def test_any_token_file_is_evidence(text: str, modified_at: float) -> None:
    evidence = parse_token(text, modified_at)
    assert isinstance(evidence, Evidence)
    assert evidence.token is not None, "a file that exists is a start in progress at least"
    if evidence.exit is not None:
        assert "exit" in text


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=12))
def test_states_that_nobody_knows_stay_unknown(state: str) -> None:
    """Only letters and words of the manuals mean something."""
    if set(state) - sge_parse._LETTERS:
        assert sge_parse.read_phase(state)[0] is Phase.UNKNOWN
    if not state.isupper():
        assert slurm_parse.read_phase(state, "None")[0] is Phase.UNKNOWN
