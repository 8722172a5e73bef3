"""What the audit keeps of a start: how the run was opened, and all that was chosen for it or taken from its workflow."""

from __future__ import annotations

from typing import Any

from workflows.models import WorkflowRun
from workflows.scope import Scope

MOST_IDS = 20
NAMED = (
    "resume", "executor", "project", "stdout", "stderr", "working_dir", "max_concurrently_running", "hostname", "pid",
)  # fmt: skip


def describe_start(run: WorkflowRun, scope: Scope, chosen: dict[str, Any]) -> dict[str, Any]:
    """`chosen`: what the start changes of the workflow itself."""
    found = {name: getattr(run, name) for name in NAMED} | {"scope": _describe_scope(scope)} | chosen
    return {name: value for name, value in found.items() if value not in (None, "", {})}


def _describe_scope(scope: Scope) -> dict[str, Any]:
    """Many jobs by their number only: the run keeps which ones they were."""
    said = {key: value for key, value in (scope.as_json() or {}).items() if value}
    if len(scope.job_ids) > MOST_IDS:
        said["job_ids"] = f"{len(scope.job_ids)} jobs"
    return said
