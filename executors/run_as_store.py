"""The attempt stores of a server that runs jobs as their owners: one for each owner, and one in front that routes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol, TypeVar

from executors.base import AttemptStore, Evidence, ExecutorUnavailable, Hint, Token, Usage
from executors.run_as import LogRefused, RunAs
from executors.token_file import parse_token

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Owners(Protocol):
    """Whose attempts are whose: the database's knowledge, never that of a file."""

    def accounts_of(self, instance_ids: Collection[int]) -> Mapping[int, str]:
        """Attempt → Unix account it was handed over as. Those of the service itself are absent."""

    def live_accounts(self, executor: str) -> Mapping[str, Mapping[str, int]]:
        """Unix account ("": the service's own) → its live attempts on this executor, by name."""


class OwnerStore:
    """The attempts of one account. What cannot be asked is left out of an answer: then nothing is decided about it."""

    def __init__(self, run_as: RunAs, account: str) -> None:
        self._run_as = run_as
        self._account = account

    def read(self, instance_ids: Iterable[int]) -> dict[int, Evidence]:
        return self._ask(lambda: self._run_as.evidence(self._account, list(instance_ids)))

    def void(self, instance_ids: Iterable[int], who: str) -> dict[int, Token]:
        found = self._ask(lambda: self._run_as.void(self._account, list(instance_ids), who))
        return {number: one.token for number, one in found.items() if one.token is not None}

    def _ask(self, question: Callable[[], Mapping[int, Mapping[str, object]]]) -> dict[int, Evidence]:
        try:
            found = question()
        except ExecutorUnavailable as error:
            logger.warning("attempts of %s cannot be read: %s", self._account, error)
            return {}
        return {number: parse_token(str(one["token"]), float(str(one["modified"]))) for number, one in found.items()}

    def tail(self, instance_id: int, stream: str, limit: int) -> bytes | None:
        try:
            return self._run_as.read_log(self._account, instance_id, stream, None, limit).data
        except LogRefused as error:
            if error.code != "missing":
                logger.warning("%s of attempt %s cannot be read: %s", stream, instance_id, error)
            return None


class RoutedStore:
    """Finds for each attempt the store it is in; hints are those of the server's own spool, where all jobs ring."""

    def __init__(self, own: AttemptStore, owners: Owners, run_as: RunAs) -> None:
        self._own = own
        self._owners = owners
        self._run_as = run_as

    def _find(self, account: str) -> OwnerStore:
        return OwnerStore(self._run_as, account)

    def _split(self, instance_ids: Iterable[int]) -> tuple[list[int], dict[str, list[int]]]:
        """The service's own attempts, and the owners'."""
        listed = list(instance_ids)
        accounts = self._owners.accounts_of(listed)
        by_account: dict[str, list[int]] = {}
        for number in listed:
            if number in accounts:
                by_account.setdefault(accounts[number], []).append(number)
        return [number for number in listed if number not in accounts], by_account

    def read(self, instance_ids: Iterable[int]) -> dict[int, Evidence]:
        own, owned = self._split(instance_ids)
        found = self._own.read(own) if own else {}
        for account, numbers in owned.items():
            found |= _only(self._find(account).read(numbers), numbers)
        return found

    def void(self, instance_ids: Iterable[int], who: str) -> dict[int, Token]:
        own, owned = self._split(instance_ids)
        found = self._own.void(own, who) if own else {}
        for account, numbers in owned.items():
            found |= _only(self._find(account).void(numbers, who), numbers)
        return found

    def hints(self) -> list[Hint]:
        return self._own.hints()

    def count_hints(self) -> Counter[int]:
        return self._own.count_hints()

    def read_usage(self, hint: Hint) -> Usage | None:
        return self._own.read_usage(hint)

    def clear_hints(self, hints: Iterable[Hint]) -> None:
        self._own.clear_hints(hints)

    def tail(self, instance_id: int, stream: str, limit: int, path: str = "") -> bytes | None:
        account = self._owners.accounts_of([instance_id]).get(instance_id)
        if account is None:
            return self._own.tail(instance_id, stream, limit, path)
        return self._find(account).tail(instance_id, stream, limit)


def _only(found: dict[int, T], asked: Collection[int]) -> dict[int, T]:
    """An answer speaks of what was asked, and of nothing else."""
    wanted = set(asked)
    return {number: one for number, one in found.items() if number in wanted}
