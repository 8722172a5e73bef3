"""Tasks that run one script with one program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobmon.workflow.command import join_words
from jobmon.workflow.executable_task import ExecutableTask

if TYPE_CHECKING:
    from collections.abc import Sequence


class ProgramTask(ExecutableTask):
    """A program, its script and arguments, each passed on exactly; a leading `~/` is the submitter's home."""

    __slots__ = ()

    def __init__(self, head: Sequence[Any], script: Any, args: Sequence[object] | None, **options: Any) -> None:
        kind = type(self).__name__
        if not all(isinstance(word, str) and word for word in head):
            raise ValueError(f"{kind}: the path to the program is {head[0]!r}; it should be a path like /usr/bin/env")
        if not isinstance(script, str) or not script.strip():
            raise ValueError(f"{kind}: script is {script!r}; it should be the path of the script to run")
        if isinstance(args, (str, bytes)):
            raise ValueError(f"{kind}: args of {script} is {args!r}; it should be a list, like [1, 2]")
        super().__init__(join_words([*head, script, *(args or ())]), **options)

    @staticmethod
    def _prepend(assignments: str, command: str) -> str:
        return f"{assignments} {command}"
