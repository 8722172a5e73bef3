"""Numbers in what others wrote: addresses, forms, headers, names of files."""

from __future__ import annotations

# Always below 2^63, which the databases can compare.
MOST_DIGITS = 18


def read_digits(text: str, longest: int = MOST_DIGITS) -> int | None:
    """The number that these digits write; None for anything else. `str.isdigit` alone takes "²" for a digit, which
    `int` refuses, and "٣", which it reads."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= longest else None
