"""Write golden.json anew: `python -m tests.unit.fingerprints.write_golden`. Only together with a new VERSION."""

from __future__ import annotations

import json

from tests.unit.fingerprints.corpus import GOLDEN, read_corpus
from workflows.fingerprint import VERSION, fingerprint


def describe_groups() -> dict[str, dict[str, str]]:
    groups: dict[str, dict[str, str]] = {}
    for sample in read_corpus():
        found = fingerprint(sample.reason, sample.text)
        groups.setdefault(sample.group, {"hash": found.hash, "title": found.title})
    return groups


if __name__ == "__main__":
    content = {"version": VERSION, "groups": describe_groups()}
    GOLDEN.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
