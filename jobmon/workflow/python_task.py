"""A task that runs a Python script."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from jobmon.workflow.program_task import ProgramTask

if TYPE_CHECKING:
    from collections.abc import Sequence


class PythonTask(ProgramTask):
    """`python script args…`, with the Python that runs the control script if no other is named.

    Takes all other arguments of ExecutableTask.
    """

    __slots__ = ()

    name_prefix = "python"

    def __init__(
        self,
        path_to_python_binary: str | None = None,
        script: str = "",
        args: Sequence[object] | None = None,
        **options: Any,
    ) -> None:
        super().__init__([path_to_python_binary or sys.executable], script, args, **options)
