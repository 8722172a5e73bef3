"""A task that runs an R script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobmon.workflow.program_task import ProgramTask

if TYPE_CHECKING:
    from collections.abc import Sequence


class RTask(ProgramTask):
    """`Rscript script args…`. Name Rscript or a wrapper of it: plain `R` does not take a script as its argument.

    Takes all other arguments of ExecutableTask.
    """

    __slots__ = ()

    name_prefix = "r"

    def __init__(
        self,
        path_to_R_binary: str | None = None,  # noqa: N803 - the name that control scripts use
        script: str = "",
        args: Sequence[object] | None = None,
        **options: Any,
    ) -> None:
        super().__init__([path_to_R_binary or "Rscript"], script, args, **options)
