"""What the sweep finds of the server it runs on: room on the disk, slots for local jobs, and which database and Redis
answer. No page waits for a disk or for Redis; it shows these, with their age."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3

from celery import current_app
from django.conf import settings
from django.db import Error, connection

from workflows.scheduling import back_ends

logger = logging.getLogger(__name__)
REDIS_SECONDS = 2.0


def measure() -> dict[str, object]:
    """What cannot be found out is left out."""
    return {**_disk(os.fspath(settings.SPOOL)), **_database(), **_redis(), "local_slots": back_ends.local_slots()}


def _disk(folder: str) -> dict[str, object]:
    try:
        found = shutil.disk_usage(folder)
    except OSError as error:
        logger.warning("room under %s: %s", folder, error)
        return {}
    return {"disk_total": found.total, "disk_free": found.free}


def _database() -> dict[str, object]:
    if connection.vendor == "sqlite":
        return {"database": f"SQLite {sqlite3.sqlite_version}"}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            version = str(cursor.fetchone()[0])
    except Error as error:
        logger.warning("version of the database: %s", error)
        return {}
    return {"database": f"MariaDB {version.split('-')[0]}" if "MariaDB" in version else f"MySQL {version}"}


def _redis() -> dict[str, object]:
    options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "socket_timeout": REDIS_SECONDS, "max_retries": 0}
    try:
        with current_app.connection_for_write(transport_options=options) as broker:
            client = getattr(broker.default_channel, "client", None)
            if client is None:
                return {}
            told = client.info()
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises
        logger.warning("Redis does not answer: %s", error)
        return {}
    return {
        "redis_version": str(told["redis_version"]),
        "redis_memory": int(told["used_memory"]),
        "redis_clients": int(told["connected_clients"]),
    }
