"""What looks like a secret is not shown, whoever looks."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import Tag, make_workflow
from workflows.masking import mask_secrets
from workflows.models import Job


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("DB_PASSWORD=hunter2 python fit.py", "DB_PASSWORD=**** python fit.py"),
        ("export API_KEY='a b' && run", "export API_KEY=**** && run"),
        ('env GITHUB_TOKEN="x\\"y" run', "env GITHUB_TOKEN=**** run"),
        ("aws_secret_access=abc run; MY_SECRET=a;ls", "aws_secret_access=**** run; MY_SECRET=****;ls"),
        ("run --password=abc --api-key 123 --token xyz", "run --password=**** --api-key **** --token ****"),
        ("run --key=draws --keyword x --tokenizer bert", "run --key=draws --keyword x --tokenizer bert"),
        ("MONKEY=1 KEYWORD=x TOKENIZER=y run", "MONKEY=1 KEYWORD=x TOKENIZER=y run"),
        ("API_KEY=$API_KEY run", "API_KEY=$API_KEY run"),
        ("python a.py x=1 /path/KEY=y", "python a.py x=1 /path/KEY=y"),
        ("run --token --verbose", "run --token --verbose"),
    ],
)
def test_secrets_are_masked_and_nothing_else(command: str, shown: str) -> None:
    assert mask_secrets(command) == shown


@pytest.mark.django_db
def test_pages_exports_and_the_api_mask_them(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 1})])
    job = made.job("D")
    Job.objects.filter(pk=job.pk).update(command="DB_PASSWORD=hunter2 python fit.py")
    jobs = f"/workflows/{made.workflow.pk}/jobs/"
    assert "DB_PASSWORD=**** python" in client.get(f"/jobs/{job.pk}/").content.decode()
    for url in (f"/jobs/{job.pk}/", f"{jobs}?cols=command", f"/api/v1/jobs/{job.pk}/"):
        assert "hunter2" not in client.get(url).content.decode(), url
    text = b"".join(client.get(jobs, {"export": "jsonl"}).streaming_content).decode()
    assert json.loads(text)["command"] == "DB_PASSWORD=**** python fit.py"
