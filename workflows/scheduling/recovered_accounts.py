"""Attempts that ran as their owners' Unix accounts, when the database of before does not know them: their tokens are
where only that account may look, so the run must belong to it again before anything is judged."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings

from workflows import lifecycle
from workflows.actor import Actor
from workflows.models import RunAccount, WorkflowRun
from workflows.queries.accounts import account_of_run
from workflows.scheduling.intents import Entry
from workflows.transactions import write_transaction

HOLD = "After a restore from a backup, attempts of this run are out of reach"


def bind_again(run: WorkflowRun, entries: Sequence[Entry]) -> str:
    """Give the run the account that its attempts were handed over as; "" or what a person has to do. In that case the
    run is held: what cannot be seen may still run, and must not run a second time."""
    accounts = sorted({entry.account for entry in entries})
    bound = account_of_run(run.pk) or ""
    if accounts == [bound]:
        return _hold_unless_reachable(run, bound)
    if len(accounts) == 1 and not bound and not run.instances.exists():
        _bind(run, accounts[0])
        return _hold_unless_reachable(run, accounts[0])
    ran_as = ", ".join(account or "the server's own" for account in accounts)
    return _hold(run, f"they ran as {ran_as}, the run belongs to {bound or 'the server itself'}")


@write_transaction
def _bind(run: WorkflowRun, account: str) -> None:
    RunAccount.objects.bulk_create([RunAccount(run=run, account=account)], ignore_conflicts=True)


def _hold_unless_reachable(run: WorkflowRun, account: str) -> str:
    if account and settings.RUN_AS != "owner":
        return _hold(run, f"they ran as {account}, and JOBMON_RUN_AS is not `owner` now")
    return ""


def _hold(run: WorkflowRun, why: str) -> str:
    lifecycle.hold_run(run.pk, f"{HOLD}: {why}.", Actor(run.workflow.owner, "system"))
    return f"run {run.pk} of workflow {run.workflow_id}: {why}; it is held. See that none of its jobs runs before it is released"


def name_out_of_reach(foreign: Sequence[Entry]) -> list[str]:
    """Attempts of workflows that are lost: whose they are is known from the journal alone, which nobody is asked by."""
    accounts = sorted({entry.account for entry in foreign if entry.account})
    return [
        f"jobs of {account}, of workflows that this database does not have, were not looked at and are not ended: "
        f"{account} or the cluster's administrator can ({', '.join(e.name for e in foreign if e.account == account)[:300]})"
        for account in accounts
    ]
