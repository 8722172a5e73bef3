"""The database from the environment: Django's own settings for it, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobmon_site.environment import SettingError, env_port, env_secret, env_text


def sqlite_settings(file: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": env_text("JOBMON_DB_NAME") or str(file),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32768; "
            "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=67108864; PRAGMA wal_autocheckpoint=8000;",
        },
    }


def mysql_settings(is_server: bool) -> dict[str, Any]:
    """MariaDB or MySQL. Raises SettingError."""
    host, password = env_text("JOBMON_DB_HOST", "127.0.0.1"), env_secret("JOBMON_DB_PASSWORD")
    if is_server and not password and not host.startswith("/"):
        raise SettingError(
            f"JOBMON_DB_PASSWORD_FILE is missing: only over a socket (JOBMON_DB_HOST=/…) does {host} know us without one"
        )
    return {
        "ENGINE": "django.db.backends.mysql",
        "NAME": env_text("JOBMON_DB_NAME", "jobmon"),
        "USER": env_text("JOBMON_DB_USER", "jobmon"),
        "PASSWORD": password,
        "HOST": host,
        "PORT": str(env_port("JOBMON_DB_PORT") or ""),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "charset": "utf8mb4",
            "isolation_level": "read committed",
            "init_command": "SET time_zone='+00:00', "
            "sql_mode='STRICT_TRANS_TABLES,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO', innodb_lock_wait_timeout=20",
            "connect_timeout": 10,
            "read_timeout": 60,
            "write_timeout": 60,
        },
        "TEST": {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_bin"},
    }
