"""Pure: the longest chain through the graph of tags, which, unlike the graph of jobs, may have cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def longest_chain(lengths: Mapping[str, float], edges: Mapping[str, Sequence[str]]) -> float:
    """The largest sum of `lengths` along a path; a tag without a length has none, but passes the chain on. Tags that
    wait for each other count as one, as long as all of them. `edges`: name → upstream names; unknown ones are ignored.
    """
    rings = find_rings(edges, lengths)
    members = {name: number for number, ring in enumerate(rings) for name in ring}
    best: list[float] = []
    for number, ring in enumerate(rings):  # upstreams come first
        before = {members[up] for name in ring for up in edges.get(name, ()) if up in members} - {number}
        own = sum(lengths.get(name, 0.0) for name in ring)
        best.append(own + max((best[upstream] for upstream in before), default=0.0))
    return max(best, default=0.0)


def find_rings(edges: Mapping[str, Sequence[str]], names: Mapping[str, object]) -> list[list[str]]:
    """Strongly connected components, every one after those that it waits for (Tarjan, without recursion)."""
    known = dict.fromkeys([*names, *edges])
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    rings: list[list[str]] = []
    for root in known:
        path = [(root, iter(edges.get(root, ())))] if root not in index else []
        while path:
            name, upstreams = path[-1]
            if name not in index:
                index[name] = low[name] = len(index)
                stack.append(name)
            following = next((up for up in upstreams if up in known), None)
            if following is None:
                path.pop()
                _close(name, index, low, stack, rings)
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[name])
            elif following not in index:
                path.append((following, iter(edges.get(following, ()))))
            elif following in stack:
                low[name] = min(low[name], index[following])
    return rings


def _close(name: str, index: Mapping[str, int], low: dict[str, int], stack: list[str], rings: list[list[str]]) -> None:
    """The whole ring is on the stack once its first member is done. Closed members lower nobody any more."""
    if low[name] == index[name]:
        cut = stack.index(name)
        rings.append(stack[cut:])
        del stack[cut:]
