"""What log lines look like: text for a person, or one JSON object each, with the ids of the request and the run."""

from __future__ import annotations

from typing import Any

import structlog

# Values that were bound while a request or a task runs: request_id, run_id, executor, operation_id.
_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    structlog.processors.format_exc_info,
    structlog.processors.UnicodeDecoder(),
    structlog.processors.EventRenamer("message"),
]
_JSON = {
    "()": structlog.stdlib.ProcessorFormatter,
    "foreign_pre_chain": _SHARED,
    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
}
_PLAIN = {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}


def make_logging(form: str, level: str, audit_syslog: str = "") -> dict[str, Any]:
    """Django's LOGGING. One line per request only in JSON: a person at a terminal has no use for every poll. The audit goes
    to syslog too, where an address is given."""
    quiet = {name: {"level": "WARNING"} for name in ("celery", "waitress", "kombu")}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": _JSON, "plain": _PLAIN, "syslog": {"format": "%(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": form}, **_syslog(audit_syslog)},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            **quiet,
            "jobmon.http": {"level": "INFO" if form == "json" else "WARNING"},
            "jobmon.audit": {"handlers": list(_syslog(audit_syslog)), "level": "INFO"},
        },
    }


def _syslog(address: str) -> dict[str, Any]:
    """A handler that writes there, as the facility "authpriv"."""
    if not address:
        return {}
    return {"syslog": {"()": "jobmon_site.syslog.SyslogHandler", "address": address, "formatter": "syslog"}}
