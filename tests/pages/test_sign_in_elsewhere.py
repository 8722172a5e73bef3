"""Signing in by a directory (a real slapd, over TLS), by an identity provider (a process of this test), and by a
trusted proxy's header."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from django.contrib.auth.models import User
from django.test import Client

import jobmon_site.urls  # noqa: F401 - now, without the option: what it holds is decided when it is loaded
from jobmon_site.environment import SettingError
from jobmon_site.sign_in_options import ldap_settings, oidc_settings, proxy_settings
from tests.factories import make_user
from tests.ports import find_ports
from tests.services import Unavailable, find_program
from tests.waiting import wait_until
from workflows.models import AuditEntry, ExternalIdentity

pytestmark = pytest.mark.django_db
SECRET = "s" * 40
LDIF = """dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: uid=lena,dc=example,dc=org
objectClass: inetOrgPerson
uid: lena
cn: Lena
sn: L
userPassword: directory-word

dn: cn=fits,dc=example,dc=org
objectClass: groupOfNames
cn: fits
member: uid=lena,dc=example,dc=org

dn: cn=auditors,dc=example,dc=org
objectClass: groupOfNames
cn: auditors
member: uid=lena,dc=example,dc=org
"""
SLAPD = """include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCertificateFile {folder}/cert.pem
TLSCertificateKeyFile {folder}/key.pem
database mdb
suffix "dc=example,dc=org"
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
"""


def demand_package(name: str) -> None:
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed (requirements/sign-in.txt)")


def make_certificate(folder: Path) -> Path:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return folder / "cert.pem"


# LDAP


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a slapd with one person and two groups, and its certificate."""
    demand_package("django_auth_ldap")
    folder = tmp_path_factory.mktemp("slapd")
    try:
        slapd, slapadd = find_program("slapd"), find_program("slapadd")
    except Unavailable as missing:
        pytest.skip(str(missing))
    certificate = make_certificate(folder)
    (folder / "data").mkdir()
    (folder / "slapd.conf").write_text(SLAPD.format(folder=folder))
    (folder / "entries.ldif").write_text(LDIF)
    subprocess.run([slapadd, "-f", folder / "slapd.conf", "-l", folder / "entries.ldif"], check=True, timeout=60)
    uri = f"ldaps://127.0.0.1:{find_ports(1)}"
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([slapd, "-f", folder / "slapd.conf", "-h", uri, "-d", "0"], stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(uri, certificate), 60, "slapd answers")
        yield uri, certificate
    finally:
        process.terminate()
        process.wait(30)


def answers(uri: str, certificate: Path) -> bool:
    import ldap

    connection = ldap.initialize(uri)
    connection.set_option(ldap.OPT_X_TLS_CACERTFILE, str(certificate))
    connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    try:
        connection.simple_bind_s("uid=lena,dc=example,dc=org", "directory-word")
    except ldap.SERVER_DOWN:
        return False
    return True


@pytest.fixture
def with_ldap(directory: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, settings) -> None:
    monkeypatch.setenv("JOBMON_LDAP_URI", directory[0])
    monkeypatch.setenv("JOBMON_LDAP_CA_FILE", str(directory[1]))
    monkeypatch.setenv("JOBMON_LDAP_USER_DN", "uid=%(user)s,dc=example,dc=org")
    monkeypatch.setenv("JOBMON_LDAP_GROUPS_BASE", "dc=example,dc=org")
    monkeypatch.setenv("JOBMON_LDAP_GROUPS", "fits")
    take(settings, ldap_settings(), "workflows.sign_in_ldap.LdapBackend")


def take(settings, values: dict[str, object], backend: str) -> None:
    for name, value in values.items():
        setattr(settings, name, value)
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, backend]


def sign_in(name: str, password: str) -> Client:
    client = Client(HTTP_HOST="127.0.0.1")
    client.post("/login/", {"username": name, "password": password})
    return client


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def test_the_directory_checks_the_password(with_ldap: None) -> None:
    User.objects.create_user("lena")
    assert not is_in(sign_in("lena", "wrong"))
    client = sign_in("lena", "directory-word")
    assert is_in(client)
    assert client.session["_auth_user_backend"] == "workflows.sign_in_ldap.LdapBackend"
    lena = User.objects.get()
    assert list(lena.groups.values_list("name", flat=True)) == ["fits"]  # and no role that is not asked for
    row = AuditEntry.objects.get(action="mirror-groups")
    assert (row.target, row.before, row.after) == ("user lena", {"groups": []}, {"groups": ["fits"], "by": "ldap"})
    assert is_in(sign_in("lena", "directory-word"))
    assert AuditEntry.objects.filter(action="mirror-groups").count() == 1, "what is as it was has no row"


def test_who_has_no_account_here_is_not_let_in(with_ldap: None) -> None:
    assert not is_in(sign_in("lena", "directory-word"))
    assert not User.objects.exists()
    assert not AuditEntry.objects.filter(action="create-user").exists()


def test_accounts_are_made_where_that_is_set(with_ldap: None, settings) -> None:
    settings.AUTH_LDAP_NO_NEW_USERS = False
    assert is_in(sign_in("lena", "directory-word"))
    assert not User.objects.get().has_usable_password()
    assert AuditEntry.objects.filter(action="create-user").count() == 1


def test_an_account_with_a_password_here_is_not_the_directorys(with_ldap: None) -> None:
    make_user("lena")
    assert not is_in(sign_in("lena", "directory-word"))
    assert is_in(sign_in("lena", "correct horse"))


def test_a_directory_with_another_certificate_gets_no_password(with_ldap: None, settings, tmp_path: Path) -> None:
    import ldap

    User.objects.create_user("lena")
    other = make_certificate(tmp_path)
    options = {**settings.AUTH_LDAP_CONNECTION_OPTIONS, ldap.OPT_X_TLS_CACERTFILE: str(other)}
    settings.AUTH_LDAP_CONNECTION_OPTIONS = options
    assert not is_in(sign_in("lena", "directory-word"))


def test_a_directory_without_tls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    demand_package("django_auth_ldap")
    monkeypatch.setenv("JOBMON_LDAP_URI", "ldap://directory.example.org")
    with pytest.raises(SettingError, match="must be ldaps://"):
        ldap_settings()


# OpenID Connect


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[str]:
    demand_package("mozilla_django_oidc")
    url = f"http://127.0.0.1:{find_ports(1)}"
    program = Path(__file__).with_name("oidc_provider.py")
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([sys.executable, program, url], stdout=log, stderr=log)
    try:
        wait_until(lambda: is_answering(url), 60, f"the provider answers: {(tmp_path / 'log').read_text()}")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def is_answering(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/jwks", timeout=60) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.fixture
def with_oidc(provider: str, monkeypatch: pytest.MonkeyPatch, settings) -> str:
    values = {"ISSUER": provider, "CLIENT_ID": "jobmon", "CLIENT_SECRET": SECRET, "AUTHORIZATION_URL": f"{provider}/go",
              "TOKEN_URL": f"{provider}/token", "USER_URL": f"{provider}/user", "JWKS_URL": f"{provider}/jwks"}  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(f"JOBMON_OIDC_{name}", value)
    take(settings, oidc_settings(is_secure=False), "workflows.sign_in_oidc.OidcBackend")
    settings.ROOT_URLCONF = "tests.pages.urls_with_oidc"
    return provider


def come_back(who: str) -> Client:
    """Ask to sign in, and come back from the provider, who is told whom to send and how honestly."""
    client = Client(HTTP_HOST="127.0.0.1")
    away = client.get("/oidc/authenticate/")
    asked = {name: values[0] for name, values in parse_qs(urlparse(away["Location"]).query).items()}
    client.get("/oidc/callback/", {"code": f"{who}|{asked['nonce']}", "state": asked["state"]})
    return client


def test_a_person_is_issuer_and_subject(with_oidc: str) -> None:
    alice = User.objects.create_user("somebody")
    ExternalIdentity.objects.create(user=alice, issuer=with_oidc, subject="sub-1", created_at=alice.date_joined)
    client = come_back("sub-1:renamed")
    assert client.session["_auth_user_id"] == str(alice.pk)
    assert not is_in(come_back("SUB-1:somebody"))
    assert "Sign in with your organisation" in Client(HTTP_HOST="127.0.0.1").get("/login/").content.decode()


def test_an_equal_name_is_not_the_same_person(with_oidc: str, settings) -> None:
    settings.OIDC_CREATE_USER = True
    make_user("alice")
    assert not is_in(come_back("sub-2:alice"))
    assert is_in(come_back("sub-3:berta"))
    assert ExternalIdentity.objects.get().user.username == "berta"
    assert not is_in(come_back("sub-4:root;rm"))


def test_no_account_is_made_unless_that_is_set(with_oidc: str) -> None:
    assert not is_in(come_back("sub-3:berta"))
    assert not User.objects.exists()


@pytest.mark.parametrize("lie", ["issuer", "audience", "expired", "key", "nonce", "userinfo"])
def test_a_token_that_is_not_for_us_opens_nothing(with_oidc: str, lie: str) -> None:
    user = User.objects.create_user("somebody")
    ExternalIdentity.objects.create(user=user, issuer=with_oidc, subject="sub-1", created_at=user.date_joined)
    assert is_in(come_back("sub-1:x"))
    assert not is_in(come_back(f"sub-1:x:{lie}"))


# The proxy's header


@pytest.fixture
def with_proxy(monkeypatch: pytest.MonkeyPatch, settings) -> None:
    monkeypatch.setenv("JOBMON_REMOTE_USER_HEADER", "X-Remote-User")
    monkeypatch.setenv("JOBMON_REMOTE_USER_SECRET", SECRET)
    take(settings, proxy_settings(is_behind_proxy=True), "workflows.sign_in.ProxyBackend")
    at = settings.MIDDLEWARE.index("workflows.sessions.SessionAgeMiddleware")
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[:at],
        "workflows.sign_in.ProxySignInMiddleware",
        *settings.MIDDLEWARE[at:],
    ]


def ask(headers: dict[str, str], client: Client | None = None) -> int:
    return (client or Client(HTTP_HOST="127.0.0.1")).get("/account/", headers=headers).status_code


def test_the_header_counts_with_the_proxys_secret_only(with_proxy: None) -> None:
    make_user("alice")
    named = {"X-Remote-User": "alice"}
    assert ask({**named, "X-Jobmon-Proxy-Secret": SECRET}) == 200
    for headers in (named, {**named, "X-Jobmon-Proxy-Secret": "wrong"}, {"X-Jobmon-Proxy-Secret": SECRET}):
        assert ask(headers) == 302, headers
    assert ask({"X_Remote_User": "alice", "X-Jobmon-Proxy-Secret": "wrong"}) == 302


def test_the_session_ends_with_the_header(with_proxy: None) -> None:
    make_user("alice")
    client = Client(HTTP_HOST="127.0.0.1")
    assert ask({"X-Remote-User": "alice", "X-Jobmon-Proxy-Secret": SECRET}, client) == 200
    assert ask({"X-Jobmon-Proxy-Secret": SECRET}, client) == 302


def test_the_proxy_makes_accounts_only_where_that_is_set(with_proxy: None, settings) -> None:
    headers = {"X-Remote-User": "new", "X-Jobmon-Proxy-Secret": SECRET}
    assert ask(headers) == 302
    settings.REMOTE_USER_CREATES = True
    assert ask(headers) == 200
    assert not User.objects.get().has_usable_password()


@pytest.mark.django_db(transaction=True)
def test_no_account_is_made_without_its_row(with_proxy: None, settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REMOTE_USER_CREATES = True
    headers = {"X-Remote-User": "new", "X-Jobmon-Proxy-Secret": SECRET}

    def fail(*told: object, **more: object) -> None:
        raise LookupError("the audit cannot be written")

    monkeypatch.setattr("workflows.sign_in.write_event", fail)
    with pytest.raises(LookupError):
        ask(headers)
    assert not User.objects.exists()


def test_a_disabled_person_is_not_let_in_by_the_proxy(with_proxy: None) -> None:
    make_user("alice")
    User.objects.update(is_active=False)
    assert ask({"X-Remote-User": "alice", "X-Jobmon-Proxy-Secret": SECRET}) == 302


@pytest.mark.parametrize(
    ("is_behind", "secret", "words"), [(False, SECRET, "anybody could send it"), (True, "short", "at least 32")]
)
def test_a_header_without_a_safe_proxy_is_refused(
    monkeypatch: pytest.MonkeyPatch, is_behind: bool, secret: str, words: str
) -> None:
    monkeypatch.setenv("JOBMON_REMOTE_USER_HEADER", "X-Remote-User")
    monkeypatch.setenv("JOBMON_REMOTE_USER_SECRET", secret)
    with pytest.raises(SettingError, match=words):
        proxy_settings(is_behind)


def test_all_are_off_by_themselves() -> None:
    assert (ldap_settings(), oidc_settings(True), proxy_settings(True)) == ({}, {}, {})
