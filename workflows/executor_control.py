"""What people, and the server itself, decide about executors and hosts: holds, limits, exclusions. Each is one
transaction with its audit row; nothing that runs is touched."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone

from workflows import bell
from workflows.actor import Actor
from workflows.audit import write_audit
from workflows.models import ExecutorState, HostExclusion, WorkflowRun
from workflows.transactions import write_transaction

HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,253}")
MOST_EXCLUDED = 200
OF_THIS_MACHINE = frozenset({"local", "sequential", "dummy"})


class NotChanged(Exception):
    """The message says what was wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What was set for one executor: at most so many attempts at once (None: its own number), and a hold."""

    max_live: int | None = None
    hold_reason: str = ""


def server() -> Actor:
    """Who acts when nobody does: never stored as a person, named in the activity."""
    return Actor(User(username="server"), "system")


def can_exclude_hosts(executor: str) -> bool:
    """Whether the executor chooses among hosts."""
    return executor not in OF_THIS_MACHINE


@write_transaction
def hold(name: str, reason: str, actor: Actor) -> None:
    """Nothing new is submitted to this executor until it is released; an empty reason releases it."""
    state = _state(name)
    held = {"hold_reason": reason[:500], "held_at": timezone.now() if reason else None}
    ExecutorState.objects.filter(pk=name).update(**held, held_by=actor.name if reason else "")
    action = "hold-executor" if reason else "release-executor"
    write_audit(actor, action, f"executor {name}", before={"hold": state.hold_reason}, after={"hold": reason})


@write_transaction
def set_limit(name: str, max_live: int | None, actor: Actor) -> None:
    """At most so many attempts at once, of all runs together; None for the executor's own number."""
    state = _state(name)
    ExecutorState.objects.filter(pk=name).update(max_live=max_live)
    before, after = {"limit": state.max_live}, {"limit": max_live}
    write_audit(actor, "limit-executor", f"executor {name}", before=before, after=after)


def _state(name: str) -> ExecutorState:
    """Locked. Raises NotChanged for one that was never used here."""
    state = ExecutorState.objects.select_for_update().filter(pk=name).first()
    if state is None:
        raise NotChanged(f"There is no executor {name[:64]!r} here.")
    return state


@write_transaction
def exclude_host(executor: str, host: str, reason: str, actor: Actor) -> bool:
    """Nothing new starts on this host. False: it is excluded already. Raises NotChanged."""
    if not can_exclude_hosts(executor):
        raise NotChanged(f"The executor {executor} has only one host; hold it instead.")
    if not HOST.fullmatch(host):
        raise NotChanged(f"“{host[:60]}” is not the name of a host.")
    _state(executor)
    if HostExclusion.objects.filter(executor=executor, is_excluded=True).count() >= MOST_EXCLUDED:
        raise NotChanged(f"{MOST_EXCLUDED} hosts of {executor} are excluded; readmit some, or hold the executor.")
    return _set_excluded(executor, host, True, reason, actor)


@write_transaction
def readmit_host(executor: str, host: str, actor: Actor) -> bool:
    """Jobs may start there again. False: it was not excluded."""
    known = HostExclusion.objects.filter(executor=executor, host=host).exists()
    return known and _set_excluded(executor, host, False, "", actor)


def _set_excluded(executor: str, host: str, is_excluded: bool, reason: str, actor: Actor) -> bool:
    values = {
        "is_excluded": is_excluded,
        "reason": reason[:500],
        "changed_at": timezone.now(),
        "changed_by": actor.name,
    }
    rows = HostExclusion.objects.filter(executor=executor, host=host)
    if rows.filter(is_excluded=is_excluded).exists():
        return False
    if not rows.update(**values):
        HostExclusion.objects.create(executor=executor, host=host, **values)
    action = "exclude-host" if is_excluded else "readmit-host"
    write_audit(actor, action, f"host {host}"[:64], after={"executor": executor, **({"why": reason} if reason else {})})
    return True


def ring_live_runs() -> None:
    """What may start now need not wait for the sweep."""
    for run_id in WorkflowRun.objects.filter(status="R").order_by("pk").values_list("pk", flat=True)[:100]:
        bell.ring(run_id)


def read_decided() -> dict[str, Decided]:
    """What was set, of executors for which anything is: one query."""
    rows = ExecutorState.objects.filter(Q(max_live__isnull=False) | ~Q(hold_reason=""))
    return {row.name: Decided(row.max_live, row.hold_reason) for row in rows.only("name", "max_live", "hold_reason")}


def read_excluded() -> dict[str, tuple[str, ...]]:
    """Executor → its excluded hosts, in order: one query."""
    found: dict[str, list[str]] = defaultdict(list)
    rows = HostExclusion.objects.filter(is_excluded=True).order_by("executor", "host")
    for executor, host in rows.values_list("executor", "host"):
        found[executor].append(host)
    return {executor: tuple(hosts) for executor, hosts in found.items()}
