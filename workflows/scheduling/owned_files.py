"""Takes away files of attempts that ran as their owners: only they may, so it is done in their names, by the helper."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from workflows.models import JobInstance
from workflows.queries.accounts import DatabaseOwners
from workflows.scheduling import back_ends


class FilesStay(Exception):
    """Some of the files could not be removed; the words say which and why."""


def remove_owned_files(attempt_ids: Sequence[int], is_leaving: bool = False) -> None:
    """The folders of these attempts and of their array jobs. Raises FilesStay, unless what cannot go is to be left."""
    by_account: dict[str, list[int]] = defaultdict(list)
    for attempt_id, account in DatabaseOwners().accounts_of(attempt_ids).items():
        by_account[account].append(attempt_id)
    for account, own in by_account.items():
        words = back_ends.run_as().remove(account, own, batches_of(own))
        if words and not is_leaving:
            raise FilesStay(words)


def batches_of(attempt_ids: Sequence[int]) -> list[str]:
    """Names of the array jobs that these attempts were tasks of."""
    tasks = JobInstance.objects.filter(pk__in=attempt_ids, batch_index__gt=0).exclude(batch="")
    return sorted(set(tasks.values_list("batch", flat=True)))
