"""Settings of the test suite: the embedded default in a throw-away home, on SQLite or on the suite's own MariaDB.

Each pytest process (xdist makes several) has a home of its own below JOBMON_TEST_ROOT, which the first one makes and
tests/conftest.py removes. No JOBMON_* variable of the person who runs the tests has any effect, except JOBMON_TEST_*.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

for _name in [name for name in os.environ if name.startswith("JOBMON_") and not name.startswith("JOBMON_TEST_")]:
    del os.environ[_name]
_root = Path(os.environ.get("JOBMON_TEST_ROOT") or tempfile.mkdtemp(prefix="jobmon-test-"))
os.environ["JOBMON_TEST_ROOT"] = str(_root)
os.environ["JOBMON_HOME"] = str(_root / os.environ.get("PYTEST_XDIST_WORKER", "main"))
os.environ["JOBMON_EXECUTORS"] = "local,sequential,dummy"
os.environ["JOBMON_DEFAULT_EXECUTOR"] = "dummy"
if os.environ.get("JOBMON_TEST_DATABASE") == "mariadb":
    os.environ.update(
        JOBMON_DB="mysql",
        JOBMON_DB_USER="root",
        JOBMON_DB_NAME="jobmon",
        JOBMON_DB_HOST=str(_root / "mariadb" / "sock"),
    )

from jobmon_site.settings import *  # noqa: E402, F403
from jobmon_site.settings import DATABASE_KIND, DATABASES, HOME  # noqa: E402

if DATABASE_KIND == "sqlite":
    # A file, not memory: WAL, immediate transactions and the writers' lock are what is tested.
    DATABASES["default"]["TEST"] = {"NAME": str(HOME.local / "test.sqlite3")}

# Every test client makes the middleware anew, which would read all static files each time. Served ones look the same.
WHITENOISE_AUTOREFRESH = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_TASK_ALWAYS_EAGER = False
CELERY_BROKER_URL = "memory://"
