"""How results are shown."""

from __future__ import annotations

from collections.abc import Sequence

from services import Result


def show(results: Sequence[Result]) -> None:
    """One line each; ours, baseline, ratio."""
    width = max(len(result.name) for result in results)
    for result in results:
        line = f"{result.name:<{width}}  {result.ours:10.2f} {result.unit:<4}"
        if result.baseline is not None and result.ratio is not None:
            line += f"  {result.baseline:10.2f} {result.unit:<4} ratio {result.ratio:8.3f}  ({result.baseline_name})"
        elif result.told:
            line += f"  ({result.told})"
        print(line, flush=True)
