"""A web process has loaded its pages before the first request, and full garbage collections pass them by."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LOOK = """
import gc
from django.urls.resolvers import URLResolver
seen = [one for one in gc.get_objects() if isinstance(one, URLResolver)]
print(len(seen), gc.get_freeze_count(), "workflows.views.jobs" in __import__("sys").modules)
"""
WAYS = {
    "embedded": "from jobmon_site.wsgi import settle; settle()",
    "gunicorn": "import runpy; runpy.run_path('deploy/gunicorn.conf.py')['post_worker_init'](None)",
}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_what_start_up_made_is_out_of_the_collectors_sight(tmp_path: Path, way: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "JOBMON_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", WAYS[way] + LOOK],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    resolvers, frozen, is_loaded = done.stdout.split()
    assert (resolvers, is_loaded) == ("0", "True")
    assert int(frozen) > 50_000
