"""Numbers in requests, and that there is one way to read them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_architecture import sources
from workflows.digits import read_digits


@pytest.mark.parametrize(
    "text", ["", "²", "٣", "1²", "-1", "+1", " 1", "1 ", "1_0", "1.0", "0x1", "1" * 19, "\uff11"], ids=ascii
)
def test_what_is_no_number(text: str) -> None:
    assert read_digits(text) is None


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_what_is_one(text: str, number: int) -> None:
    assert read_digits(text) == number


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    number = read_digits(text)
    assert number is None or 0 <= number < 10**18


def test_nothing_else_looks_for_digits() -> None:
    """`isdigit` and `isdecimal` take for a number what int() refuses, or what nobody meant as one."""
    questions = re.compile(r"\.is(digit|decimal|numeric)\(")
    found = {str(path) for path, text in sources("workflows", "jobmon_site") if questions.search(text)}
    assert found == {
        "workflows/digits.py",
        "workflows/graph.py",  # whether a name begins with a digit of any script
        "workflows/log_text.py",  # names of our own styles
    }


def test_executors_take_for_a_number_what_int_reads() -> None:
    """They may not import from here. `isdecimal` is true of digits of any script, all of which int() reads."""
    assert [str(path) for path, text in sources("executors") if re.search(r"\.is(digit|numeric)\(", text)] == []
