"""A task that runs a Stata do-file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobmon.workflow.program_task import ProgramTask

if TYPE_CHECKING:
    from collections.abc import Sequence


class StataTask(ProgramTask):
    """`stata-mp -b do script args…`, Stata's batch mode, which writes `<script>.log` into the working directory.

    Takes all other arguments of ExecutableTask.
    """

    __slots__ = ()

    name_prefix = "stata"

    def __init__(
        self,
        path_to_stata_binary: str | None = None,
        script: str = "",
        args: Sequence[object] | None = None,
        **options: Any,
    ) -> None:
        super().__init__([path_to_stata_binary or "stata-mp", "-b", "do"], script, args, **options)
