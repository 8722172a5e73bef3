"""How workflows, runs and their errors look."""

from __future__ import annotations

from typing import Any

import click

from jobmon.cli.output import JOB_WORDS, WORKFLOW_WORDS, format_counts, format_time, print_facts, print_table


def describe_workflow(found: dict[str, Any]) -> list[tuple[str, Any]]:
    """What `show` tells of a workflow, with its latest run."""
    run = found.get("latest_run")
    return [
        ("workflow", found["id"]),
        ("status", WORKFLOW_WORDS.get(found["status"], found["status"])),
        ("name", found.get("name")),
        ("workflow_args", found["workflow_args"]),
        ("description", found.get("description")),
        ("user", found.get("user")),
        ("executor", found.get("executor")),
        ("jobs", f"{found['job_count']}: {format_counts(found.get('counts'))}"),
        ("edges", found.get("edge_count")),
        ("created", format_time(found.get("created_date"))),
        ("changed", format_time(found.get("status_date"))),
        ("page", found.get("page")),
        *(
            [(f"latest {name}" if name == "run" else name, value) for name, value in describe_run(run)[:2]]
            if run
            else []
        ),
    ]


def describe_run(run: dict[str, Any]) -> list[tuple[str, Any]]:
    """What `show --run` tells of a run."""
    return [
        ("run", run["id"]),
        ("run status", WORKFLOW_WORDS.get(run["status"], run["status"])),
        ("workflow", run["workflow_id"]),
        ("user", run.get("user")),
        ("started from", f"{run.get('hostname') or '?'}, process {run.get('pid') or '?'}"),
        ("executor", run.get("executor")),
        ("jobs", format_counts(run.get("counts"))),
        ("stopping", run.get("stopping")),
        ("held", run.get("hold_reason")),
        ("started", format_time(run.get("created_date"))),
        ("ended", format_time(run.get("ended_at"))),
        ("page", run.get("page")),
    ]


def print_errors(found: list[dict[str, Any]]) -> None:
    """Each error with the last lines of its stderr."""
    for error in found:
        state = JOB_WORDS.get(error.get("job_status", ""), "")
        print_facts(
            [
                ("job", f"{error['job_id']} {error['job_name']} ({state})"),
                ("reason", error.get("reason")),
                ("exit code", error.get("exit_code")),
                ("time", format_time(error.get("error_time"))),
                ("description", error.get("description")),
                ("stderr", (error.get("stderr_tail") or "").rstrip()),
            ]
        )
        click.echo()


def print_groups(found: list[dict[str, Any]]) -> None:
    """A row per kind of error."""
    print_table(
        ("id", "failed", "retrying", "blocked", "reason", "error", "last seen"),
        [
            (
                group["id"],
                group.get("jobs_failed"),
                group.get("jobs_retrying"),
                group.get("jobs_blocked"),
                group.get("reason"),
                group["title"],
                format_time(group.get("last_seen")),
            )
            for group in found
        ],
    )


def print_workflows(found: list[dict[str, Any]]) -> None:
    """A row per workflow."""
    print_table(
        ("id", "status", "name", "workflow_args", "user", "jobs", "changed"),
        [
            (
                one["id"],
                WORKFLOW_WORDS.get(one["status"], one["status"]),
                one.get("name"),
                one["workflow_args"],
                one.get("user"),
                format_counts(one.get("counts")),
                format_time(one.get("status_date")),
            )
            for one in found
        ],
    )


def print_runs(found: list[dict[str, Any]]) -> None:
    """A row per run."""
    print_table(
        ("run", "status", "user", "executor", "jobs", "started", "ended"),
        [
            (
                one["id"],
                WORKFLOW_WORDS.get(one["status"], one["status"]),
                one.get("user"),
                one.get("executor"),
                format_counts(one.get("counts")),
                format_time(one.get("created_date")),
                format_time(one.get("ended_at")),
            )
            for one in found
        ],
    )


def print_jobs(found: list[dict[str, Any]]) -> None:
    """A row per job."""
    print_table(
        ("job_id", "status", "name", "tag", "attempts", "changed"),
        [
            (
                one["job_id"],
                JOB_WORDS.get(one["status"], one["status"]),
                one["name"],
                one.get("tag"),
                f"{one.get('num_attempts', 0)}/{one.get('max_attempts', '?')}",
                format_time(one.get("status_date")),
            )
            for one in found
        ],
    )


def print_graph(found: dict[str, Any]) -> None:
    """A row per tag, with the tags that it waits for."""
    upstreams: dict[str, list[str]] = {}
    for edge in found["edges"]:
        upstreams.setdefault(edge["downstream"], []).append(edge["upstream"])
    print_table(
        ("tag", "jobs", "waits for"),
        [
            (node["name"], format_counts(node["counts"]), ", ".join(upstreams.get(node["name"], ())))
            for node in found["nodes"]
        ],
    )
