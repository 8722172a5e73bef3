"""Running sums of this process, for whoever collects them (the metrics): name and label → total. Costs a lock."""

from __future__ import annotations

import logging
import threading

Key = tuple[str, str]  # the name of the metric, and its labels as they are written: 'executor="sge"'
_totals: dict[Key, float] = {}
_lock = threading.Lock()


def add(name: str, labels: str = "", amount: float = 1.0) -> None:
    with _lock:
        _totals[name, labels] = _totals.get((name, labels), 0.0) + amount


def totals() -> dict[Key, float]:
    with _lock:
        return dict(_totals)


class AlarmHandler(logging.Handler):
    """Counts log lines of level ERROR and above: each is something that must not happen, or needs a person."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        add("jobmon_alarms_total", f'logger="{record.name.partition(".")[0]}"')
