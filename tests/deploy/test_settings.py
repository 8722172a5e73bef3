"""A shared server starts with the shipped settings, not with missing or unsafe ones; the shipped files are in order."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from tests.deploy.installation import EXAMPLE, UNITS, exec_start, manage, read_environment, shipped_settings
from tests.services import REPOSITORY


@pytest.fixture
def settings_here(tmp_path: Path) -> dict[str, str]:
    return shipped_settings(tmp_path)


def test_the_shipped_settings_pass_the_deployment_checks(settings_here: dict[str, str]) -> None:
    done = manage(settings_here, "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_every_shipped_setting_is_documented() -> None:
    documented = set(re.findall(r"^\| `(JOBMON_[A-Z0-9_]+)`", (REPOSITORY / "docs" / "settings.md").read_text(), re.M))
    assert set(read_environment(EXAMPLE)) <= documented


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("JOBMON_SECRET_KEY_FILE", "", "JOBMON_SECRET_KEY_FILE is missing"),
        ("JOBMON_SECRET_KEY_FILE", "/nonexistent/key", "JOBMON_SECRET_KEY_FILE=/nonexistent/key: No such file"),
        ("JOBMON_SECRET_KEY", "short", "JOBMON_SECRET_KEY has 5 characters; it needs at least 50"),
        ("JOBMON_ALLOWED_HOSTS", "", "JOBMON_ALLOWED_HOSTS is missing"),
        ("JOBMON_ALLOWED_HOSTS", "*", "JOBMON_ALLOWED_HOSTS holds a pattern"),
        ("JOBMON_ALLOWED_HOSTS", "a.example.org,.example.org", "JOBMON_ALLOWED_HOSTS holds a pattern"),
        ("JOBMON_DEBUG", "1", "JOBMON_DEBUG=1 shows settings to everybody"),
        ("JOBMON_REDIS_URL_FILE", "", "JOBMON_REDIS_URL_FILE is missing"),
        ("JOBMON_RUN_AS", "", "JOBMON_RUN_AS is missing"),
        ("JOBMON_RUN_AS", "self", "JOBMON_RUN_AS is missing"),
        ("JOBMON_TOKEN_DAYS", "365", "JOBMON_TOKEN_DAYS=365 is over 90"),
        ("JOBMON_REMOTE_USER_HEADER", "X-Remote-User", "JOBMON_REMOTE_USER_SECRET_FILE must name a file"),
        ("JOBMON_DB_PASSWORD_FILE", "/nonexistent/password", "JOBMON_DB_PASSWORD_FILE=/nonexistent/password: No such"),
        ("JOBMON_METRICS_TOKEN_FILE", "/nonexistent/token", "JOBMON_METRICS_TOKEN_FILE=/nonexistent/token: No such"),
        ("JOBMON_LOG_FORMAT", "xml", "JOBMON_LOG_FORMAT='xml' is not one of plain, json"),
        ("JOBMON_AUDIT_SYSLOG", "loghost", "JOBMON_AUDIT_SYSLOG='loghost' is neither the path of a socket"),
        ("JOBMON_AUDIT_SYSLOG", "loghost:0", "JOBMON_AUDIT_SYSLOG='loghost:0' is neither the path of a socket"),
        ("JOBMON_BEHIND_PROXY", "maybe", "JOBMON_BEHIND_PROXY='maybe' is neither 1 nor 0"),
        ("JOBMON_SECRET_KEY_FALLBACKS", "old", "JOBMON_SECRET_KEY_FALLBACKS holds a key of less than 50"),
        ("JOBMON_FAULTS", "after_submit:kill", "JOBMON_FAULTS is set: it makes processes die"),
        ("JOBMON_EVERYONE_READ", "1", "there is no setting JOBMON_EVERYONE_READ; did you mean JOBMON_EVERYONE_READS?"),
        ("JOBMON_SGE_BIN_DIR", "/x", "there is no setting JOBMON_SGE_BIN_DIR"),
        ("JOBMON_DB_PORT", "abc", "JOBMON_DB_PORT='abc' is not a whole number"),
        ("JOBMON_DB_PORT", "70000", "JOBMON_DB_PORT=70000 is no port"),
        ("JOBMON_PORT", "70000", "JOBMON_PORT=70000 is no port"),
        ("JOBMON_SPOOL", "spool", "JOBMON_SPOOL='spool' does not begin with /"),
        ("JOBMON_RUN_AS_HELPER", "jobmon-as", "JOBMON_RUN_AS_HELPER='jobmon-as' does not begin with /"),
        ("JOBMON_REDIS_URL", "nonsense", "JOBMON_REDIS_URL is no address like redis://127.0.0.1:6379/0"),
        ("JOBMON_REDIS_URL", "redis://127.0.0.1:x/0", "JOBMON_REDIS_URL is no address like"),
        ("JOBMON_LDAP_USER_DN", "uid=%(user)s,dc=x", "JOBMON_LDAP_USER_DN is set, but JOBMON_LDAP_URI is missing"),
        ("JOBMON_OIDC_CLIENT_ID", "x", "JOBMON_OIDC_CLIENT_ID is set, but JOBMON_OIDC_ISSUER is missing"),
        ("JOBMON_REMOTE_USER_SECRET", "x" * 32, "JOBMON_REMOTE_USER_SECRET is set, but JOBMON_REMOTE_USER_HEADER is"),
    ],
)
def test_what_is_wrong_ends_the_start_with_a_sentence(
    settings_here: dict[str, str], name: str, value: str, words: str
) -> None:
    settings_here["JOBMON_DB"] = "mysql" if "JOBMON_DB_" in name else "sqlite"
    done = manage({**settings_here, name: value}, "check")
    assert done.returncode != 0
    assert done.stderr.startswith(f"jobmon: {words}"), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_password_is_wanted_unless_a_socket_tells_who_asks(settings_here: dict[str, str]) -> None:
    asked = {**settings_here, "JOBMON_DB": "mysql", "JOBMON_DB_PASSWORD_FILE": "", "JOBMON_DB_HOST": "db.example.org"}
    assert "jobmon: JOBMON_DB_PASSWORD_FILE is missing" in manage(asked, "check").stderr
    assert manage({**asked, "JOBMON_DB_HOST": "/run/mysqld/mysqld.sock"}, "check").returncode == 0


def test_no_documented_setting_is_unknown(settings_here: dict[str, str]) -> None:
    """Empty ones change nothing and are looked at all the same."""
    documented = re.findall(r"^\| `(JOBMON_[A-Z0-9_]+)`", (REPOSITORY / "docs" / "settings.md").read_text(), re.M)
    done = manage({**dict.fromkeys(documented, ""), **settings_here, "JOBMON_LOCAL_KIND": "local"}, "check")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("unit", ["web", "worker", "beat", "shepherd"])
def test_units_name_programs_that_exist(unit: str) -> None:
    program, *arguments = exec_start(f"jobmon-{unit}").split()
    assert program.startswith("/opt/jobmon/.venv/bin/")
    assert (Path(sys.executable).parent / Path(program).name).exists()
    for path in [word for word in arguments if word.startswith("/opt/jobmon/")]:
        assert (REPOSITORY / path.removeprefix("/opt/jobmon/")).exists(), path
    text = (UNITS / f"jobmon-{unit}.service").read_text()
    for line in ("User=jobmon", "NoNewPrivileges=yes", "EnvironmentFile=/etc/jobmon/jobmon.env", "Restart=always"):
        assert line in text


def test_compose_uses_the_shipped_settings() -> None:
    compose = yaml.safe_load((REPOSITORY / "deploy" / "compose" / "compose.yaml").read_text())
    assert {"web", "worker", "beat", "shepherd", "mariadb", "redis"} == set(compose["services"])
    known = set(read_environment(EXAMPLE)) | {"GUNICORN_BIND", "JOBMON_REDIS_URL"}
    for service in ("web", "worker", "beat", "shepherd"):
        described = compose["services"][service]
        assert set(described["environment"]) <= known
        assert described["read_only"] is True
        assert (REPOSITORY / "deploy" / "compose" / described["env_file"]).resolve() == EXAMPLE


def test_nginx_sets_what_the_site_believes() -> None:
    text = (REPOSITORY / "deploy" / "nginx" / "jobmon.conf").read_text()
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in text
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in text
