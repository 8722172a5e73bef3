"""The authorization matrix of the routes that are there only with an identity provider; they open nothing by themselves.
That the right answer of a provider does: tests/pages/test_sign_in_elsewhere.py."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from django.test import Client
from django.urls import get_resolver

import jobmon_site.urls  # noqa: F401 - now, without the option: what it holds is decided when it is loaded
from jobmon_site.sign_in_options import oidc_settings
from tests.api.test_matrix import METHODS, PEOPLE, TABLE, check_routes, declared, walk
from tests.api.world import World, snapshot, watch_writes

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(find_spec("mozilla_django_oidc") is None, reason="needs requirements/sign-in.txt"),
]
ROUTES = TABLE["with-oidc"]
# What comes back from no provider that we sent anybody to: nothing, an error, somebody's code with or without a state.
FORGED = ("", "?error=denied", "?code=c", "?code=c&state=s", "?code=c&state=s&nonce=n", "?state=s&username=alice")


@pytest.fixture(autouse=True)
def with_oidc(monkeypatch: pytest.MonkeyPatch, settings) -> None:
    places = ("ISSUER", "AUTHORIZATION_URL", "TOKEN_URL", "USER_URL", "JWKS_URL")
    for name in places:
        monkeypatch.setenv(f"JOBMON_OIDC_{name}", f"https://provider.invalid/{name.lower()}")
    monkeypatch.setenv("JOBMON_OIDC_CLIENT_ID", "jobmon")
    monkeypatch.setenv("JOBMON_OIDC_CLIENT_SECRET", "s" * 40)
    for name, value in oidc_settings(is_secure=True).items():
        setattr(settings, name, value)
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, "workflows.sign_in_oidc.OidcBackend"]
    settings.ROOT_URLCONF = "tests.pages.urls_with_oidc"


def test_every_route_of_the_option_is_declared() -> None:
    assert set(walk(get_resolver().url_patterns)) - set(declared()) == set(ROUTES)


def test_the_matrix_of_the_option(world: World) -> None:
    """But for HEAD, which the library's views do not know."""
    methods = [method for method in METHODS if method != "HEAD"]
    check_routes(world, ROUTES, lambda route: [(method, who) for method in methods for who in PEOPLE])


@pytest.mark.parametrize("query", FORGED)
def test_a_forged_answer_signs_nobody_in_and_changes_nothing(world: World, query: str) -> None:
    """Neither does a code that is sent to somebody who never asked to sign in (a session of the sender's making)."""
    client, before = Client(HTTP_HOST="127.0.0.1"), snapshot()
    with watch_writes() as writes:
        response = client.get(f"/oidc/callback/{query}")
    assert response.status_code in (302, 400)
    assert "_auth_user_id" not in client.session
    assert not writes.found
    assert snapshot() == before


@pytest.mark.parametrize("query", FORGED)
def test_a_link_to_it_signs_nobody_out(world: World, query: str) -> None:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(world.users["owner"])
    client.get(f"/oidc/callback/{query}")
    assert client.get("/account/").status_code == 200
