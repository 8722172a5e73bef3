"""Pure: what Grid Engine's scheduler says of a job that waits, folded into one sentence for people.

It prints one line per host and queue ("scheduling info" of `qstat -j`), thousands on a large cell. What counts is which
resource binds and how many hosts it binds on; figures are rounded, so that a load that wavers is no news.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

MOST_PARTS = 4
MOST_CHARACTERS = 300
_LINE_LIMIT = 400
TURNED_OFF = (
    "Grid Engine does not say why jobs wait: schedd_job_info is false in its scheduler's configuration. `qconf -msconf`"
    " sets it to true, which costs qmaster memory and time where many jobs wait for many hosts."
)
_OFF = re.compile(r"scheduler job information is turned off")
_SHORTFALL = re.compile(
    r'\(-l (?P<asked>.*)\) cannot run (?P<scope>at host|in queue|globally)(?: "(?P<place>[^"]*)")?'
    r" because it offers only \w+:(?P<name>[^=]+)=(?P<value>.*)"
)
_CLUSTER_QUEUE = re.compile(r'\(-l (?P<asked>.*)\) cannot run in queue "(?P<place>[^"]*)" because of cluster queue')
_QUOTA = re.compile(r'(?:cannot run .*|it )exceeds limit .*\brule "?(?P<rule>[^"/\s]+)')
_PARALLEL = re.compile(r'cannot run in PE "(?P<place>[^"]*)" because it only offers (?P<slots>[0-9]+) slots')
_NO_ACCESS = re.compile(r'has no permission for (?:cluster queue|queue|host) "(?P<place>[^"]*)"')
_ELSEWHERE = re.compile(r"not contained in its hard queue list")
_IN_QUEUE = re.compile(
    r'(?:\(-l .*\) )?cannot run (?:in|at|on) (?:queue instance|queue|host) "(?P<place>[^"]*)" (?:because|until) (?P<words>.*)'
)
_DROPPED = re.compile(r'queue instance "(?P<place>[^"]*)" dropped because it is (?P<state>[^:]+)')
_ALL_DROPPED = re.compile(r"All queues dropped because of overload or full")
_OF_THE_JOB = {
    "not all array tasks may be started due to 'max_aj_instances'": "as many tasks of its array run as may at once",
    "job dropped because of job dependencies": "it waits for other jobs of Grid Engine",
    "job dropped because of user limitations": "its user has as many jobs there as one may have",
    "execution time not reached": "its earliest time has not come",
    "Job is in hold state": "it is held",
    "Job is in error state": "it is in the error state",
}
_PLAIN_PATTERN = re.compile(r"[\w.*?\[\]@-]+")
_AMOUNT = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>[KMGTkmgt]?)")
_CLOCK = re.compile(r"([0-9]+):([0-9]+):([0-9]+)")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True, slots=True)
class SchedulerInfo:
    """`own`: job number → what is said of this job alone; `of_all`: what is said of queues, whoever waits for them;
    `queues`: job number → the queues that it asks for."""

    own: dict[str, list[str]] = field(default_factory=dict)
    of_all: list[str] = field(default_factory=list)
    queues: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_turned_off(self) -> bool:
        return any(_OFF.search(line) for line in self.of_all)


def explain_job(info: SchedulerInfo, job: str) -> str:
    """Why this job waits, in one sentence without a full stop; '' when nothing is said of it.

    A job that the scheduler has not looked at yet has no line of its own. What it says of queues in general is then no
    reason, unless it has dropped all of them."""
    own, queues = info.own.get(job, []), info.queues.get(job, [])
    are_all_dropped = any(_ALL_DROPPED.search(line) for line in info.of_all)
    if not own and not are_all_dropped:
        return ""
    main, rest = _fold_own([line[:_LINE_LIMIT] for line in own], queues)
    parts = main + _fold_dropped(info.of_all, queues) + rest
    if not parts and are_all_dropped:
        parts = ["all queues are full or overloaded"]
    return _cut("; ".join(dict.fromkeys(parts[:MOST_PARTS])))


def _cut(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= MOST_CHARACTERS else f"{words[: MOST_CHARACTERS - 1].rstrip()}…"


def _fold_own(lines: Iterable[str], queues: Sequence[str]) -> tuple[list[str], list[str]]:
    """The parts of a job's own lines: what holds it everywhere and what it asks for in vain; then the rest."""
    general: list[str] = []
    others: list[str] = []
    shortfalls: dict[tuple[str, str], list[re.Match[str]]] = defaultdict(list)
    places: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        if _ELSEWHERE.search(line):
            continue
        if match := _SHORTFALL.fullmatch(line):
            if _is_wanted(match["place"] or "", queues if match["scope"] == "in queue" else ()):
                shortfalls[match["name"], match["scope"]].append(match)
        elif sentence := _read_general(line):
            general.append(sentence)
        elif (found := _read_in_queue(line)) is not None:
            if _is_wanted(found[0], queues):
                places[found[1]].append(found[0])
        else:
            others.append(line)
    most_first = sorted(shortfalls.values(), key=len, reverse=True)
    rest = [f"{words} ({_count_places(where)})" for words, where in places.items()]
    return general + [_fold_shortfall(matches) for matches in most_first], rest + others


def _read_general(line: str) -> str:
    """The sentence of a line that is about the job as a whole; '' for any other."""
    if sentence := _OF_THE_JOB.get(line):
        return sentence
    if match := _QUOTA.search(line):
        return f"the resource quota {match['rule']} is used up"
    if match := _PARALLEL.fullmatch(line):
        return f"the parallel environment {match['place']} has only {match['slots']} slots for it"
    return ""


def _read_in_queue(line: str) -> tuple[str, str] | None:
    """(queue or host, what is wrong there)."""
    if match := _CLUSTER_QUEUE.fullmatch(line):
        return match["place"], f"{match['asked']} is more than the queue allows"
    if match := _NO_ACCESS.fullmatch(line):
        return match["place"], "its user may not use the queue"
    if match := _IN_QUEUE.fullmatch(line):
        return match["place"], match["words"]
    return None


def _is_wanted(place: str, queues: Sequence[str]) -> bool:
    """Whether the job asks for this queue; yes if it names none, or names them in a way that is not a plain pattern."""
    if not queues or any(_PLAIN_PATTERN.fullmatch(one) is None for one in queues):
        return True
    return any(fnmatchcase(place.partition("@")[0], one.partition("@")[0]) for one in queues)


def _fold_shortfall(matches: Sequence[re.Match[str]]) -> str:
    """`3 hosts offer less mem_free than 999G (at most 21G)`."""
    name, scope = matches[0]["name"], matches[0]["scope"]
    asked = _find_asked(matches[0]["asked"], name)
    places = sorted({match["place"] or "" for match in matches})
    if name == "hostname":
        return f"it may not run on {_name_or_count([place.partition('@')[2] for place in places], 'host')}"
    subject, verb = "the whole cell", "offers"
    if scope != "globally":
        subject = _name_or_count(places, "host" if scope == "at host" else "queue instance")
        verb = "offers" if len(places) == 1 else "offer"
    offered = {match["value"]: _read_amount(match["value"]) for match in matches}
    amounts = {text: amount for text, amount in offered.items() if amount is not None}
    wanted = _read_amount(asked)
    if wanted is None or len(amounts) < len(offered) or max(amounts.values()) >= wanted:
        return f"{subject} {verb} no {name}{f'={asked}' if asked else ''}"
    best = max(amounts, key=lambda text: amounts[text])
    wish, rounded = _show(asked, 3), _show(best, 2)
    most = rounded if rounded != wish and (_read_amount(rounded) or 0.0) < wanted else best
    return f"{subject} {verb} less {name} than {wish} ({'at most ' if len(places) > 1 else ''}{most})"


def _find_asked(request: str, name: str) -> str:
    """`999G` of `h_vmem=1G,mem_free=999G`; '' if the list was cut before it."""
    pairs = (one.partition("=") for one in request.split(","))
    return next((value for key, _, value in pairs if key == name), "")


def _name_or_count(places: Sequence[str], noun: str) -> str:
    distinct = sorted(set(places))
    return f"{noun} {distinct[0]}" if len(distinct) == 1 else f"{len(distinct):,} {noun}s"


def _count_places(places: Sequence[str]) -> str:
    distinct = sorted(set(places))
    return distinct[0] if len(distinct) == 1 else f"{len(distinct):,} queues or hosts"


def _read_amount(text: str) -> float | None:
    """Bytes, seconds or a number; None for anything else."""
    if clock := _CLOCK.fullmatch(text):
        return int(clock[1]) * 3600.0 + int(clock[2]) * 60 + int(clock[3])
    match = _AMOUNT.fullmatch(text)
    return float(match["number"]) * _UNITS[match["unit"]] if match else None


def _show(text: str, digits: int) -> str:
    """To so many digits, in the largest unit: `20.975G` → `21G`, `152588M` → `149G`, `0.000000` → `0`; times as they are."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        return text
    number, unit = float(match["number"]), match["unit"]
    units = "kmgt" if unit in "kmgt" else "KMGT"
    step = 1000 if units == "kmgt" else 1024
    while unit and number >= step and unit not in "tT":
        number, unit = number / step, units[units.index(unit) + 1]
    places = digits - len(str(int(number))) if number >= 1 else digits
    shown = f"{round(number, places):.{max(0, places)}f}"
    return (shown.rstrip("0").rstrip(".") if "." in shown else shown) + unit


def _fold_dropped(lines: Iterable[str], queues: Sequence[str]) -> list[str]:
    """`12 queue instances are full, 3 disabled`, of the queues that the job asks for: one part, or none."""
    found: dict[str, str] = {}
    for line in lines:
        match = _DROPPED.match(line[:_LINE_LIMIT])
        if match and _is_wanted(match["place"], queues):
            found[match["place"]] = match["state"].strip()
    if not found:
        return []
    if len(found) == 1:
        ((place, state),) = found.items()
        return [f"{place} is {state}"]
    (first, many), *others = Counter(found.values()).most_common()
    said = f"{many:,} queue instances are {first}" if many > 1 else f"1 queue instance is {first}"
    return [", ".join([said, *(f"{count:,} {state}" for state, count in others)])]
