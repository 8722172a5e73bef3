"""A value in a file, through the real client, site, worker and local executor: it is in nothing that the server keeps."""

from __future__ import annotations

from pathlib import Path

from jobmon import BashTask, PythonTask, SecretFile
from tests.e2e.clients import make_workflow
from tests.services import EmbeddedServer

VALUE = "v3ry-s3cret-0123456789"


def tasks(secret: Path, folder: Path) -> list[BashTask | PythonTask]:
    variables = {"DB_PASSWORD": SecretFile(secret), "PLAIN": "p q"}
    (folder / "show.py").write_text("import os; open('shown', 'w').write(os.environ['DB_PASSWORD'])")
    check = BashTask(
        f'[ "$DB_PASSWORD $PLAIN" = "{VALUE[:5]}""{VALUE[5:]} p q" ]', env_variables=variables, name="check", mem_free=0.1,
        max_attempts=1,
    )  # fmt: skip
    show = PythonTask(
        script=f"{folder}/show.py", env_variables=variables, name="show", mem_free=0.1, upstream_tasks=[check]
    )
    return [check, show]


def test_a_file_that_others_may_read_is_refused_and_a_resume_reads_it(
    embedded_server: EmbeddedServer, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(VALUE + "\n")
    secret.chmod(0o644)
    workflow = make_workflow(embedded_server, "secret", tasks(secret, tmp_path), tmp_path)
    assert workflow.run() is False
    (error,) = workflow.get_errors()
    assert (error["job_name"], error["exit_code"]) == ("check", 126)
    sentence = (
        f"DB_PASSWORD cannot be read from the file {secret}: others may use it (mode 644); run chmod 600 {secret}"
    )
    assert sentence in error["stderr_tail"]
    ((title,),) = embedded_server.query("SELECT title FROM error_group")
    assert title.startswith(f"jobmon: not started: DB_PASSWORD cannot be read from the file {secret}"[:110])

    secret.chmod(0o600)
    again = make_workflow(embedded_server, "secret", tasks(secret, tmp_path), tmp_path)
    assert again.run() is True
    assert again.workflow_id == workflow.workflow_id
    assert (tmp_path / "shown").read_text() == VALUE
    kept = [path for path in Path(embedded_server.home).rglob("*") if path.is_file()]
    assert any(b"DB_PASSWORD from file" in path.read_bytes() for path in kept)
    assert [path for path in kept if VALUE.encode() in path.read_bytes()] == []
