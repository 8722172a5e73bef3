"""The flat layout of the attempt store, for attempts of this machine: see `spool.py`.

The command stays a file: the arguments of a process can be read by everybody on the machine, its environment by all
processes of the job, and a file costs 25 µs of the 2 ms that two shells need to start.
"""

from __future__ import annotations

import os
from pathlib import Path

from executors.spool import LOCAL, Spool, local_prefix


class LocalSpool(Spool):
    """Attempts as a few files each in a folder of a thousand. Shares its root with a Spool, but no file."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.ended = root / LOCAL / "ended"

    def folder(self, instance_id: int) -> Path:
        """Shared with the other attempts of the shard."""
        return Path(self.prefix(instance_id)).parent

    def prefix(self, instance_id: int) -> str:
        """What its files begin with, up to the dot."""
        return local_prefix(self.root, instance_id)

    def file(self, instance_id: int, name: str) -> str:
        return f"{local_prefix(self.root, instance_id)}.{name}"

    def prepare(self, instance_id: int, command: str) -> bool:
        content = (command + "\n").encode("utf-8")
        if os.path.lexists(self.file(instance_id, "token")):
            return False
        try:
            self._write_command(instance_id, content)
        except FileExistsError:
            return False
        except FileNotFoundError:
            self.folder(instance_id).mkdir(parents=True, exist_ok=True, mode=0o700)
            return self.prepare(instance_id, command)
        return True
