"""How the settings of an executor are named in the environment."""

from __future__ import annotations


def prefix_of(name: str) -> str:
    return f"JOBMON_{name.upper().replace('-', '_')}_"
