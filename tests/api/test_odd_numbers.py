"""What is no number, or no cursor, where one belongs: refused or passed over, on every route, and never a 500."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from tests.api.test_matrix import declared, kind_of
from tests.api.world import World
from tests.test_architecture import sources
from workflows.filters import RunFilter, WorkflowFilter
from workflows.job_filters import JobFilter
from workflows.queries.keyset import encode

pytestmark = pytest.mark.django_db
ODD = ["²", "-1", "1e400", "9" * 5000, "\0", encode(None, 1)]
READ = re.compile(r"""(?:GET|query|query_params|data)\.(?:get|getlist)\("(\w+)"|number\(request, "(\w+)"\)""")


def parameters() -> list[str]:
    """Every name that a page or the API reads from an address."""
    found = {
        match[1] or match[2] for _, text in sources("workflows/views", "workflows/api") for match in READ.finditer(text)
    }
    for kind in (JobFilter, RunFilter, WorkflowFilter):
        found |= set(kind.base_filters)
    return sorted(found - {"export", "sort", "view", "dry_run"})


def test_parameters_are_found() -> None:
    assert {"per_page", "after", "job", "error_group", "sample", "offset", "from", "run", "dag_id"} <= set(parameters())


@pytest.mark.parametrize("odd", ODD, ids=lambda text: ascii(text[:12]))
def test_no_route_breaks(world: World, odd: str) -> None:
    query = urlencode([(name, odd) for name in parameters()])
    for route in declared():
        kind = kind_of(route, "GET")
        if kind:
            client = world.client("admin" if "admin" in kind or "staff" in kind else "owner", route.startswith("api/"))
            answer = client.get(f"{world.url(route).partition('?')[0]}?{query}")
            assert answer.status_code < 500, route


CASES = [
    ("workflows/", "per_page=²"),
    ("workflows/<id:workflow_id>/jobs/", "per_page=²"),
    ("operations/", "per_page=²"),
    ("jobs/", "dag_id=²"),
    ("workflows/<id:workflow_id>/resume/", "job=²"),
    ("workflows/<id:workflow_id>/resume/", "error_group=²"),
    ("job-instances/<id:instance_id>/log/stdout/", "offset=²"),
    ("error-groups/<id:group_id>/", "sample=²"),
    *(
        (route, f"sort={sort}&after={encode(value, 1)}")
        for route in ("workflows/<id:workflow_id>/jobs/", "api/v1/workflows/<id:workflow_id>/jobs/")
        for sort in ("name", "-status_date")
        for value in (None, True, "\ud800", 2**70, {"t": "0001-01-01T00:00:00+14:00"})
    ),
]


@pytest.mark.parametrize(("route", "query"), CASES, ids=lambda text: ascii(text))
def test_single_parameter_breaks_nothing(world: World, route: str, query: str) -> None:
    answer = world.client("owner", route.startswith("api/")).get(f"{world.url(route).partition('?')[0]}?{query}")
    assert answer.status_code in (200, 302, 400, 404)


@pytest.mark.parametrize(
    ("route", "data"),
    [
        ("workflows/<id:workflow_id>/operations/", {"action": "retry", "job": "²"}),
        ("workflows/<id:workflow_id>/resume/", {"job": "²", "before": "²-²-²"}),
        ("workflows/<id:workflow_id>/resume/", {"limit": "0000000009" + "9" * 30, "max_attempts": "²"}),
        ("workflows/<id:workflow_id>/stop/", {"mode": "kill", "live_jobs": "²", "typed": "1"}),
        ("account/filters/", {"list": "jobs", "workflow": "²", "name": "x"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_form_with_what_is_no_number_breaks_nothing(world: World, route: str, data: dict[str, str]) -> None:
    assert world.client("owner", False).post(world.url(route), data).status_code in (200, 302, 400, 409)
