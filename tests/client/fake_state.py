"""What the fake server knows: workflows, runs and jobs in memory, moved a step at each look at a run.

A command that contains `hold` runs until `released` is set, one with `exit N` (N > 0) fails, others are done.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

DATE = "2026-01-31T12:00:00.000000Z"
LETTERS = "GQIREFD"
JOB_DEFAULTS = {"tag": "", "slots": 1, "mem_free": 2, "max_attempts": 3, "max_runtime": None, "upstreams": []}


class Problem(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail, **more}


def resolve_upstreams(jobs: list[dict[str, Any]]) -> None:
    """Make positions of names, or refuse the graph with all its errors."""
    names = {job["name"]: position for position, job in enumerate(jobs)}
    errors = []
    for position, job in enumerate(jobs):
        found = []
        for number, reference in enumerate(job["upstreams"]):
            upstream = names.get(reference) if isinstance(reference, str) else reference
            if upstream is None or not 0 <= upstream < len(jobs):
                path = f"jobs[{position}].upstreams[{number}]"
                errors.append({"code": "unknown-upstream", "path": path, "job": job["name"], "detail": "no such job"})
            found.append(upstream)
        job["upstreams"] = found
    if len(names) < len(jobs):
        errors.append({"code": "duplicate-name", "path": "jobs", "job": "?", "detail": "a name is used twice"})
    if errors:
        detail = f"{len(errors)} errors in the graph; nothing was stored."
        raise Problem(400, "invalid-graph", detail, errors=errors[:100], error_count=len(errors))


class State:
    """All that the server stores, and how it moves."""

    def __init__(self) -> None:
        self.url = ""
        self.user = "alice"
        self.version = "0.1.0"
        self.features: list[str] = []
        self.leftovers = 0
        self.workflows: dict[int, dict[str, Any]] = {}
        self.runs: dict[int, dict[str, Any]] = {}
        self.jobs: dict[int, dict[str, Any]] = {}
        self.drafts: dict[str, dict[str, Any]] = {}
        self.released = False
        self.is_stuck = False

    def submit(self, body: dict[str, Any]) -> dict[str, Any]:
        """Store a graph or find it; `created` says which."""
        jobs = [{**JOB_DEFAULTS, **job} for job in body["jobs"]]
        resolve_upstreams(jobs)
        digest = hashlib.sha256(json.dumps(sorted(job["command"] for job in jobs)).encode()).hexdigest()
        key = (body["workflow_args"], digest)
        for known in self.workflows.values():
            if known["key"] == key:
                if known["user"] != self.user:
                    raise Problem(409, "workflow-in-use", "this workflow belongs to somebody else")
                return {**self.show_workflow(known["id"]), "created": False}
        return {**self._store(body, jobs, key, digest), "created": True}

    def _store(self, body: dict[str, Any], jobs: list[dict[str, Any]], key: Any, digest: str) -> dict[str, Any]:
        number = len(self.workflows) + 1
        first = len(self.jobs) + 1
        for position, job in enumerate(jobs):
            upstreams = [first + upstream for upstream in job["upstreams"]]
            self.jobs[first + position] = {
                **job, "upstreams": upstreams, "job_id": first + position, "dag_id": number, "workflow_id": number,
                "status": "G", "num_attempts": 0, "submitted_date": DATE, "status_date": DATE, "instances": [],
            }  # fmt: skip
        self.workflows[number] = {
            "id": number, "key": key, "dag_hash": digest, "user": self.user, "body": body, "runs": [],
            "jobs": list(range(first, first + len(jobs))), "status": "C", "change_no": 1,
        }  # fmt: skip
        return self.show_workflow(number)

    def find(self, kind: dict[Any, dict[str, Any]], number: Any) -> dict[str, Any]:
        """A thing by its number, or 404."""
        if number not in kind:
            raise Problem(404, "not-found", f"there is no {number}")
        return kind[number]

    def show_workflow(self, number: int) -> dict[str, Any]:
        one = self.find(self.workflows, number)
        body = one["body"]
        return {
            "id": number, "dag_id": number, "workflow_args": body["workflow_args"], "name": body.get("name", ""),
            "description": body.get("description", ""), "user": one["user"], "status": one["status"],
            "created_date": DATE, "status_date": DATE, "executor": body.get("executor", "local"),
            "dag_hash": one["dag_hash"], "job_count": len(one["jobs"]),
            "edge_count": sum(len(self.jobs[job]["upstreams"]) for job in one["jobs"]),
            "counts": self._count(one), "change_no": one["change_no"],
            "latest_run": self.show_run(one["runs"][-1]) if one["runs"] else None,
            "page": f"{self.url}/workflows/{number}/",
        }  # fmt: skip

    def show_run(self, number: int) -> dict[str, Any]:
        run = self.find(self.runs, number)
        workflow = self.workflows[run["workflow_id"]]
        counts, change_no = self._count(workflow), workflow["change_no"]
        return {**run, "counts": counts, "change_no": change_no, "page": f"{self.url}/workflow-runs/{number}/"}

    def start(self, number: int, body: dict[str, Any]) -> dict[str, Any]:
        """A new run; what is not done begins anew."""
        one = self.find(self.workflows, number)
        if one["status"] == "D":
            raise Problem(409, "workflow-already-complete", "every job is done")
        if one["status"] == "R":
            raise Problem(409, "workflow-running", "a run is live", run_id=one["runs"][-1])
        if self.leftovers > 0:
            self.leftovers -= 1
            raise Problem(409, "leftovers", "2 attempts are not confirmed gone")
        for job in (self.jobs[job] for job in one["jobs"]):
            if job["status"] != "D":
                job.update(status="G", num_attempts=0)
        run_id = len(self.runs) + 1
        self.runs[run_id] = {
            "id": run_id, "workflow_id": number, "user": self.user, "status": "R",
            "executor": body.get("executor", "local"), "project": body.get("project", ""),
            "stdout": body.get("stdout", ""), "stderr": body.get("stderr", ""), "hostname": body.get("hostname", ""),
            "pid": body.get("pid"), "created_date": DATE, "status_date": DATE, "ended_at": None, "stopping": "",
            "hold_reason": "", "resume": body.get("resume", "cold"),
        }  # fmt: skip
        one["runs"].append(run_id)
        one.update(status="R", change_no=one["change_no"] + 1)
        return self.show_run(run_id)

    def stop(self, run_id: int, mode: str) -> dict[str, Any]:
        run = self.find(self.runs, run_id)
        if run["status"] == "R":
            run["stopping"] = mode
        return self.show_run(run_id)

    def advance(self, run_id: int) -> None:
        """One step of a live run: what runs ends, what is ready starts, and the run ends when nothing can move."""
        run = self.find(self.runs, run_id)
        if run["status"] != "R":
            return
        one = self.workflows[run["workflow_id"]]
        jobs = [self.jobs[job] for job in one["jobs"]]
        has_moved = [self._end(job, run) for job in jobs if job["status"] == "R"]
        if not run["stopping"]:
            has_moved += [self._begin(job, run_id) for job in jobs if self._is_ready(job)]
        if any(has_moved):
            one["change_no"] += 1
        if not any(job["status"] == "R" for job in jobs):
            self._finish(run, one, jobs)

    def _is_ready(self, job: dict[str, Any]) -> bool:
        return job["status"] == "G" and all(self.jobs[upstream]["status"] == "D" for upstream in job["upstreams"])

    def _begin(self, job: dict[str, Any], run_id: int) -> bool:
        job.update(status="R", num_attempts=job["num_attempts"] + 1)
        instance_id = 1000 * job["job_id"] + len(job["instances"]) + 1
        job["instances"].append(
            {
                "job_instance_id": instance_id, "job_id": job["job_id"], "workflow_run_id": run_id, "status": "R",
                "executor_id": str(instance_id), "nodename": "vm", "reason": None, "exit_code": None,
                "status_date": DATE, "stdout": f"out of {job['name']}\n", "stderr": "",
            }
        )  # fmt: skip
        return True

    def _end(self, job: dict[str, Any], run: dict[str, Any]) -> bool:
        instance = job["instances"][-1]
        if run["stopping"] == "kill":
            instance.update(status="E", reason="killed")
            job["status"] = "G"
        elif self.is_stuck or ("hold" in job["command"] and not self.released):
            return False
        else:
            found = re.search(r"\bexit ([1-9]\d*)", job["command"])
            code = int(found.group(1)) if found else 0
            instance.update(status="E" if code else "D", exit_code=code, reason="exit" if code else None)
            instance["stderr"] = "".join(f"line {n} of {job['name']}\n" for n in range(1, 9)) if code else ""
            job["status"] = "D" if not code else "F" if job["num_attempts"] >= job["max_attempts"] else "G"
        return True

    def _finish(self, run: dict[str, Any], one: dict[str, Any], jobs: list[dict[str, Any]]) -> None:
        if all(job["status"] == "D" for job in jobs):
            letter = "D"
        elif run["stopping"]:
            letter = "S"
        elif any(self._is_ready(job) for job in jobs):
            return
        else:
            letter = "E"
        run.update(status=letter, ended_at=DATE)
        one.update(status=letter, change_no=one["change_no"] + 1)

    def list_errors(self, number: int) -> list[dict[str, Any]]:
        """Failed attempts, newest first."""
        jobs = [self.jobs[job] for job in self.find(self.workflows, number)["jobs"]]
        return [
            {
                "job_id": job["job_id"], "job_name": job["name"], "tag": job["tag"], "job_status": job["status"],
                "job_instance_id": instance["job_instance_id"], "reason": instance["reason"],
                "exit_code": instance["exit_code"], "error_time": DATE,
                "description": f"Exit code {instance['exit_code']}", "stderr_tail": instance["stderr"],
            }
            for job in reversed(jobs)
            for instance in reversed(job["instances"])
            if instance["status"] == "E"
        ]  # fmt: skip

    def find_instance(self, instance_id: int) -> dict[str, Any]:
        job = self.find(self.jobs, instance_id // 1000)
        for instance in job["instances"]:
            if instance["job_instance_id"] == instance_id:
                found: dict[str, Any] = instance
                return found
        raise Problem(404, "not-found", f"there is no attempt {instance_id}")

    def _count(self, one: dict[str, Any]) -> dict[str, int]:
        counts = dict.fromkeys(LETTERS, 0)
        for job in one["jobs"]:
            counts[self.jobs[job]["status"]] += 1
        return counts
