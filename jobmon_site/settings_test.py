"""Settings of the test suite: the embedded default in a throw-away home, on SQLite or on the suite's own MariaDB."""

from __future__ import annotations

import os
import tempfile

_home = os.environ.setdefault("JOBMON_HOME", tempfile.mkdtemp(prefix="jobmon-test-"))
os.environ.setdefault("JOBMON_EXECUTORS", "local,sequential,dummy")
os.environ.setdefault("JOBMON_DEFAULT_EXECUTOR", "dummy")

from jobmon_site.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_TASK_ALWAYS_EAGER = False
CELERY_BROKER_URL = "memory://"
