"""Pure: what a graph is, in hashes: of each command, and of all of them with who waits for whom."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from workflows.graph_shape import Upstreams

BYTES = 32


def hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Hashes:
    """The hash of each command, one after the other in one block: half a million texts would take 68 MB, this takes 16."""

    __slots__ = ("_digests",)

    def __init__(self, commands: Iterable[str]) -> None:
        digests = bytearray()
        sha256 = hashlib.sha256
        for command in commands:
            digests += sha256(command.encode()).digest()
        self._digests = bytes(digests)

    def __len__(self) -> int:
        return len(self._digests) // BYTES

    def __getitem__(self, job: int) -> str:
        return self._digests[BYTES * job : BYTES * (job + 1)].hex()

    def __iter__(self) -> Iterator[str]:
        return (digest.hex() for digest in self.digests())

    def digests(self) -> Iterator[bytes]:
        whole = self._digests
        return (whole[start : start + BYTES] for start in range(0, len(whole), BYTES))


def hash_dag(hashes: Hashes, upstreams: Upstreams) -> str:
    """Independent of the order in which jobs were added: every job's hash with its upstreams' hashes, sorted. Lines
    are made one at a time: half a million of them would be 200 MB."""
    digests = list(hashes.digests())
    whole = hashlib.sha256()
    for position in sorted(range(len(digests)), key=digests.__getitem__):
        ups = [digests[up] for up in upstreams[position]]
        ups.sort()
        whole.update(f"{digests[position].hex()}:{b''.join(ups).hex(',', BYTES)}\n".encode())
    return whole.hexdigest()
