"""Says what pip-audit found (its JSON on stdin) about one lock file. Exit status: 0 all is known to be well, 1 there are
weaknesses, 2 not everything could be asked. pip-audit itself ends with 0 where it could ask about nothing at all."""

from __future__ import annotations

import json
import sys
from typing import Any


def read_dependencies(text: str) -> list[dict[str, Any]]:
    """[] for what is no answer of pip-audit."""
    try:
        found = json.loads(text)
    except ValueError:
        return []
    listed = found.get("dependencies") if isinstance(found, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def describe(one: dict[str, Any], weakness: dict[str, Any]) -> str:
    fixes = ", ".join(weakness.get("fix_versions") or []) or "no version yet"
    return f"  {one['name']} {one.get('version', '?')}: {weakness.get('id', '?')}, mended in {fixes}"


def summarize(name: str, text: str) -> tuple[list[str], int]:
    """Lines for a person, and the exit status."""
    dependencies = read_dependencies(text)
    weak = [describe(one, weakness) for one in dependencies for weakness in one.get("vulns") or []]
    asked = [one for one in dependencies if "skip_reason" not in one]
    unasked = len(dependencies) - len(asked)
    if weak:
        return [f"WEAK         {name}: {len(weak)} known weaknesses", *weak], 1
    if unasked or not asked:
        of = f"{unasked} of {len(dependencies)} packages" if dependencies else "its packages"
        return [f"NOT AUDITED  {name}: the service did not answer about {of}; is there a network to pypi.org?"], 2
    return [f"ok           {name}: {len(asked)} packages, none with a known weakness"], 0


if __name__ == "__main__":
    lines, status = summarize(sys.argv[1], sys.stdin.read())
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(status)
