"""A picture of the graph: DOT text always, SVG, PDF or PNG where Graphviz is installed."""

from __future__ import annotations

import os
import shutil
import subprocess  # noqa: TID251 - the client cannot use the server's executors.shell
from pathlib import Path
from typing import TYPE_CHECKING

from jobmon.plain import clean
from jobmon.talk import tell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobmon.workflow.task_dag import TaskDag

FORMATS = ("dot", "svg", "pdf", "png")
DRAWN_ONE_BY_ONE = 200
DOT_SECONDS = 60


class TaskDagViz:
    """Writes the picture of a TaskDag into a folder.

    by_tag: one box per tag instead of one per task; by itself for more than 200 tasks, which nobody could read.
    """

    def __init__(
        self, task_dag: TaskDag, graph_outdir: str = ".", output_format: str = "svg", by_tag: bool | None = None
    ) -> None:
        if output_format not in FORMATS:
            raise ValueError(f"output_format is {output_format!r}; it should be one of {', '.join(FORMATS)}")
        self.task_dag = task_dag
        self.folder = Path(os.path.expanduser(graph_outdir))
        self.output_format = output_format
        self.by_tag = len(task_dag) > DRAWN_ONE_BY_ONE if by_tag is None else by_tag

    def to_dot(self) -> str:
        """The graph in the DOT language."""
        return self._draw_tags() if self.by_tag else self._draw_tasks()

    def render(self) -> Path:
        """Write the files and return the best of them: the picture, or the DOT text where it cannot be drawn."""
        self.folder.mkdir(parents=True, exist_ok=True)
        source = self.folder / "task_dag.dot"
        source.write_text(self.to_dot(), encoding="utf-8")
        if self.output_format == "dot":
            return source
        return self._run_dot(source) or source

    def _run_dot(self, source: Path) -> Path | None:
        program = shutil.which("dot")
        if program is None:
            tell(f"Graphviz is not installed, so there is no picture; the graph is in {source}.")
            return None
        picture = source.with_suffix(f".{self.output_format}")
        argv = [program, f"-T{self.output_format}", "-o", str(picture), str(source)]
        try:
            subprocess.run(argv, check=True, timeout=DOT_SECONDS, capture_output=True)
        except (subprocess.SubprocessError, OSError) as error:
            tell(f"Graphviz could not draw {source} ({error}); try by_tag=True.")
            return None
        return picture

    def _draw_tasks(self) -> str:
        number = self.task_dag.index_tasks()
        boxes = [f"  n{position} [label={quote_dot(task.name)}];" for task, position in number.items()]
        arrows = [
            f"  n{number[upstream]} -> n{position};"
            for task, position in number.items()
            for upstream in task.upstream_tasks
            if upstream in number
        ]
        return wrap_dot([*boxes, *arrows])

    def _draw_tags(self) -> str:
        jobs: dict[str, int] = {}
        edges: dict[tuple[str, str], int] = {}
        for task in self.task_dag:
            jobs[task.tag] = jobs.get(task.tag, 0) + 1
            for upstream in task.upstream_tasks:
                if upstream.tag != task.tag:
                    pair = (upstream.tag, task.tag)
                    edges[pair] = edges.get(pair, 0) + 1
        number = {tag: position for position, tag in enumerate(jobs)}
        boxes = [f"  n{number[tag]} [label={quote_dot(label_tag(tag, count))}];" for tag, count in jobs.items()]
        arrows = [f'  n{number[up]} -> n{number[down]} [label="{count}"];' for (up, down), count in edges.items()]
        return wrap_dot([*boxes, *arrows])


def label_tag(tag: str, job_count: int) -> str:
    """The words in a tag's box."""
    return f"{tag or '(no tag)'}\n{job_count} {'job' if job_count == 1 else 'jobs'}"


def quote_dot(text: str) -> str:
    """A string of the DOT language."""
    escaped = clean(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def wrap_dot(lines: Iterable[str]) -> str:
    """A whole graph around these lines."""
    return "\n".join(["digraph tasks {", "  rankdir=LR;", "  node [shape=box];", *lines, "}", ""])
