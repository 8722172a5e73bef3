"""What every executor that runs real commands must do about values that are in files of the job's account."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from executors.base import Evidence, JobSpec, Phase
from tests.executors.contract import HOSTILE, Harness, ref, run
from tests.waiting import wait_until

LIMIT = 65536
# Every byte but NUL, in an order in which nothing is text.
BYTES = bytes(range(255, 0, -1))
SOMEBODY_ELSE = 54321


def write_secret(harness: Harness, path: Path, content: bytes, mode: int = 0o600) -> Path:
    """A file of the account that the jobs run as."""
    path.write_bytes(content)
    path.chmod(mode)
    if os.getuid() == 0:
        os.chown(path, harness.uid, -1)
    return path


def stream(harness: Harness, spec: JobSpec, name: str) -> bytes:
    return harness.executor.store.tail(spec.instance_id, name, 200_000) or b""


def show(name: str) -> str:
    return f'printf %s "${name}"'


class SecretFilesContract:
    """A subclass gives a `harness` fixture."""

    def test_values_arrive_byte_for_byte_without_trailing_newlines(self, harness: Harness, tmp_path: Path) -> None:
        contents = [
            BYTES,
            b"",
            b"\n",
            b"x\n",
            b"x\n\n\n",
            b"  a  b\t",
            b"\n-n\\n$(id)`id`",
            b"x" * LIMIT,
            "pässwörd".encode(),
        ]
        specs = []
        for number, content in enumerate(contents):
            path = write_secret(harness, tmp_path / f"secret{number}", content)
            specs.append(harness.spec(show("X"), secret_files=(("X", str(path)),)))
        ended = run(harness, *specs)
        assert [code(one) for one in ended] == [0] * len(contents)
        assert [stream(harness, spec, "stdout") for spec in specs] == [content.rstrip(b"\n") for content in contents]
        assert b"".join(stream(harness, spec, "stderr") for spec in specs) == b""

    def test_paths_may_hold_anything(self, harness: Harness, tmp_path: Path) -> None:
        names = [text.replace("/", "_") for text in HOSTILE]
        specs = []
        for name in names:
            path = write_secret(harness, tmp_path / name, b"of " + name.encode())
            specs.append(harness.spec(show("X"), secret_files=(("X", str(path)),)))
        run(harness, *specs)
        assert [stream(harness, spec, "stdout") for spec in specs] == [b"of " + name.encode() for name in names]
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(names)

    def test_several_and_plain_ones_at_once(self, harness: Harness, tmp_path: Path) -> None:
        """PATH as well: what reads the second file is not looked for there. A link leads to its file."""
        first = write_secret(harness, tmp_path / "first", b"/nowhere\n")
        second = write_secret(harness, tmp_path / "second", b"two", mode=0o400)
        (tmp_path / "link").symlink_to(second)
        spec = harness.spec(
            'printf "%s|" "$PATH" "$SECOND" "$PLAIN" "${JOBMON_SECRET_FILES-gone}" "$#"',
            environment=(("PLAIN", "p q"),),
            secret_files=(("PATH", str(first)), ("SECOND", str(tmp_path / "link"))),
        )
        run(harness, spec)
        assert stream(harness, spec, "stdout") == b"/nowhere|two|p q|gone|0|"

    def test_refused_files_start_nothing(self, harness: Harness, tmp_path: Path) -> None:
        def secret(name: str, content: bytes = b"s3cret-value", mode: int = 0o600) -> Path:
            return write_secret(harness, tmp_path / name, content, mode)

        def fifo() -> Path:
            os.mkfifo(tmp_path / "pipe", 0o600)
            return tmp_path / "pipe"

        folder, dangling = tmp_path / "folder", tmp_path / "dangling"
        folder.mkdir()
        dangling.symlink_to(tmp_path / "nothing")
        cases: dict[Path, bytes] = {
            secret("open to all", mode=0o644): b"others may use it (mode 644)",
            secret("group", mode=0o640): b"others may use it (mode 640)",
            secret("group may write", mode=0o620): b"others may use it (mode 620)",
            secret("others may run", mode=0o601): b"others may use it (mode 601)",
            secret("large", b"s" * (LIMIT + 1)): b"65537 bytes",
            secret("nul", b"a\0b"): b"NUL",
            tmp_path / "missing": b"finds no such file",
            dangling: b"finds no such file",
            folder: b"no regular file",
            fifo(): b"no regular file",
            Path("/dev/zero"): b"no regular file",
        }
        if os.getuid() == 0:
            other = secret("of somebody else")
            os.chown(other, SOMEBODY_ELSE, -1)
            cases[other] = b"belongs to uid 54321" if harness.uid == 0 else b"may not read it"
        self._check_refused(harness, tmp_path, cases)

    def _check_refused(self, harness: Harness, folder: Path, cases: dict[Path, bytes]) -> None:
        good = write_secret(harness, folder / "good", b"s3cret-value")
        specs = [
            harness.spec(f"echo {number} >>{folder}/ledger", secret_files=(("GOOD", str(good)), ("DB_PW", str(path))))
            for number, path in enumerate(cases)
        ]
        ended = run(harness, *specs)
        assert [code(one) for one in ended] == [126] * len(cases)
        assert not (folder / "ledger").exists()
        for (path, words), spec in zip(cases.items(), specs, strict=True):
            said = stream(harness, spec, "stderr")
            assert said.count(b"\n") == 1, said
            assert b"DB_PW cannot be read from the file " + os.fsencode(path) in said
            assert words in said
            assert b"s3cret" not in said
            assert stream(harness, spec, "stdout") == b""

    def test_values_stay_out_of_files_and_arguments(self, harness: Harness, tmp_path: Path) -> None:
        value = hashlib.sha256(os.urandom(8)).hexdigest()
        path = write_secret(harness, tmp_path / "secret", value.encode())
        (tmp_path / "made").mkdir()
        command = f'[ "${{#X}}" = 64 ] && touch {tmp_path}/made/ready; while :; do sleep 1000; done'
        spec = harness.spec(command, secret_files=(("X", str(path)),))
        harness.executor.submit([spec])
        harness.wait_for_phase(spec.name, Phase.RUNNING)
        wait_until((tmp_path / "made" / "ready").exists, 60, "the command's start")
        arguments = read_all(Path("/proc").glob("[0-9]*/cmdline"))
        assert any(os.fsencode(harness.executor.store.root) in one for one in arguments), (
            "its wrapper is not among them"
        )
        written = read_all(one for one in harness.executor.store.root.rglob("*") if one.is_file())
        assert any(command.encode() in one for one in written)
        harness.executor.cancel([ref(spec, harness.executor.poll()[spec.name].executor_id)])
        harness.wait_for_end([spec.name])
        for content in [*arguments, *written, *read_all(harness.executor.store.root.rglob("*"))]:
            assert value.encode() not in content


def read_all(paths: Iterable[Path]) -> list[bytes]:
    """What can be read of them; processes and files may go away meanwhile."""
    found = []
    for path in paths:
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return found


def code(found: Evidence) -> int | None:
    return found.exit.code if found.exit else None
