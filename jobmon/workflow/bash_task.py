"""A task that is a line for the shell."""

from __future__ import annotations

from jobmon.workflow.executable_task import ExecutableTask


class BashTask(ExecutableTask):
    """A shell command, left to the shell as it is: `~`, pipes and variables mean what they mean there.

    Takes all arguments of ExecutableTask.
    """

    __slots__ = ()

    name_prefix = "bash"
