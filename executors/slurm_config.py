"""What the Slurm executor is configured with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from executors.batch_config import BatchConfig

# Options that carry our own protocol, or that would let a job escape it; no site may list them.
_RESERVED = (
    "account array a A b begin bell c chdir cpus-per-task D d dependency delay-boot e error export export-file gid"
    " get-user-env H h help hold i ignore-pbs input J job-name k kill-on-invalid-dep M clusters mem n N no-requeue"
    " nodes ntasks o open-mode output p parsable partition Q quiet requeue signal spread-job t test-only time time-min"
    " uid usage V version W wait wait-all-nodes wrap"
)
RESERVED_OPTIONS = frozenset(_RESERVED.split())


@dataclass(frozen=True, kw_only=True)
class SlurmConfig(BatchConfig):
    """`slurm_conf`: None for the system's own. `accounting`: what tells how a job ended; "sacct" needs slurmdbd,
    "scontrol" knows a job for `MinJobAge` after its end (default 300 s), "auto" takes sacct where accounting runs.
    """

    name: str = "slurm"
    bin_dir: Path = Path("/usr/bin")
    slurm_conf: Path | None = None
    accounting: Literal["auto", "sacct", "scontrol"] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.slurm_conf is not None and not self.slurm_conf.is_absolute():
            raise ValueError(f"slurm_conf: {str(self.slurm_conf)!r} must be an absolute path")
        if self.accounting not in ("auto", "sacct", "scontrol"):
            raise ValueError(f'accounting: {self.accounting!r} must be "auto", "sacct" or "scontrol"')
        reserved = sorted(RESERVED_OPTIONS.intersection(self.allowed_options))
        if reserved:
            raise ValueError(f"allowed_options: {', '.join(reserved)} belong to Jobmon itself and cannot be allowed")

    @property
    def environment(self) -> dict[str, str]:
        """What the commands need to find their cluster."""
        return {} if self.slurm_conf is None else {"SLURM_CONF": str(self.slurm_conf)}
