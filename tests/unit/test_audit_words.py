"""The audit in words: no letter, no name of a field and no `None` where a person reads."""

from __future__ import annotations

from typing import Any

import pytest

from workflows.audit_words import action_words, change_words

CASES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("set-limits", {"run": None, "fit": 8}, {"run": 1000, "fit": 8}, "all none → 1,000"),
    ("set-limits", {"run": 5}, {"run": 5}, "as they were"),
    ("hold", {"hold": ""}, {"hold": "disk full"}, "disk full"),
    ("release", {"hold": "disk full"}, {"hold": ""}, "was held: disk full"),
    ("reset", {"statuses": {"D": 1, "F": 1200}}, {}, "1 done, 1,200 failed"),
    ("kill-attempts", {"statuses": {"B": 2, "R": 1}}, {"then": "fail"}, "2 in the queue, 1 running, left failed"),
    ("kill-attempts", {}, {"then": "retry"}, "tried again"),
    ("stop-kill", {"stopping": "drain"}, {"stopping": "kill"}, "before: what runs may finish"),
    ("stop-drain", {"stopping": ""}, {"stopping": "drain"}, ""),
    ("change-requests", {"mem_free": [4.0, 6.0]}, {"mem_free": 8.0}, "memory, GB: 4 or 6 → 8"),
    ("set-note", {"note": ""}, {"note": "ask Bo"}, "note: none → ask Bo"),
    ("start-run", {"status": "S"}, {"resume": "cold", "scope": {"tags": ["fit"]}},
     "status was stopped, resume: cold, scope: tags fit"),
    ("start-run", {"status": "C"}, {"resume": "cold", "executor": "sge"}, "executor: sge"),
    ("confirm-operation", {}, {"action": "requests", "jobs": "all jobs", "values": {"mem_free": 6.0}},
     "change what jobs ask for (all jobs), memory, GB: 6"),
    ("confirm-operation", {}, {"action": "kill", "jobs": "status: R", "then": "fail"}, "kill attempts (status: R), left failed"),
    ("confirm-operation", {}, {"action": "done", "jobs": "2 jobs", "note": "by hand"}, "mark done (2 jobs), note: by hand"),
    ("share", {"group": "", "group_may_operate": False}, {"group": "lab", "group_may_operate": True},
     "group: none → lab, group may operate: no → yes"),
]  # fmt: skip


@pytest.mark.parametrize(("action", "before", "after", "said"), CASES)
def test_what_changed(action: str, before: dict[str, Any], after: dict[str, Any], said: str) -> None:
    assert change_words(action, before, after) == said


def test_actions_have_words() -> None:
    assert action_words("stop-kill") == "asked to stop: what runs is killed"
    assert action_words("exclude-host") == "excluded a host"
    assert action_words("fold-sheets") == "fold sheets", "of a newer version"
