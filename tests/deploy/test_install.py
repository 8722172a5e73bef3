"""The guide is followed: MariaDB, Redis, gunicorn, nginx with a certificate of its own, worker, beat and shepherd; a
person signs in over https, makes a token, and a script runs a workflow with it."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.installation import HOST, PASSWORD, UPGRADE, Installation, blocks_that_run
from tests.services import REPOSITORY, Unavailable
from tests.waiting import wait_until

# Compressing all static files and starting seven programs takes its time on a busy machine.
pytestmark = pytest.mark.timeout(900)
SCRIPT = """
import socket, sys
real = socket.getaddrinfo
def look_up(host, *args, **more):
    return real("127.0.0.1" if host == "jobmon.example.org" else host, *args, **more)
socket.getaddrinfo = look_up
from jobmon import BashTask, Workflow
workflow = Workflow(workflow_args="install")
workflow.add_tasks([BashTask("echo it works > " + sys.argv[1])])
sys.exit(0 if workflow.run() else 1)
"""


class Browser:
    """Keeps cookies, and checks the certificate for the right host name."""

    def __init__(self, port: int, certificate: Path) -> None:
        self.port = port
        self.context = ssl.create_default_context(cafile=str(certificate))
        self.cookies: dict[str, str] = {}

    def send(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPSConnection(HOST, self.port, context=self.context, timeout=120)
        connection.sock = self.context.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), 120), server_hostname=HOST
        )
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers.setdefault("Referer", f"https://{HOST}:{self.port}/")
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        for line in response.headers.get_all("Set-Cookie") or []:
            assert "; Secure" in line
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        connection.close()
        return response.status, dict(response.headers), text

    def sign_in(self) -> None:
        _, _, form = self.send("GET", "/login/")
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert found is not None
        fields = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": found[1]}
        sent = urllib.parse.urlencode(fields)
        status, headers, text = self.send(
            "POST", "/login/", sent, **{"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert (status, headers["Location"]) == (302, "/"), text[:500]

    def make_token(self) -> str:
        csrf = next(value for name, value in self.cookies.items() if "csrf" in name)
        headers = {"Content-Type": "application/json", "X-CSRFToken": csrf}
        status, _, text = self.send(
            "POST", "/api/v1/tokens/", json.dumps({"name": "x", "scope": "submit", "password": PASSWORD}), **headers
        )
        assert status == 201, text
        return str(json.loads(text)["token"])


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("i"))
    try:
        import MySQLdb  # noqa: F401

        made.set_up()
        yield made
    except (Unavailable, ImportError) as error:
        pytest.skip(f"installation: {error}")
    finally:
        made.close()
        print(made.last_words())


@pytest.fixture
def browser(installed: Installation) -> Browser:
    made = Browser(installed.https, installed.folder / "ssl" / "fullchain.pem")
    installed.wait_for("nginx", lambda: made.send("GET", "/healthz")[0] == 200)
    return made


def test_the_site_is_reached_over_https_only(installed: Installation, browser: Browser) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", installed.http, timeout=120)
    connection.request("GET", "/workflows/", headers={"Host": HOST})
    response = connection.getresponse()
    assert (response.status, response.headers["Location"]) == (301, f"https://{HOST}/workflows/")
    status, headers, _ = browser.send("GET", "/login/")
    assert status == 200
    assert "includeSubDomains" in headers["Strict-Transport-Security"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert browser.send("GET", "/login/", Host="evil.example.org")[0] in (400, 421)


def test_static_files_come_from_nginx(browser: Browser) -> None:
    found = re.search(r'href="(/static/[^"]+\.css)"', browser.send("GET", "/login/")[2])
    assert found is not None
    status, headers, _ = browser.send("GET", found[1])
    assert status == 200
    assert "immutable" in headers["Cache-Control"]
    assert "nginx" in headers["Server"]


def test_a_script_runs_a_workflow_and_a_person_looks_at_it(
    installed: Installation, browser: Browser, tmp_path: Path
) -> None:
    wait_until(lambda: browser.send("GET", "/readyz")[0] == 200, 90, "the site is ready")
    browser.sign_in()
    environment = {
        **installed.tools, "PYTHONPATH": str(REPOSITORY), "JOBMON_SERVER": f"https://{HOST}:{installed.https}",
        "JOBMON_TOKEN": browser.make_token(), "SSL_CERT_FILE": str(installed.folder / "ssl" / "fullchain.pem"),
    }  # fmt: skip
    proof = tmp_path / "proof"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(proof)], env=environment, cwd=tmp_path, capture_output=True, text=True,
        timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{installed.last_words()}"
    assert proof.read_text() == "it works\n"
    status, _, page = browser.send("GET", "/workflows/1/")
    assert status == 200
    assert "done" in page
    assert "sweep: ended" in browser.send("GET", "/readyz")[2]


def test_the_server_changes_rows_only(installed: Installation) -> None:
    """The whole installation runs so: no table is its own, and of the audit it only adds and reads. The guide for
    upgrades is followed as well, and leaves it at that."""
    for block in [None, *blocks_that_run(UPGRADE)]:
        if block is not None:
            installed.run_block(block)
        for forbidden in ("DROP TABLE job", "ALTER TABLE job ADD x INT", "CREATE TABLE x (x INT)",
                          "UPDATE audit_entry SET actor = 'x'", "DELETE FROM audit_entry"):  # fmt: skip
            assert "denied" in installed.as_the_server(forbidden), forbidden
    actions = installed.as_the_server("SELECT action, target FROM audit_entry ORDER BY id LIMIT 1")
    assert actions.split() == ["change-account", "user", "admin"]


def test_metrics_want_their_token(installed: Installation, browser: Browser) -> None:
    token = (installed.folder / "etc" / "metrics_token").read_text().strip()
    assert browser.send("GET", "/metrics")[0] == 404
    status, _, text = browser.send("GET", "/metrics", Authorization=f"Bearer {token}")
    assert status == 200
    assert 'jobmon_http_requests_total{status="2xx"}' in text
