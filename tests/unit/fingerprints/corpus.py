"""The corpus of failures: `=== group | reason | evidence` and what stderr held.

Samples of one group must fall together, samples of different groups must stay apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
GOLDEN = FOLDER / "golden.json"
_HEADER = re.compile(r"^=== ([^|\n]+?) \| (\w+)(?: \| ([^\n]+))?\n", re.MULTILINE)


@dataclass(frozen=True)
class Sample:
    group: str
    reason: str
    text: str


def read_corpus() -> list[Sample]:
    samples = []
    for path in sorted(FOLDER.glob("*.txt")):
        pieces = _HEADER.split(path.read_text(encoding="utf-8"))[1:]
        for group, reason, evidence, body in zip(*(pieces[start::4] for start in range(4)), strict=True):
            sentence = evidence or "Exit code 1 in the exit record."
            samples.append(Sample(group, reason, f"{sentence}\n\n{body.strip()}" if body.strip() else sentence))
    return samples
