"""What the browser may load and run: the same few words for every address, and each exception by name."""

from __future__ import annotations

import pytest
from django.conf import settings as site_settings
from django.http import HttpResponseBase

from tests.api.test_matrix import EVERYWHERE, kind_of
from tests.api.world import World

pytestmark = pytest.mark.django_db
LOG = r"api/^v1/job-instances/(?P<instance_id>[0-9]{1,18})/log/(?P<stream>stdout|stderr)/$"
EXCEPTIONS = {LOG: {"sandbox": ""}}
"""What a job wrote, as it is: no page at all, and less than any other address may do"""


def base_policy() -> dict[str, str]:
    directives = site_settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    return {name: " ".join(values) for name, values in directives.items()}


def policy_of(response: HttpResponseBase) -> dict[str, str]:
    header = response["Content-Security-Policy"]
    return {words.split()[0]: " ".join(words.split()[1:]) for words in header.split(";") if words.strip()}


@pytest.mark.parametrize("section", EVERYWHERE)
def test_every_address_has_the_policy(world: World, section: str) -> None:
    wrong, base = [], base_policy()
    for route in EVERYWHERE[section]:
        for who in ("owner", "admin", "anonymous"):
            if not kind_of(route, "GET"):
                continue
            response = world.client(who, route.startswith("api/v1/")).get(world.url(route))
            is_shown = response.status_code == 200
            wanted = EXCEPTIONS.get(route, base) if is_shown else base
            if policy_of(response) != wanted:
                wrong.append(f"{route} for {who}: {response['Content-Security-Policy']}")
    assert wrong == []


def test_the_policy_lets_nothing_inline_or_foreign_run() -> None:
    base = base_policy()
    assert base["default-src"] == base["base-uri"] == base["frame-ancestors"] == "'none'"
    assert {base[name] for name in ("script-src", "style-src", "connect-src", "font-src", "form-action")} == {"'self'"}
    assert base["img-src"] == "'self' data:"
