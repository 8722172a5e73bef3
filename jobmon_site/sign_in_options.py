"""Other ways to sign in than a password here: LDAP, OpenID Connect, a trusted proxy's header. Each is off unless its
settings are there, and only then is its library imported (requirements/sign-in.txt). See docs/users.md."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from jobmon_site.environment import SettingError, env_bool, env_list, env_secret, env_text, refuse_orphans

SHORTEST_PROXY_SECRET = 32


def _demand(module: str, setting: str) -> None:
    if find_spec(module) is None:
        raise SettingError(
            f"{setting} is set, but the Python package {module} is not installed: "
            "pip install -r requirements/sign-in.txt"
        )


def _demand_text(name: str, because: str) -> str:
    value = env_text(name)
    if not value:
        raise SettingError(f"{name} is missing: {because} is set")
    return value


def ldap_settings() -> dict[str, Any]:
    """django-auth-ldap's settings; {} where LDAP is off. TLS always: a password goes over this line."""
    uri = env_text("JOBMON_LDAP_URI")
    if not uri:
        refuse_orphans("JOBMON_LDAP_", "JOBMON_LDAP_URI")
        return {}
    _demand("django_auth_ldap", "JOBMON_LDAP_URI")
    starts_tls = env_bool("JOBMON_LDAP_START_TLS")
    if not uri.startswith(("ldaps://", "ldapi://")) and not (uri.startswith("ldap://") and starts_tls):
        raise SettingError("JOBMON_LDAP_URI must be ldaps://…, or ldap://… with JOBMON_LDAP_START_TLS=1")
    template = _demand_text("JOBMON_LDAP_USER_DN", "JOBMON_LDAP_URI")
    if template.count("%(user)s") != 1:
        raise SettingError(
            "JOBMON_LDAP_USER_DN must hold %(user)s once, as in uid=%(user)s,ou=people,dc=example,dc=org"
        )
    return {
        "AUTH_LDAP_SERVER_URI": uri,
        "AUTH_LDAP_START_TLS": starts_tls,
        "AUTH_LDAP_USER_DN_TEMPLATE": template,
        "AUTH_LDAP_BIND_AS_AUTHENTICATING_USER": True,
        "AUTH_LDAP_NO_NEW_USERS": not env_bool("JOBMON_SIGN_IN_CREATES_USERS"),
        "AUTH_LDAP_PERMIT_EMPTY_PASSWORD": False,
        **_ldap_connection(),
        **_ldap_groups(),
    }


def _ldap_connection() -> dict[str, Any]:
    import ldap  # noqa: PLC0415 - an option

    options = {
        ldap.OPT_NETWORK_TIMEOUT: 10,
        ldap.OPT_TIMEOUT: 10,
        ldap.OPT_REFERRALS: 0,
        ldap.OPT_X_TLS_REQUIRE_CERT: ldap.OPT_X_TLS_DEMAND,
    }
    if ca_file := env_text("JOBMON_LDAP_CA_FILE"):
        options[ldap.OPT_X_TLS_CACERTFILE] = ca_file
    return {"AUTH_LDAP_CONNECTION_OPTIONS": {**options, ldap.OPT_X_TLS_NEWCTX: 0}}


def _ldap_groups() -> dict[str, Any]:
    """Of these LDAP groups (groupOfNames below this place) the memberships here follow those there, at each sign-in."""
    base, names = env_text("JOBMON_LDAP_GROUPS_BASE"), env_list("JOBMON_LDAP_GROUPS")
    if not base:
        return {}
    if not names:
        raise SettingError("JOBMON_LDAP_GROUPS is missing: name the groups that are taken from JOBMON_LDAP_GROUPS_BASE")
    import ldap  # noqa: PLC0415 - an option
    from django_auth_ldap.config import GroupOfNamesType, LDAPSearch  # noqa: PLC0415

    return {
        "AUTH_LDAP_GROUP_SEARCH": LDAPSearch(base, ldap.SCOPE_SUBTREE, "(objectClass=groupOfNames)"),
        "AUTH_LDAP_GROUP_TYPE": GroupOfNamesType(),
        "AUTH_LDAP_MIRROR_GROUPS": set(names),
    }


def oidc_settings(is_secure: bool) -> dict[str, Any]:
    """mozilla-django-oidc's settings; {} where OpenID Connect is off."""
    issuer = env_text("JOBMON_OIDC_ISSUER")
    if not issuer:
        refuse_orphans("JOBMON_OIDC_", "JOBMON_OIDC_ISSUER")
        return {}
    _demand("mozilla_django_oidc", "JOBMON_OIDC_ISSUER")
    because = "JOBMON_OIDC_ISSUER"
    secret = env_secret("JOBMON_OIDC_CLIENT_SECRET")
    if not secret:
        raise SettingError(f"JOBMON_OIDC_CLIENT_SECRET_FILE is missing: {because} is set")
    places = {
        "OIDC_OP_AUTHORIZATION_ENDPOINT": _demand_text("JOBMON_OIDC_AUTHORIZATION_URL", because),
        "OIDC_OP_TOKEN_ENDPOINT": _demand_text("JOBMON_OIDC_TOKEN_URL", because),
        "OIDC_OP_USER_ENDPOINT": _demand_text("JOBMON_OIDC_USER_URL", because),
        "OIDC_OP_JWKS_ENDPOINT": _demand_text("JOBMON_OIDC_JWKS_URL", because),
    }
    for url in (issuer, *places.values()):
        if is_secure and not url.startswith("https://"):
            raise SettingError(f"{url} of the JOBMON_OIDC_ settings does not begin with https://")
    return {
        "OIDC_ISSUER": issuer,
        **places,
        "OIDC_RP_CLIENT_ID": _demand_text("JOBMON_OIDC_CLIENT_ID", because),
        "OIDC_RP_CLIENT_SECRET": secret,
        "OIDC_RP_SIGN_ALGO": "RS256",
        "OIDC_RP_SCOPES": "openid profile",
        "OIDC_USERNAME_CLAIM": env_text("JOBMON_OIDC_USERNAME_CLAIM", "preferred_username"),
        "OIDC_CREATE_USER": env_bool("JOBMON_SIGN_IN_CREATES_USERS"),
        "OIDC_USE_PKCE": True,
        "OIDC_TIMEOUT": 10,
        "OIDC_STORE_ID_TOKEN": False,
        "LOGIN_REDIRECT_URL_FAILURE": "/login/?failed=1",
    }


def proxy_settings(is_behind_proxy: bool) -> dict[str, Any]:
    """The header in which a trusted proxy names the person, and the secret by which the proxy is known; {}: off."""
    header = env_text("JOBMON_REMOTE_USER_HEADER")
    if not header:
        refuse_orphans("JOBMON_REMOTE_USER_", "JOBMON_REMOTE_USER_HEADER")
        return {}
    if not is_behind_proxy:
        raise SettingError("JOBMON_REMOTE_USER_HEADER is set without JOBMON_BEHIND_PROXY=1: anybody could send it")
    secret = env_secret("JOBMON_REMOTE_USER_SECRET")
    if len(secret) < SHORTEST_PROXY_SECRET:
        raise SettingError(
            f"JOBMON_REMOTE_USER_SECRET_FILE must name a file with at least {SHORTEST_PROXY_SECRET} characters: the "
            "proxy proves with it that the name in JOBMON_REMOTE_USER_HEADER is its own"
        )
    return {
        "REMOTE_USER_META": f"HTTP_{header.upper().replace('-', '_')}",
        "REMOTE_USER_SECRET": secret,
        "REMOTE_USER_CREATES": env_bool("JOBMON_SIGN_IN_CREATES_USERS"),
    }
