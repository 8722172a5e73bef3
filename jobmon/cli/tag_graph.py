"""The graph of tags, as the server tells it, in the DOT language."""

from __future__ import annotations

from typing import Any

from jobmon.workflow.task_dag_viz import label_tag, quote_dot, wrap_dot


def format_dot(graph: dict[str, Any]) -> str:
    """One box per tag, arrows with the number of edges between jobs."""
    number = {node["name"]: position for position, node in enumerate(graph["nodes"])}
    boxes = [
        f"  n{number[node['name']]} [label={quote_dot(label_tag(node['name'], node['job_count']))}];"
        for node in graph["nodes"]
    ]
    arrows = [
        f'  n{number[edge["upstream"]]} -> n{number[edge["downstream"]]} [label="{edge["job_count"]}"];'
        for edge in graph["edges"]
    ]
    return wrap_dot([*boxes, *arrows])
