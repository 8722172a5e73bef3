"""How results are shown."""

from __future__ import annotations

from collections.abc import Sequence

from services import Result

NARROWEST = 80


def show(results: Sequence[Result]) -> None:
    """One line each; ours, baseline, ratio."""
    width = max(NARROWEST, *(len(result.name) for result in results))
    for result in results:
        print(format_line(result, width), flush=True)


def format_line(result: Result, width: int) -> str:
    line = f"{result.name:<{width}}  {result.ours:10.2f} {result.unit:<11}"
    if result.baseline is not None and result.ratio is not None:
        line += f"  {result.baseline:10.2f} {result.unit:<11} ratio {result.ratio:8.3f}"
    words = "; ".join(text for text in (result.baseline_name if result.ratio is not None else "", result.told) if text)
    return f"{line}  ({words})" if words else line
