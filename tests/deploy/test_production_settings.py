"""What a shared server with the shipped settings must be set to, one by one; `check --deploy` knows of a part only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.deploy.installation import manage, shipped_settings

READ = """
import json
from django.conf import settings
from jobmon_site.celery import app
names = [name for name in dir(settings) if name.isupper() and name not in ("SECRET_KEY", "METRICS_TOKEN")]
celery = {name: app.conf[name] for name in ("accept_content", "task_serializer", "result_backend", "worker_enable_remote_control")}
print(json.dumps({**{name: getattr(settings, name) for name in names}, "celery": celery}, default=str))
"""
EXACTLY: dict[str, Any] = {
    "DEBUG": False,
    "ALLOWED_HOSTS": ["jobmon.example.org"],
    "CSRF_TRUSTED_ORIGINS": ["https://jobmon.example.org"],
    "SECURE_SSL_REDIRECT": True,
    "SECURE_HSTS_SECONDS": 31536000,
    "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
    "SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"],
    "SECURE_CONTENT_TYPE_NOSNIFF": True,
    "SECURE_REFERRER_POLICY": "same-origin",
    "SECURE_CROSS_ORIGIN_OPENER_POLICY": "same-origin",
    "X_FRAME_OPTIONS": "DENY",
    "SESSION_COOKIE_SECURE": True,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
    "SESSION_SERIALIZER": "django.contrib.sessions.serializers.JSONSerializer",
    "CSRF_COOKIE_SECURE": True,
    "CSRF_COOKIE_SAMESITE": "Lax",
    "DATA_UPLOAD_MAX_NUMBER_FIELDS": 2000,
    "DATA_UPLOAD_MAX_MEMORY_SIZE": 64 << 20,
    "ADMINS": [],
    "EVERYONE_READS": False,
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = manage(shipped_settings(tmp_path_factory.mktemp("s")), "shell", "-v", "0", "-c", READ)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", EXACTLY)
def test_it_is_set(found: dict[str, Any], name: str) -> None:
    assert found[name] == EXACTLY[name]


def test_the_policy_of_contents_allows_ours_alone(found: dict[str, Any]) -> None:
    policy = found["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]
    assert found.get("CONTENT_SECURITY_POLICY_REPORT_ONLY") is None
    assert policy["default-src"] == ["'none'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    allowed = {source for sources in policy.values() for source in sources}
    assert allowed <= {"'none'", "'self'", "data:"}


def test_what_is_not_there_cannot_be_asked(found: dict[str, Any]) -> None:
    assert [name for name in found["INSTALLED_APPS"] if "admin" in name or "debug" in name or "flower" in name] == []
    assert found["REST_FRAMEWORK"]["DEFAULT_RENDERER_CLASSES"] == ["rest_framework.renderers.JSONRenderer"]
    assert found["SPECTACULAR_SETTINGS"]["SERVE_PERMISSIONS"] == ["rest_framework.permissions.IsAuthenticated"]


def test_messages_carry_json_and_leave_nothing_behind(found: dict[str, Any]) -> None:
    celery = found["celery"]
    assert celery["accept_content"] == ["json"]
    assert celery["task_serializer"] == "json"
    assert celery["result_backend"] is None
    assert celery["worker_enable_remote_control"] is False
    assert found["CELERY_BROKER_TRANSPORT_OPTIONS"]["socket_timeout"] <= 30


def test_without_a_proxy_no_header_of_one_counts(tmp_path_factory: pytest.TempPathFactory) -> None:
    alone = {**shipped_settings(tmp_path_factory.mktemp("s")), "JOBMON_BEHIND_PROXY": "0"}
    done = manage(alone, "shell", "-v", "0", "-c", READ)
    assert json.loads(done.stdout.splitlines()[-1])["SECURE_PROXY_SSL_HEADER"] is None
