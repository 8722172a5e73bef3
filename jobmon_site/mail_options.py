"""Mail from the environment: Django's own e-mail settings, checked."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from jobmon_site.environment import SettingError, env_choice, env_int, env_secret, env_text

TIMEOUT_SECONDS = 20
PORTS = {"none": 25, "starttls": 587, "tls": 465}


def mail_settings(default_site: str) -> dict[str, Any]:
    """Without JOBMON_MAIL_HOST nothing is ever sent. Raises SettingError."""
    host, sender = env_text("JOBMON_MAIL_HOST"), env_text("JOBMON_MAIL_FROM")
    security = env_choice("JOBMON_MAIL_SECURITY", tuple(PORTS), "none")
    if host and "@" not in sender:
        raise SettingError(
            "JOBMON_MAIL_FROM is missing: name the address from which mail comes (JOBMON_MAIL_HOST is set)"
        )
    user, password = env_text("JOBMON_MAIL_USER"), env_secret("JOBMON_MAIL_PASSWORD")
    if user and security == "none":
        raise SettingError(
            "JOBMON_MAIL_USER needs JOBMON_MAIL_SECURITY=starttls or tls: a password is never sent in clear"
        )
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": host,
        "EMAIL_PORT": env_int("JOBMON_MAIL_PORT", PORTS[security], 1),
        "EMAIL_HOST_USER": user,
        "EMAIL_HOST_PASSWORD": password,
        "EMAIL_USE_TLS": security == "starttls",
        "EMAIL_USE_SSL": security == "tls",
        "EMAIL_TIMEOUT": TIMEOUT_SECONDS,
        "DEFAULT_FROM_EMAIL": sender or "jobmon@localhost",
        "MAIL_MINUTES": env_int("JOBMON_MAIL_MINUTES", 15),
        "SITE_URL": site_url(env_text("JOBMON_SITE_URL") or default_site),
    }


def site_url(text: str) -> str:
    """What the links in mails begin with. Raises SettingError."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise SettingError(f"JOBMON_SITE_URL={text!r} is no address like https://jobmon.example.org")
    return text.rstrip("/")
