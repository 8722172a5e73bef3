"""Pure: when will what can run be done? A range from the run times of the same tags, the graph and the limits of now.

Two things hold a run up: the work that is left, divided by each limit, and the longest chain of tags. The range runs

* from the 25 % quantile: the largest of work / limit over all limits, and of the chain with one job per tag;
* to the 75 % quantile: the largest of (work / limit + chain) over all limits, and of the chain in which every tag waits
  for all jobs of the tag before, at its own limit. No order of jobs that leaves no allowed slot empty takes longer than
  work / limit + chain; nothing takes longer than all jobs one after the other, so that is the cap.

The work of n jobs is a sum. Its quantiles come from the lognormal distribution with the sum's mean and variance, where
the variance has two parts: that of the jobs, and that of the mean, which is known from so many samples only. The sums
of tags are added as they are, as if all tags were slow together: wider, never narrower. The longest of k jobs has the
quantile p where one job has p^(1/k). A running job has the quantile of those samples that took longer than it has.
Quantiles are those of the next job, not of the samples: of three, the least is at 25 % and the largest at 75 %. That makes
the range honest for a tag of a single job, of which there are only the few times that it ran before.

Where the tags cannot tell, whole runs may: of three or more that did the same work, this one is taken as the next.

Not foreseen: attempts that fail and run again, time in a batch queue, jobs of others, and samples that tell of short
jobs only because the long ones still run. Jobs that can never run (blocked by a failure) must not be counted in.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from workflows.directions import fenced
from workflows.tag_chain import longest_chain

MIN_SAMPLES = 30
TIMES_SEEN = 3  # so often a tag of few jobs must have been seen as a whole
LOW, HIGH = 0.25, 0.75
_Z = 0.6744897501960817  # the 75 % quantile of the normal distribution
_FOREVER = 100 * 365 * 86400.0


@dataclass(frozen=True, slots=True)
class TagState:
    """One tag. `running`: seconds each running job has run so far. `samples`, `earlier`: seconds that ended jobs of
    this tag ran, in this run and in earlier ones. `slots`: of one job, on average. `limit`: jobs at a time.
    `upstreams`: names of tags. `chain`: how many jobs of this tag stand one after the other at most. `jobs`: how many it
    has in all, done or not."""

    name: str
    ready: int = 0
    waiting: int = 0
    running: Sequence[float] = ()
    samples: Sequence[float] = ()
    earlier: Sequence[float] = ()
    slots: float = 1.0
    limit: int | None = None
    executor: str = "local"
    upstreams: Sequence[str] = ()
    chain: int = 1
    jobs: int = MIN_SAMPLES

    @property
    def known(self) -> int:
        return len(self.samples) + len(self.earlier)

    @property
    def needed(self) -> int:
        return min(MIN_SAMPLES, TIMES_SEEN * max(1, self.jobs))

    @property
    def to_start(self) -> int:
        return self.ready + self.waiting

    @property
    def left(self) -> int:
        return self.to_start + len(self.running)


@dataclass(frozen=True, slots=True)
class Limits:
    """What this run may use now: `run` jobs at a time, `executors` slots by name. `hold`: why nothing is started."""

    run: int | None = None
    executors: Mapping[str, float] = field(default_factory=dict)
    hold: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """`bound_by`: what a faster end would need, in words. `unknown`: the sentence that says why there is no range.
    `wants_samples`: it is unknown only because too few jobs have ended."""

    earliest: datetime | None
    latest: datetime | None
    bound_by: str
    unknown: str | None
    wants_samples: bool = False


@dataclass(frozen=True, slots=True)
class _Outlook:
    """A tag with jobs left, in seconds: its work, its chain with one job at a time, its chain when all must end.
    Each as (25 %, typical, 75 %)."""

    tag: TagState
    work: tuple[float, float, float]
    chain: tuple[float, float, float]
    last: float


def estimate(tags: Sequence[TagState], limits: Limits, now: datetime) -> Estimate:
    """The range, or the sentence that says why there is none."""
    left = [tag for tag in tags if tag.left]
    if unknown := _find_unknown(left, limits):
        return Estimate(None, None, "", unknown)
    if unknown := _find_unseen(left):
        return Estimate(None, None, "", unknown, wants_samples=True)
    if not left:
        return Estimate(now, now, "nothing is left", None)
    outlooks = {tag.name: _look_out(tag) for tag in left}
    edges = {tag.name: tuple(tag.upstreams) for tag in tags}
    low, chains = _lower(outlooks, edges, limits), _chains(outlooks, edges)
    high = max(low, _upper(outlooks, edges, limits, chains[2]))
    return Estimate(_after(now, low), _after(now, high), _find_bound(outlooks, limits, chains[1]), None)


def _find_unknown(left: Sequence[TagState], limits: Limits) -> str:
    if left and limits.hold:
        return f"Not known while the run is held: {fenced(limits.hold)}"
    if limits.run == 0 and any(tag.to_start for tag in left):
        return "Not known while the limit of the run is 0."
    for tag in left:
        if tag.limit == 0 and tag.to_start:
            return f"Not known while the limit of {fenced(tag.name)} is 0."
        if limits.executors.get(tag.executor, 1) <= 0 and tag.to_start:
            return f"Not known while {fenced(tag.executor)} has no slot for this run."
    return ""


def _find_unseen(left: Sequence[TagState]) -> str:
    for tag in left:
        if tag.known < tag.needed:
            return f"Not known yet: {tag.known} of the {tag.needed} ended jobs of {fenced(tag.name)} that an estimate needs."
    return ""


def estimate_whole(durations: Sequence[float], elapsed: float, now: datetime) -> Estimate:
    """From how long earlier runs of the same work took as a whole. Silent where they are few, or all were shorter."""
    values = sorted(durations)
    if len(values) < TIMES_SEEN:
        return Estimate(None, None, "", f"Not known: only {len(values)} earlier workflows like it.")
    if elapsed >= values[-1]:
        return Estimate(None, None, "", "Not known: it takes longer than any earlier workflow like it.")
    low, high = (residual(values, elapsed, level) for level in (LOW, HIGH))
    return Estimate(_after(now, low), _after(now, high), f"as {len(values):,} earlier workflows like it did", None)


def choose_samples(tag: TagState) -> list[float]:
    """This run's if they are enough, else also those of earlier runs; sorted."""
    own = tag.samples if len(tag.samples) >= MIN_SAMPLES else (*tag.samples, *tag.earlier)
    return sorted(max(0.0, sample) for sample in own)


def quantile(values: Sequence[float], level: float, start: int = 0) -> float:
    """Of the next value, after these sorted ones from `start` on, with straight lines between them."""
    count = len(values) - start
    position = start + min(max(level * (count + 1) - 1, 0.0), count - 1.0)
    below = math.floor(position)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (position - below)


def residual(values: Sequence[float], elapsed: float, level: float) -> float:
    """How long a job that has run for `elapsed` goes on. One that has outrun all samples may take as long again."""
    longer = bisect_right(values, elapsed)
    if longer == len(values):
        return elapsed * level
    return quantile(values, level, longer) - elapsed


def sum_quantiles(count: int, values: Sequence[float]) -> tuple[float, float, float]:
    """25 %, mean and 75 % of the sum of `count` jobs whose run times are known from `values`."""
    mean = math.fsum(values) / len(values)
    if not count or not mean:
        return 0.0, 0.0, 0.0
    relative = math.fsum((value / mean - 1) ** 2 for value in values) / (len(values) - 1)
    spread = math.log1p(relative * (1 / count + 1 / len(values)))
    few = 1 + (_Z * _Z + 1) / (4 * (len(values) - 1))  # the variance, too, is known from so many samples only
    middle, width = count * mean * math.exp(-spread / 2), _Z * few * math.sqrt(spread)
    return middle * math.exp(-width), count * mean, middle * math.exp(width)


def _look_out(tag: TagState) -> _Outlook:
    values = choose_samples(tag)
    work = sum_quantiles(tag.to_start, values)
    rest = tuple(math.fsum(residual(values, elapsed, level) for elapsed in tag.running) for level in (LOW, 0.5, HIGH))
    longest_running = tuple(
        max((residual(values, elapsed, level) for elapsed in tag.running), default=0.0)
        for level in (LOW, 0.5, HIGH ** (1 / max(1, len(tag.running))))
    )
    steps = max(1, min(tag.chain, tag.to_start)) if tag.to_start else 0
    last = quantile(values, HIGH ** (1 / tag.to_start)) if tag.to_start else 0.0
    waited = [quantile(values, level) * steps for level in (LOW, 0.5)]
    chain = (max(waited[0], longest_running[0]), max(waited[1], longest_running[1]), last * steps + longest_running[2])
    whole = (work[0] + rest[0], work[1] + rest[1], work[2] + rest[2])
    return _Outlook(tag, whole, chain, last * steps + longest_running[2])


def _chains(outlooks: Mapping[str, _Outlook], edges: Mapping[str, Sequence[str]]) -> tuple[float, float, float]:
    found = [longest_chain({name: one.chain[i] for name, one in outlooks.items()}, edges) for i in range(3)]
    return found[0], found[1], found[2]


def _shares(outlooks: Mapping[str, _Outlook], limits: Limits, index: int) -> Iterable[tuple[str, float]]:
    """What each limit takes by itself to let the work through, with its words."""
    if limits.run:
        total = math.fsum(one.work[index] for one in outlooks.values())
        yield f"the limit of {limits.run:,}", total / limits.run
    for one in outlooks.values():
        if one.tag.limit:
            yield f"the limit of {fenced(one.tag.name)} ({one.tag.limit:,})", one.work[index] / one.tag.limit
    for name, slots in limits.executors.items():
        own = [one for one in outlooks.values() if one.tag.executor == name]
        if own and slots > 0:
            yield f"the slots of {fenced(name)}", math.fsum(one.work[index] * one.tag.slots for one in own) / slots


def _lower(outlooks: Mapping[str, _Outlook], edges: Mapping[str, Sequence[str]], limits: Limits) -> float:
    return max(_chains(outlooks, edges)[0], *(share for _, share in _shares(outlooks, limits, 0)), 0.0)


def _upper(outlooks: Mapping[str, _Outlook], edges: Mapping[str, Sequence[str]], limits: Limits, chain: float) -> float:
    shared = max((share for _, share in _shares(outlooks, limits, 2)), default=0.0)
    stages = {
        name: one.last + one.work[2] / one.tag.limit if one.tag.limit else one.last for name, one in outlooks.items()
    }
    one_by_one = math.fsum(one.work[2] for one in outlooks.values())
    return min(max(shared + chain, longest_chain(stages, edges)), max(one_by_one, chain))


def _find_bound(outlooks: Mapping[str, _Outlook], limits: Limits, chain: float) -> str:
    words, share = max(_shares(outlooks, limits, 1), key=lambda pair: pair[1], default=("", 0.0))
    return words if words and share > chain else "the longest chain"


def _after(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=min(seconds, _FOREVER))
