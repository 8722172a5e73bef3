"""The mapping of people to Unix accounts: explicit, verified when it is made and again before anything starts."""

from __future__ import annotations

import os
import pwd

from django.contrib.auth.models import User
from django.utils import timezone

from workflows.actor import Actor
from workflows.audit import write_audit
from workflows.models import RunAccount, UnixAccount, WorkflowRun
from workflows.state_machine import RunStatus
from workflows.transactions import write_transaction

HOLD = "owner has no Unix account"


class NotUsable(Exception):
    """This account is not one that jobs may run as; the message says why."""


def find_fault(account: str) -> str | None:
    """A sentence if no job can run as this account, else None. The helper looks closer."""
    try:
        found = pwd.getpwnam(account)
    except (KeyError, ValueError):
        return f"there is no Unix account {account!r} on this machine"
    if found.pw_name != account:
        return f"the machine calls the account {account!r} {found.pw_name!r}"
    if found.pw_uid == 0:
        return "jobs never run as root"
    if found.pw_uid == os.geteuid():
        return f"{account} is the account of the service itself"
    return None


@write_transaction
def set_account(user: User, account: str, actor: Actor) -> None:
    """Map a person to a Unix account; "" takes the mapping away. Raises NotUsable."""
    before = UnixAccount.objects.select_for_update().filter(user=user).first()
    if not account:
        UnixAccount.objects.filter(user=user).delete()
    else:
        if fault := find_fault(account):
            raise NotUsable(fault)
        other = UnixAccount.objects.exclude(user=user).filter(account=account).select_related("user").first()
        if other is not None:
            raise NotUsable(f"{account} is the account of {other.user.get_username()} already")
        values = {"account": account, "verified_at": timezone.now(), "verified_by": actor.name}
        UnixAccount.objects.update_or_create(user=user, defaults=values)
    write_audit(
        actor,
        "map-account",
        f"user {user.get_username()}"[:64],
        before={"account": before.account if before else ""},
        after={"account": account},
    )


def find_held(user: User) -> list[int]:
    """Live runs of this person that wait for the mapping."""
    runs = WorkflowRun.objects.filter(workflow__owner=user, status=RunStatus.RUNNING.value)
    return list(runs.filter(hold_reason__startswith=HOLD).values_list("pk", flat=True))


@write_transaction
def bind_run(run: WorkflowRun) -> str:
    """Fix the account of a run before its first attempt is meant; the reason why nothing may start, or ""."""
    mapped = UnixAccount.objects.filter(user_id=run.workflow.owner_id).values_list("account", flat=True).first()
    if mapped is None:
        return f"{HOLD}: ask the administrator for `manage.py unix_account {run.workflow.user} ACCOUNT`"
    if fault := find_fault(mapped):
        return f"{HOLD} any more: {fault}"
    bound = RunAccount.objects.filter(pk=run.pk).values_list("account", flat=True).first()
    if bound is None and run.instances.exists():
        return "attempts of this run were started as the service; stop it and resume it, then jobs run as their owner"
    if bound is not None and bound != mapped:
        return f"this run was started as {bound}, its owner is now {mapped}; stop it and resume it"
    if bound is None:
        RunAccount.objects.bulk_create([RunAccount(run=run, account=mapped)], ignore_conflicts=True)
    return ""


def hand_on(old: WorkflowRun, new: WorkflowRun) -> None:
    """The new run takes over what the old one has live, so it runs as the same account. Call it in a transaction."""
    bound = RunAccount.objects.filter(pk=old.pk).first()
    if bound is not None and new.instances.exists():
        RunAccount.objects.bulk_create([RunAccount(run=new, account=bound.account)], ignore_conflicts=True)
