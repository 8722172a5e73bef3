"""The executors of this server, built once per process from the settings."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from django.conf import settings

from executors import registry
from executors.base import AttemptStore, Executor, Site
from executors.batch import BatchExecutor
from executors.capacity import detect_memory, detect_slots
from executors.dummy import DummyExecutor
from executors.local import LocalExecutor, SequentialExecutor
from executors.local_spool import LocalSpool
from executors.run_as import RunAs
from executors.run_as_router import RunAsExecutor
from executors.run_as_store import RoutedStore
from executors.spool import Spool
from workflows.queries.accounts import DatabaseOwners

# How many live attempts we hand over at most: enough to keep a back end busy between two passes, few enough to stop.
MAX_LIVE = {"local": 1000, "sequential": 1, "dummy": 20_000}
DEFAULT_MAX_LIVE = 5_000
logger = logging.getLogger(__name__)
_lock = threading.Lock()
_made: dict[str, Executor] = {}


class UnknownExecutor(Exception):
    """No executor of this name is configured."""


@cache
def local_spool() -> LocalSpool:
    """Of both executors of this machine."""
    made = LocalSpool(Path(settings.SPOOL))
    made.create()
    return made


@cache
def batch_spool() -> Spool:
    """Of all batch systems: on a file system that their nodes share."""
    made = Spool(Path(settings.SPOOL))
    made.create()
    return made


def local_slots() -> int:
    return int(settings.LOCAL_SLOTS) or detect_slots()


def local_memory() -> float:
    return float(settings.LOCAL_MEMORY_GB) or detect_memory()


def executor_names() -> list[str]:
    return list(settings.EXECUTORS)


def get(name: str) -> Executor:
    """The executor with this name. Raises UnknownExecutor."""
    if name not in settings.EXECUTORS:
        raise UnknownExecutor(f"There is no executor {name!r} here; there are {', '.join(settings.EXECUTORS)}.")
    with _lock:
        if name not in _made:
            _made[name] = _build(name)
        return _made[name]


def _build(name: str) -> Executor:
    if settings.RUN_AS == "owner" and name != "dummy":
        return _build_owned(name)
    if name in ("local", "sequential"):
        kind = LocalExecutor if name == "local" else SequentialExecutor
        return kind(name, local_spool(), Path(settings.SHEPHERD_DIR), slots=local_slots(), memory=local_memory())
    if name == "dummy":
        return DummyExecutor(name, _steady_clock())
    try:
        return registry.create(name, batch_spool(), os.environ)
    except (registry.UnknownKind, ValueError) as error:
        raise UnknownExecutor(str(error)) from error


def _steady_clock() -> Callable[[], float]:
    """Seconds since the epoch as of now, and from then on by a clock that nobody sets: an attempt of the dummy would run
    for the hour that a clock was ahead when it began."""
    begun = time.time() - time.monotonic()
    return lambda: begun + time.monotonic()


def _build_owned(name: str) -> Executor:
    """Raises UnknownExecutor where jobs cannot run as their owners."""
    if name in ("local", "sequential"):
        raise UnknownExecutor(
            f"The executor {name} runs all jobs as the service, which JOBMON_RUN_AS=owner excludes; use sge or slurm."
        )
    try:
        base = registry.create(name, batch_spool(), os.environ)
        if not isinstance(base, BatchExecutor):
            raise UnknownExecutor(f"The executor {name} cannot run jobs as their owners; only sge and slurm can.")
        return RunAsExecutor(base, run_as(), DatabaseOwners(), owned_store())
    except (registry.UnknownKind, ValueError) as error:
        raise UnknownExecutor(str(error)) from error


@cache
def run_as() -> RunAs:
    return RunAs(Path(settings.RUN_AS_HELPER))


@cache
def owned_store() -> RoutedStore:
    """Of all owners. Their jobs ring in our spool: they may make files there, but neither list nor remove them."""
    spool = batch_spool()
    spool.root.chmod(0o711)
    spool.ended.chmod(0o1733)
    return RoutedStore(spool, DatabaseOwners(), run_as())


def stores() -> list[AttemptStore]:
    """Every distinct attempt store. An executor that cannot be made must not keep the others from being heard."""
    found: dict[int, AttemptStore] = {}
    for name in executor_names():
        try:
            store = get(name).store
        except UnknownExecutor as error:
            _complain(name, str(error))
        else:
            found[id(store)] = store
    return list(found.values())


@cache
def _complain(name: str, words: str) -> None:
    """Once per process: this is asked many times a second."""
    logger.error("executor %s cannot be used: %s", name, words)


def site(name: str) -> Site:
    """What this executor tells of its site. One that is not configured any more tells nothing."""
    try:
        found = getattr(get(name), "site", None)
    except UnknownExecutor:
        return Site()
    return found if isinstance(found, Site) else Site()


def max_live(name: str) -> int:
    return site(name).max_live or MAX_LIVE.get(name, DEFAULT_MAX_LIVE)


def use(executor: Executor) -> None:
    """Put this executor in the place of the configured one with its name: for tests and benchmarks of the engine."""
    with _lock:
        _made[executor.name] = executor


def forget() -> None:
    """Build all executors anew at their next use."""
    with _lock:
        _made.clear()
        local_spool.cache_clear()
        batch_spool.cache_clear()
        owned_store.cache_clear()
        run_as.cache_clear()
