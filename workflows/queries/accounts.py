"""Reads of who runs as whom."""

from __future__ import annotations

from collections.abc import Collection

from django.contrib.auth.models import AnonymousUser, User

from workflows.bulk import chunked
from workflows.models import JobInstance, RunAccount, UnixAccount
from workflows.models.execution import LIVE_LETTERS


def find_account(user: User | AnonymousUser) -> UnixAccount | None:
    """The Unix account that this person's jobs run as."""
    return UnixAccount.objects.filter(user_id=user.pk or 0).first()


def account_of_run(run_id: int) -> str | None:
    """The account that this run's attempts were handed over as; None: the service's own."""
    return RunAccount.objects.filter(pk=run_id).values_list("account", flat=True).first()


class DatabaseOwners:
    """What the executors ask to find the account of an attempt (see `executors/run_as_store.py`)."""

    def accounts_of(self, instance_ids: Collection[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        for chunk in chunked(sorted(set(instance_ids))):
            rows = JobInstance.objects.filter(pk__in=chunk, workflow_run__run_account__isnull=False)
            found.update(rows.values_list("pk", "workflow_run__run_account__account"))
        return found

    def live_accounts(self, executor: str) -> dict[str, dict[str, int]]:
        rows = JobInstance.objects.filter(executor_type=executor, status__in=LIVE_LETTERS)
        found: dict[str, dict[str, int]] = {}
        for account, name, pk in rows.values_list("workflow_run__run_account__account", "name", "pk"):
            found.setdefault(account or "", {})[name] = pk
        return found
