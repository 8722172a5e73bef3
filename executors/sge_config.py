"""What the Grid Engine executor is configured with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from executors.batch_config import OBJECT_NAME, BatchConfig

# Options that carry our own protocol, or that would let a job escape it; no site may list them.
_RESERVED = (
    "@ C N S V a ac b clear cwd dc e h hard help hold_jid hold_jid_ad i inherit j m M masterq noshell now o P pe pty q"
    " r sc shell soft sync t tc terse u v verify w wd xd"
)
RESERVED_OPTIONS = frozenset(_RESERVED.split())


@dataclass(frozen=True, kw_only=True)
class SgeConfig(BatchConfig):
    """`memory_resources` and `runtime_resources` name what the site's queues understand (`qconf -sc`), for example
    `("m_mem_free",)` or `("mem_free", "h_vmem")`. Consumables of a parallel job count for each slot: with
    `memory_is_per_slot` a job's memory is divided by its slots. `verify` refuses what no queue could ever run
    (`qsub -w e`); it needs memory resources that hosts define in `complex_values`, for a resource known from load
    reports alone is unknown to that check. `accounting_limit`: how many bytes of an old accounting file are read.
    `reason_interval`: seconds between two questions why jobs wait; 0: none are asked.
    """

    name: str = "sge"
    bin_dir: Path = Path("/usr/lib/gridengine")
    sge_root: Path = Path("/var/lib/gridengine")
    sge_cell: str = "default"
    qmaster_port: int | None = None
    execd_port: int | None = None
    parallel_environment: str | None = None
    memory_resources: tuple[str, ...] = ("mem_free",)
    runtime_resources: tuple[str, ...] = ("h_rt",)
    memory_is_per_slot: bool = True
    verify: bool = True
    accounting_limit: int = 256 * 2**20
    accounting_keep: int = 200_000
    reason_interval: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_site()
        reserved = sorted(RESERVED_OPTIONS.intersection(self.allowed_options))
        if reserved:
            raise ValueError(f"allowed_options: {', '.join(reserved)} belong to Jobmon itself and cannot be allowed")

    def _check_site(self) -> None:
        if not self.sge_root.is_absolute():
            raise ValueError(f"sge_root: {str(self.sge_root)!r} must be an absolute path")
        names = [("sge_cell", self.sge_cell)]
        names += [("parallel_environment", self.parallel_environment)] if self.parallel_environment is not None else []
        names += [("memory_resources", name) for name in self.memory_resources]
        names += [("runtime_resources", name) for name in self.runtime_resources]
        for label, value in names:
            if not OBJECT_NAME.fullmatch(value):
                raise ValueError(f"{label}: {value!r} must be a letter followed by letters, digits, _ . @ -")
        if not 0 <= self.reason_interval < float("inf"):
            raise ValueError(f"reason_interval: {self.reason_interval!r} must be a number of seconds, 0 for never")
        for label, port in (("qmaster_port", self.qmaster_port), ("execd_port", self.execd_port)):
            if port is not None and not 1 <= port <= 65535:
                raise ValueError(f"{label}: {port} is not a port number")

    @property
    def accounting_path(self) -> Path:
        return self.sge_root / self.sge_cell / "common" / "accounting"

    @property
    def environment(self) -> dict[str, str]:
        """What the commands need to find their cell."""
        ports = {"SGE_QMASTER_PORT": self.qmaster_port, "SGE_EXECD_PORT": self.execd_port}
        given = {name: str(port) for name, port in ports.items() if port is not None}
        return {"SGE_ROOT": os.fspath(self.sge_root), "SGE_CELL": self.sge_cell, **given}
