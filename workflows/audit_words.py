"""Pure: what the audit tells, in the words of the pages: of the activity, of a run and of the time line alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from workflows import looks, words
from workflows.directions import fenced

Values = Mapping[str, object]
ACTIONS = {
    "start-run": "started",
    "stop-drain": "asked to stop: what runs may finish",
    "stop-kill": "asked to stop: what runs is killed",
    "hold": "held",
    "release": "released",
    "set-limits": "changed the limits",
    "reset": "reset, to run again",
    "mark-done": "marked done",
    "kill-attempts": "killed",
    "change-requests": "changed what jobs ask for",
    "change-error-group": "changed an error group",
    "set-note": "changed the note",
    "share": "changed sharing",
    "submit": "submitted",
    "purge": "removed, for its age",
    "confirm-operation": "confirmed an operation",
    "stop-operation": "stopped an operation",
    "hold-executor": "held an executor",
    "release-executor": "released an executor",
    "limit-executor": "changed an executor's limit",
    "exclude-host": "excluded a host",
    "readmit-host": "readmitted a host",
    "sign-in": "signed in",
    "sign-in-failed": "could not sign in",
    "sign-out": "signed out",
    "end-session": "ended a session",
    "end-sessions": "signed out everywhere",
    "make-token": "made a token",
    "revoke-token": "revoked a token",
    "make-sign-in-link": "made a sign-in link",
    "create-user": "made an account",
    "change-account": "changed an account",
    "map-account": "chose the account that jobs run as",
    "mirror-groups": "took over groups",
    "mail-settings": "changed mail settings",
    "confirm-mail": "confirmed a mail address",
    "recover": "recovered what a restore had lost",
    "repair": "repaired the database",
}
OPERATIONS = {
    "retry": "try again",
    "kill": "kill attempts",
    "done": "mark done",
    "rerun": "run again",
    "requests": "change what jobs ask for",
}
NAMES = {
    "mem_free": "memory, GB",
    "max_runtime": "longest run time, s",
    "max_attempts": "attempts",
    "max_concurrently_running": "at once",
    "working_dir": "folder",
    "hold": "why",
    "then": "and then",
}
THEN = {"retry": "tried again", "fail": "left failed"}
STOP = {"": "not asked to stop", "drain": "what runs may finish", "kill": "what runs is killed"}


def action_words(action: str) -> str:
    """`set-limits` as people say it."""
    return ACTIONS.get(action) or action.replace("_", " ").replace("-", " ")


def change_words(action: str, before: Values, after: Values) -> str:
    """What an action changed: `all jobs 100 → 500`."""
    if (say := SAID.get(action)) is not None:
        return say(before, after)
    return _changes(action, before, after)


def _changes(action: str, before: Values, after: Values) -> str:
    names = [*before, *(name for name in after if name not in before)]
    return ", ".join(_change(action, name, before, after) for name in names)


def _change(action: str, name: str, before: Values, after: Values) -> str:
    label = _label(name)
    if name == "statuses":
        return _counts(action, before.get(name) or after.get(name))
    if name not in after:
        return f"{label} was {_value(name, before[name])}"
    if name not in before:
        return f"{label}: {_value(name, after[name])}"
    return f"{label}: {_value(name, before[name])} → {_value(name, after[name])}"


def _label(name: str) -> str:
    return NAMES.get(name) or fenced(name.replace("_", " "))


def _value(name: str, value: object) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{_label(key)} {_value(key, one)}" for key, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return " or ".join(_value(name, one) for one in value) or "none"
    if isinstance(value, float):
        return f"{value:.10g}"
    if name == "status" and value in looks.WORKFLOW:
        return looks.WORKFLOW[str(value)].word
    return f"{value:,}" if isinstance(value, int) and name not in ("run", "pid") else fenced(value)


def _counts(action: str, counts: object) -> str:
    """`3 failed, 1 done`: in which statuses the jobs were, or the attempts that were killed."""
    known = looks.INSTANCE if action == "kill-attempts" else looks.JOB
    told = counts.items() if isinstance(counts, Mapping) else ()
    return ", ".join(f"{count:,} {known[letter].word if letter in known else fenced(letter)}" for letter, count in told)


def limits_changed(before: Values, after: Values) -> str:
    """`all 100 → 500, fit none → 20`; what stayed is not told."""
    changed = [name for name in after if after[name] != before.get(name)]
    told = (
        f"{'all' if name == 'run' else fenced(name)} {_value(name, _limit(before, name))} → {_value(name, _limit(after, name))}"
        for name in changed
    )
    return ", ".join(told)


def _limit(limits: Values, name: str) -> object:
    """As text: a run's limit is a number of jobs, not the number of a run."""
    limit = limits.get(name)
    return words.number(limit) if isinstance(limit, int) else limit


def limits_words(before: Values, after: Values) -> str:
    """`Limits changed: all 100 → 500, fit none → 20`"""
    changed = limits_changed(before, after)
    return f"Limits changed: {changed}" if changed else "Limits set again, as they were"


def _kill(before: Values, after: Values) -> str:
    counts = _counts("kill-attempts", before.get("statuses"))
    then = THEN.get(str(after.get("then", "")), "")
    return ", ".join(part for part in (counts, then) if part)


def _start(before: Values, after: Values) -> str:
    """A first start resumes nothing."""
    if before.get("status") == "C":
        return _changes("start-run", {}, {name: value for name, value in after.items() if name != "resume"})
    return _changes("start-run", before, after)


def _confirm(_before: Values, after: Values) -> str:
    """`change what jobs ask for (all jobs), memory, GB: 6`"""
    action, jobs = str(after.get("action", "")), after.get("jobs")
    head = f"{OPERATIONS.get(action) or fenced(action)}{f' ({fenced(jobs)})' if jobs else ''}"
    rest = {name: value for name, value in after.items() if name not in ("action", "jobs", "values", "then")}
    values = after.get("values")
    told = [
        head,
        THEN.get(str(after.get("then", "")), ""),
        _changes("", {}, values if isinstance(values, Mapping) else {}),
    ]
    return ", ".join(part for part in (*told, _changes("", {}, rest)) if part)


def _stop(before: Values, _after: Values) -> str:
    earlier = before.get("stopping")
    return f"before: {STOP.get(str(earlier)) or fenced(earlier)}" if earlier else ""


SAID: dict[str, Callable[[Values, Values], str]] = {
    "set-limits": lambda before, after: limits_changed(before, after) or "as they were",
    "hold": lambda _before, after: fenced(after.get("hold") or ""),
    "hold-executor": lambda _before, after: fenced(after.get("hold") or ""),
    "release": lambda before, _after: f"was held: {fenced(before['hold'])}" if before.get("hold") else "",
    "release-executor": lambda before, _after: f"was held: {fenced(before['hold'])}" if before.get("hold") else "",
    "start-run": _start,
    "confirm-operation": _confirm,
    "stop-operation": _confirm,
    "kill-attempts": _kill,
    "stop-drain": _stop,
    "stop-kill": _stop,
}
