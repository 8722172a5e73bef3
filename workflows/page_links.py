"""Pure: where hosts, and all that the audit names, have their pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from workflows.digits import read_digits

BY_NUMBER = {
    "workflow": "/workflows/",
    "run": "/workflow-runs/",
    "job": "/jobs/",
    "error group": "/error-groups/",
}
LONGEST = 64  # of a target: a longer name is cut, and leads nowhere
SHORT_ID = 8
_SLUG = re.compile(r"[A-Za-z0-9_-]+")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def target_path(target: str, action: str, after: Mapping[str, object]) -> str:
    """`/jobs/12/` of `job 12`; '' of what has no page, or has none any more."""
    kind, _, name = target.rpartition(" ")
    if action == "purge" or len(target) >= LONGEST:
        return ""
    if kind in BY_NUMBER:
        return f"{BY_NUMBER[kind]}{name}/" if read_digits(name) is not None else ""
    if kind == "operation":
        return f"/operations/{name}/" if _UUID.fullmatch(name) else ""
    if kind == "executor":
        return f"/executors/{name}/" if _SLUG.fullmatch(name) else ""
    if kind == "host" and _SLUG.fullmatch(executor := str(after.get("executor") or "")):
        return host_path(executor, name)
    return ""


def host_path(executor: str, host: str) -> str:
    """Names of hosts come from batch systems: whatever is in them stays one part of the address."""
    return f"/hosts/{quote(executor, safe='')}/{quote(host, safe='')}/"


def target_words(target: str) -> str:
    """As people see it: of an operation's id only the beginning, which tells it from the others."""
    kind, _, name = target.rpartition(" ")
    return f"operation {name[:SHORT_ID]}" if kind == "operation" else target


def names_workflow(target: str, workflow_id: int | None) -> bool:
    """Whether the target says already which workflow it was."""
    return workflow_id is None or target == f"workflow {workflow_id}"
