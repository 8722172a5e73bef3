"""Settings, from the environment only (see docs/settings.md). Without any, this is the embedded default."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from csp.constants import NONE, SELF

from executors.names import prefix_of
from jobmon_site.database_options import mysql_settings, sqlite_settings
from jobmon_site.environment import (
    SettingError,
    demand_safe_server,
    env_bool,
    env_choice,
    env_float,
    env_int,
    env_list,
    env_path,
    env_port,
    env_secret,
    env_text,
    redis_url,
    refuse_unknown,
)
from jobmon_site.home import locate, make_private, read_or_make_secret
from jobmon_site.log_format import make_logging
from jobmon_site.mail_options import mail_settings
from jobmon_site.sign_in_options import ldap_settings, oidc_settings, proxy_settings
from jobmon_site.syslog import syslog_setting

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

MODE = env_choice("JOBMON_MODE", ("embedded", "server"), "embedded")
IS_EMBEDDED = MODE == "embedded"
HOME = locate(env_text("JOBMON_HOME"))
if IS_EMBEDDED:
    make_private(HOME.home)
    make_private(HOME.local)
    make_private(HOME.runtime)

DEBUG = env_bool("JOBMON_DEBUG")
SECRET_KEY = env_secret("JOBMON_SECRET_KEY") or (read_or_make_secret(HOME.home / "secret_key") if IS_EMBEDDED else "")
if not SECRET_KEY:
    raise SettingError("JOBMON_SECRET_KEY_FILE is missing: name a file with at least 50 random characters")
SECRET_KEY_FALLBACKS = env_secret("JOBMON_SECRET_KEY_FALLBACKS").split()
ALLOWED_HOSTS = env_list("JOBMON_ALLOWED_HOSTS", ("127.0.0.1", "localhost") if IS_EMBEDDED else ())
if not ALLOWED_HOSTS:
    raise SettingError("JOBMON_ALLOWED_HOSTS is missing: name the host names under which the site is reached")
if not IS_EMBEDDED:
    demand_safe_server(SECRET_KEY, SECRET_KEY_FALLBACKS, ALLOWED_HOSTS, DEBUG)
CSRF_TRUSTED_ORIGINS = env_list("JOBMON_TRUSTED_ORIGINS")
PORT = env_port("JOBMON_PORT") or 8000

INSTALLED_APPS = [
    "workflows",  # first, so that its commands stand for those of the same name
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_tables2",
    "django_filters",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "axes",
    "jobmon_site",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "workflows.middleware.RequestContextMiddleware",
    "jobmon_site.observe.ObserveMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "workflows.middleware.SlashMiddleware",
    "workflows.middleware.UnseenMiddleware",
    "workflows.middleware.GzipRequestMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "workflows.sessions.SessionAgeMiddleware",
    "workflows.middleware.SameOriginMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "csp.middleware.CSPMiddleware",
    "workflows.middleware.DatabaseAwayMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "jobmon_site.urls"
WSGI_APPLICATION = "jobmon_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "workflows.views.context.site",
            ]
        },
    }
]

DATABASE_KIND = env_choice("JOBMON_DB", ("sqlite", "mysql"), "sqlite")
DATABASES = {
    "default": sqlite_settings(HOME.database) if DATABASE_KIND == "sqlite" else mysql_settings(not IS_EMBEDDED)
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
USE_THOUSAND_SEPARATOR = False

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = None if IS_EMBEDDED else env_path("JOBMON_STATIC_ROOT", BASE_DIR / "staticfiles")
WHITENOISE_USE_FINDERS = IS_EMBEDDED
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if IS_EMBEDDED
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# Cookies ignore ports; two servers of two people on one login node must not share them.
SESSION_COOKIE_NAME = f"jobmon_session_{PORT}"
CSRF_COOKIE_NAME = f"jobmon_csrf_{PORT}"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 7 * 24 * 3600
SESSION_IDLE_SECONDS = SESSION_COOKIE_AGE if IS_EMBEDDED else 12 * 3600
SESSION_ENGINE = "workflows.session_store"
SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "workflows.views.errors.csrf_failure"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
if not IS_EMBEDDED:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = env_bool("JOBMON_SSL_REDIRECT", True)
    SECURE_REDIRECT_EXEMPT = ["^(healthz|readyz|metrics)$"]  # asked by machines, on this side of the proxy
    SECURE_HSTS_SECONDS = env_int("JOBMON_HSTS_SECONDS", 31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env_bool("JOBMON_HSTS_INCLUDE_SUBDOMAINS", True)
    SECURE_HSTS_PRELOAD = env_bool("JOBMON_HSTS_PRELOAD", True)
    if env_bool("JOBMON_BEHIND_PROXY"):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        MIDDLEWARE.insert(0, "jobmon_site.observe.ProxyAddressMiddleware")

DEFAULT_EXCEPTION_REPORTER_FILTER = "jobmon_site.reports.NoValues"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "img-src": [SELF, "data:"],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# Who comes in, and what they see and may use: see docs/users.md.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "workflows.sign_in.PasswordBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AXES_FAILURE_LIMIT = env_int("JOBMON_SIGN_IN_FAILURES", 10, 1)
AXES_COOLOFF_TIME = timedelta(minutes=env_int("JOBMON_SIGN_IN_LOCK_MINUTES", 15, 1))
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_CALLABLE = "workflows.views.account.locked_out"
AXES_CLIENT_IP_CALLABLE = "workflows.sign_in.address_of"
AXES_USERNAME_CALLABLE = "workflows.sign_in_locks.name_of"
AXES_HANDLER = "workflows.sign_in_locks.LockHandler"
AXES_RESET_ON_SUCCESS = AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["username", "password", "ip_address"]
OIDC_ISSUER = OIDC_RP_CLIENT_ID = OIDC_USERNAME_CLAIM = ""
REMOTE_USER_META = REMOTE_USER_SECRET = ""
REMOTE_USER_CREATES = False
if _ldap := ldap_settings():
    globals().update(_ldap)
    AUTHENTICATION_BACKENDS.append("workflows.sign_in_ldap.LdapBackend")
if _oidc := oidc_settings(not IS_EMBEDDED):
    globals().update(_oidc)
    AUTHENTICATION_BACKENDS.append("workflows.sign_in_oidc.OidcBackend")
if _proxy := proxy_settings(env_bool("JOBMON_BEHIND_PROXY")):
    globals().update(_proxy)
    AUTHENTICATION_BACKENDS.append("workflows.sign_in.ProxyBackend")
    MIDDLEWARE.insert(
        MIDDLEWARE.index("workflows.sessions.SessionAgeMiddleware"), "workflows.sign_in.ProxySignInMiddleware"
    )
EVERYONE_READS = env_bool("JOBMON_EVERYONE_READS")
AUDITORS_GROUP = env_text("JOBMON_AUDITORS_GROUP", "auditors")
RUN_AS = env_choice("JOBMON_RUN_AS", ("self", "service", "owner"), "self")
if not IS_EMBEDDED and RUN_AS == "self":
    raise SettingError("JOBMON_RUN_AS is missing: owner (each job as its workflow's owner) or service (all as one)")
RUN_AS_HELPER = env_path("JOBMON_RUN_AS_HELPER", Path("/opt/jobmon/libexec/v1/jobmon-as"))
MOST_TOKEN_DAYS = env_int("JOBMON_TOKEN_DAYS", 90, 1)
if MOST_TOKEN_DAYS > 90:
    raise SettingError(f"JOBMON_TOKEN_DAYS={MOST_TOKEN_DAYS} is over 90: a token that leaks must end some day")

# What one person may use of a shared server; 0 is no limit. See workflows/quotas.py.
QUOTA_LIVE_RUNS = env_int("JOBMON_QUOTA_LIVE_RUNS", 0 if IS_EMBEDDED else 50)
QUOTA_JOBS = env_int("JOBMON_QUOTA_JOBS", 0 if IS_EMBEDDED else 2_000_000)
QUOTA_DRAFTS = env_int("JOBMON_QUOTA_DRAFTS", 0 if IS_EMBEDDED else 20)
QUOTA_EXPORTS = env_int("JOBMON_QUOTA_EXPORTS", 0 if IS_EMBEDDED else 1)
EXPORT_PLACES = HOME.local / "exports"
QUOTA_SUBMISSIONS = env_int("JOBMON_QUOTA_SUBMISSIONS_PER_MINUTE", 0 if IS_EMBEDDED else 60)

MAX_BODY_BYTES = env_int("JOBMON_MAX_BODY_MB", 64, 1) * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "workflows.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["workflows.api.bodies.JsonBody"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "workflows.api.problems.handle_exception",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Jobmon",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "workflows.api.openapi.document_problems",
    ],
    "ENUM_NAME_OVERRIDES": {"StopMode": ["drain", "kill"]},
}
DJANGO_TABLES2_TEMPLATE = "tables/table.html"

# The database is the truth, Celery a bell: no results, JSON only, early acknowledgement, short tasks.
CELERY_BROKER_URL = redis_url() or f"redis+socket://{quote(str(HOME.redis_socket))}?virtual_host=0"
CELERY_TASK_IGNORE_RESULT = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_DEFAULT_QUEUE = "jobmon"
CELERY_TASK_DEFAULT_DELIVERY_MODE = "transient"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # whoever reaches Redis could end or throttle the workers with it
CELERY_WORKER_DIRECT = True  # a queue for each worker, in which it calls itself
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 120,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    # Whoever rings tries twice and goes on: the sweep makes good. Kombu's own default keeps a request for six seconds.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.05,
    "interval_max": 0.05,
}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "sweep": {
        "task": "workflows.tasks.sweep",
        "schedule": env_float("JOBMON_SWEEP_SECONDS", 30.0, 1.0),
        "options": {"expires": 60},
    }
}

# Executors: see docs/settings.md and docs/executors.md.
DEPLOYMENT = env_text("JOBMON_DEPLOYMENT", "1")
SPOOL = env_path("JOBMON_SPOOL", HOME.spool)
SHEPHERD_DIR = env_path("JOBMON_SHEPHERD_DIR", HOME.local / "shepherd")
EXECUTORS = env_list("JOBMON_EXECUTORS", ("local", "sequential"))
DEFAULT_EXECUTOR = env_text("JOBMON_DEFAULT_EXECUTOR") or EXECUTORS[0]
LOCAL_SLOTS = env_int("JOBMON_LOCAL_SLOTS", 0)
LOCAL_MEMORY_GB = env_float("JOBMON_LOCAL_MEMORY_GB", 0.0)
MAX_CONCURRENTLY_RUNNING = env_int("JOBMON_MAX_CONCURRENTLY_RUNNING", 10_000, 1)
LEASE_SECONDS = env_int("JOBMON_LEASE_SECONDS", 30, 5)
WORKER_SILENCE_SECONDS = env_float("JOBMON_WORKER_SILENCE_SECONDS", 60.0, 15.0)

LOG_LEVEL = env_choice("JOBMON_LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO")
LOG_FORMAT = env_choice("JOBMON_LOG_FORMAT", ("plain", "json"), "plain")
LOGGING = make_logging(LOG_FORMAT, LOG_LEVEL, syslog_setting("JOBMON_AUDIT_SYSLOG"))

# Mail to people, and when a run stands still: see docs/monitoring.md.
_mail = mail_settings(f"http://127.0.0.1:{PORT}" if IS_EMBEDDED else f"https://{ALLOWED_HOSTS[0]}")
globals().update(_mail)
SITE_URL, MAIL_MINUTES = str(_mail["SITE_URL"]), int(_mail["MAIL_MINUTES"])
STALL_MINUTES = env_int("JOBMON_STALL_MINUTES", 15, 1)
FAILING_ATTEMPTS = env_int("JOBMON_FAILING_ATTEMPTS", 200)

# Probes and metrics: see docs/monitoring.md.
METRICS_TOKEN = env_secret("JOBMON_METRICS_TOKEN")
METRICS_FILE = env_path("JOBMON_METRICS_FILE", HOME.local / "counters.sqlite3")

os.environ.setdefault("TZ", "UTC")
if not IS_EMBEDDED:
    refuse_unknown([prefix_of(name) for name in EXECUTORS])
