"""The folders of attempts and batches on the file system that the nodes share, made so that their jobs can use them."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from pathlib import Path

from executors.base import JobSpec
from executors.batch_config import BatchConfig
from executors.script import job_environment
from executors.script_batch import install_wrapper, render_setup
from executors.spool import Spool, hint_path


class BatchFolders:
    """Of one executor. A server that is root hands them over to the user whose jobs they are for."""

    def __init__(self, config: BatchConfig, spool: Spool) -> None:
        self._config = config
        self._spool = spool

    def create(self) -> Path:
        """Make the fixed ones; the wrapper's path. Raises OSError, as do the others."""
        self._spool.create()
        batches = self._config.spool / "batches"
        batches.mkdir(exist_ok=True, mode=0o700)
        self._let_through(self._config.spool, batches)
        self._hand_over(self._config.spool / "ended")
        return install_wrapper(self._config.spool)

    def prepare(self, batch: Sequence[JobSpec]) -> list[JobSpec]:
        """Make the attempts' folders; the answer leaves out those that somebody else has decided about."""
        return [spec for spec in batch if self._prepare_one(spec)]

    def _prepare_one(self, spec: JobSpec) -> bool:
        if not self._spool.prepare(spec.instance_id, spec.command):
            return False
        folder = self._spool.folder(spec.instance_id)
        text = render_setup(
            hint=hint_path(self._config.spool, spec.run_id, spec.instance_id),
            working_dir=spec.working_dir or "",
            stdout_path=spec.stdout_path or str(folder / "out"),
            stderr_path=spec.stderr_path or str(folder / "err"),
            environment=job_environment(spec),
        )
        write_private(folder / "setup", text)
        self._let_through(folder.parent)
        self._hand_over(folder / "command", folder / "setup", folder)
        return True

    def make_target(self, batch: Sequence[JobSpec]) -> Path:
        """The wrapper's argument: the attempt's folder, or the batch's with one line for each task."""
        if batch[0].index == 0:
            return self._spool.folder(batch[0].instance_id)
        folder = self._config.spool / "batches" / batch[0].batch
        folder.mkdir(mode=0o700, exist_ok=True)
        folders = {spec.index: str(self._spool.folder(spec.instance_id)) for spec in batch}
        lines = [folders.get(index, "") for index in range(1, max(folders) + 1)]
        write_private(folder / "tasks", "\n".join(lines) + "\n")
        self._hand_over(folder / "tasks", folder)
        return folder

    def _has_another_owner(self) -> bool:
        return os.geteuid() == 0 and self._config.user != "root"

    def find_closed(self) -> Path | None:
        """The folder above the spool that its jobs' user may not enter, if there is one."""
        if not self._has_another_owner():
            return None
        account = pwd.getpwnam(self._config.user)
        groups = os.getgrouplist(account.pw_name, account.pw_gid)
        for folder in reversed(self._config.spool.parents):
            found = folder.stat()
            bit = 0o100 if found.st_uid == account.pw_uid else 0o010 if found.st_gid in groups else 0o001
            if not found.st_mode & bit:
                return folder
        return None

    def _hand_over(self, *paths: Path) -> None:
        """A server that is root submits as somebody else, whose jobs must be able to read what it wrote. A folder comes
        after its files: from then on its new owner could put anything in their place."""
        if not self._has_another_owner():
            return
        account = pwd.getpwnam(self._config.user)
        for path in paths:
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)

    def _let_through(self, *folders: Path) -> None:
        """Folders that stay the server's but lead to what was handed over."""
        if self._has_another_owner():
            for folder in folders:
                folder.chmod(0o711)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; it appears whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    temporary.rename(path)
