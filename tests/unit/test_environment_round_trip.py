"""What goes into a batch job's files comes out in the job: command, environment and streams, byte by byte."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from executors.script_batch import install_wrapper, render_setup
from executors.spool import Spool

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True).map(lambda name: f"X_{name}")
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
COMMAND = 'env -0 >"$JOBMON_TEST_TARGET"; printf \'%s\' "$0" >/dev/null'


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=5), st.text(st.sampled_from("ab'\"\\$`\n;#é "), max_size=20))
def test_the_wrapper_hands_on_what_was_written(environment: dict[str, str], said: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, target = Path(folder, "spool"), Path(folder, "target")
        spool = Spool(root)
        spool.create()
        quoted = said.replace("'", "'\\''")
        assert spool.prepare(1, f"{COMMAND}\nprintf '%s' '{quoted}'")
        attempt = spool.folder(1)
        given_variables = {**environment, "JOBMON_TEST_TARGET": str(target), "PATH": "/usr/bin:/bin"}
        setup = render_setup(
            hint=root / "ended" / "1.1", working_dir=folder, stdout_path=str(attempt / "out"),
            stderr_path=str(attempt / "err"), environment=given_variables,
        )  # fmt: skip
        (attempt / "setup").write_text(setup, encoding="utf-8", newline="")
        wrapper = install_wrapper(root)
        subprocess.run(["/bin/sh", str(wrapper), str(attempt)], check=True, timeout=60, env={"PATH": "/usr/bin:/bin"})
        pairs = target.read_bytes().decode().split("\0")[:-1]
        found = dict(pair.split("=", 1) for pair in pairs)
        assert {name: found.get(name) for name in environment} == environment
        assert (attempt / "out").read_bytes() == said.encode()
        ended = spool.read([1])[1].exit
        assert ended is not None
        assert ended.code == 0
