"""Why attempts wait in the queue of a batch system whose listing does not say: asked for a few of them, seldom, and never
in the way of the listing. What was answered stands until the next answer; whoever starts loses it."""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, islice, zip_longest

from django.db.models import Q, QuerySet
from django.utils import timezone

from executors.base import Executor, ExecutorUnavailable, Listed, Phase, QueueReasons
from executors.batch import batch_of
from workflows.models import ExecutorState
from workflows.scheduling import back_ends
from workflows.scheduling.live_attempts import LiveAttempt
from workflows.transactions import write_transaction

logger = logging.getLogger(__name__)
JOBS_ASKED = 20
# The answer tells of each task of an array that has started, too
STARTED_AT_MOST = 200
# The scheduler must have looked at a job before it can say anything of it
SETTLED_SECONDS = 15.0
# A batch system that is slow already is left alone, and at most a hundredth of the time is spent asking
SLOW_LISTING = 2.0
COST_SHARE = 100
LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued attempt of which the listing says nothing more."""

    live: LiveAttempt
    listed: Listed

    @property
    def stored(self) -> str:
        return "" if self.live.phase else self.live.phase_message

    @property
    def request(self) -> tuple[int, float | None, int | None]:
        """Who asks alike waits for the same, most often: one of each is asked about first."""
        asked = self.live.attempt.asked
        return self.live.attempt.run_id, asked.mem_free, asked.max_runtime


def add_reasons(
    executor: Executor, live: Sequence[LiveAttempt], listing: Mapping[str, Listed], listed_in: float
) -> Mapping[str, Listed]:
    """The listing, which took so many seconds, with what is known of why attempts wait. Asks if it is time to."""
    interval = back_ends.site(executor.name).reason_interval
    waiting = find_waiting(live, listing) if interval else []
    before = time.time() - min(SETTLED_SECONDS, interval)
    chosen = choose([one for one in waiting if one.live.ref.intended_at <= before], listing)
    if not chosen or listed_in > SLOW_LISTING or not _claim(executor.name, interval):
        return _keep(waiting, listing)
    answer = _ask(executor, chosen, interval)
    return _keep(waiting, listing) if answer is None else _tell(waiting, listing, answer)


def keep_reasons(
    executor: Executor, live: Sequence[LiveAttempt], listing: Mapping[str, Listed]
) -> Mapping[str, Listed]:
    """The listing with what was known before: for one that is incomplete."""
    interval = back_ends.site(executor.name).reason_interval
    return _keep(find_waiting(live, listing), listing) if interval else listing


def find_waiting(live: Sequence[LiveAttempt], listing: Mapping[str, Listed]) -> list[Waiting]:
    pairs = ((one, listing.get(one.ref.name)) for one in live)
    return [
        Waiting(one, listed)
        for one, listed in pairs
        if listed is not None and listed.phase is Phase.PENDING and not listed.message
    ]


def choose(waiting: Sequence[Waiting], listing: Mapping[str, Listed]) -> list[Listed]:
    """One attempt of each job to ask about: of every request the oldest, then the next oldest, up to 20 jobs."""
    started = Counter(batch_of(name) for name, listed in listing.items() if listed.phase is not Phase.PENDING)
    requests: dict[object, dict[str, Listed]] = defaultdict(dict)
    for one in sorted(waiting, key=lambda one: one.live.ref.intended_at):
        batch = batch_of(one.listed.name)
        if started[batch] <= STARTED_AT_MOST:
            requests[one.request].setdefault(batch, one.listed)
    turns = zip_longest(*(batches.values() for batches in requests.values()))
    in_turn = (listed for listed in chain.from_iterable(turns) if listed is not None)
    return list(islice(in_turn, JOBS_ASKED))


def _keep(waiting: Sequence[Waiting], listing: Mapping[str, Listed]) -> Mapping[str, Listed]:
    kept = {one.listed.name: replace(one.listed, message=one.stored) for one in waiting if one.stored}
    return {**listing, **kept} if kept else listing


def _tell(waiting: Sequence[Waiting], listing: Mapping[str, Listed], answer: QueueReasons) -> Mapping[str, Listed]:
    """Tasks of one array are one request, so that they share its reason; nobody else does."""
    words = {batch_of(name): reason for name, reason in answer.by_name.items()}
    told = ((one.listed, words.get(batch_of(one.listed.name), "")) for one in waiting)
    return {**listing, **{listed.name: replace(listed, message=reason) for listed, reason in told if reason}}


def _ask(executor: Executor, chosen: Sequence[Listed], interval: float) -> QueueReasons | None:
    """None: no answer. The listing is good without it."""
    explain = getattr(executor, "explain_queue", None)
    started, answer = time.monotonic(), None
    try:
        answer = QueueReasons({}) if explain is None else explain(chosen)
    except (ExecutorUnavailable, ValueError) as error:
        logger.info("executor %s: it does not say why jobs wait: %s", executor.name, error)
    pause = min(timedelta(seconds=COST_SHARE * (time.monotonic() - started)), LONGEST_PAUSE)
    _note(executor.name, max(timedelta(seconds=interval), pause), None if answer is None else answer.advice)
    return answer


def _due(name: str, now: datetime, interval: float) -> QuerySet[ExecutorState]:
    """Its row, if it may be asked. A time too far away is of a clock that has been set back."""
    farthest = now + max(timedelta(seconds=interval), LONGEST_PAUSE)
    is_due = Q(reasons_due_at=None) | Q(reasons_due_at__lte=now) | Q(reasons_due_at__gt=farthest)
    return ExecutorState.objects.filter(is_due, name=name)


def _claim(name: str, interval: float) -> bool:
    """Whether it is our turn to ask: once per interval, however many workers there are."""
    return _due(name, timezone.now(), interval).exists() and _take_turn(name, interval)


@write_transaction
def _take_turn(name: str, interval: float) -> bool:
    now = timezone.now()
    return _due(name, now, interval).update(reasons_due_at=now + timedelta(seconds=interval)) == 1


@write_transaction
def _note(name: str, pause: timedelta, advice: str | None) -> None:
    said = {} if advice is None else {"advice": advice[:500]}
    ExecutorState.objects.filter(name=name).update(reasons_due_at=timezone.now() + pause, **said)
