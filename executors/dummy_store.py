"""The attempt store of the dummy executor: the evidence of the spool, kept in memory, with the same rules."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from executors.base import Evidence, Exit, Hint, Token, TokenKind, Usage

_FORGET_AFTER = 100_000


@dataclass(slots=True)
class _Record:
    """One attempt. `visible_at`: from when its exit can be seen."""

    token: Token
    exit: Exit | None = None
    visible_at: float = 0.0
    usage: Usage | None = None
    over: str | None = None


class MemoryStore:
    """Evidence of attempts in this process. Successes whose hint was cleared are forgotten after a long while, so that
    half a million of them fit. `now` is kept by the executor, whose `advance` is called before anybody looks. Several
    threads may use the store and its executor at once: `lock` is that of both."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.now = 0.0
        self.advance: Callable[[], None] = lambda: None
        self._records: dict[int, _Record] = {}
        self._output: dict[tuple[int, str], bytes] = {}
        self._hints: dict[Hint, float] = {}
        self._cleared: deque[int] = deque()

    def start(self, instance_id: int, token: Token) -> bool:
        """Try to win the token with a start; whether it was won."""
        with self.lock:
            return self._records.setdefault(instance_id, _Record(token)).token is token

    def record_exit(self, instance_id: int, ended: Exit, visible_at: float, usage: Usage, over: str | None) -> None:
        with self.lock:
            record = self._records[instance_id]
            record.exit, record.visible_at, record.usage, record.over = ended, visible_at, usage, over

    def ring(self, hint: Hint, visible_at: float) -> None:
        with self.lock:
            self._hints[hint] = visible_at

    def write(self, instance_id: int, stream: str, content: bytes) -> None:
        with self.lock:
            self._output[instance_id, stream] = content

    def read(self, instance_ids: Iterable[int]) -> dict[int, Evidence]:
        with self.lock:
            self.advance()
            records = {number: record for number in instance_ids if (record := self._records.get(number)) is not None}
            return {number: self._look(record) for number, record in records.items()}

    def _look(self, record: _Record) -> Evidence:
        if record.exit is None or record.visible_at > self.now:
            return Evidence(record.token)
        return Evidence(record.token, record.exit, record.usage, record.over)

    def void(self, instance_ids: Iterable[int], who: str) -> dict[int, Token]:
        token = Token(TokenKind.VOID, nonce=who)
        with self.lock:
            self.advance()
            return {number: self._records.setdefault(number, _Record(token)).token for number in instance_ids}

    def hints(self) -> list[Hint]:
        with self.lock:
            self.advance()
            return [hint for hint, visible_at in self._hints.items() if visible_at <= self.now]

    def count_hints(self) -> Counter[int]:
        return Counter(hint.run_id for hint in self.hints())

    def read_usage(self, hint: Hint) -> Usage | None:
        with self.lock:
            record = self._records.get(hint.instance_id)
            return None if record is None else record.usage

    def clear_hints(self, hints: Iterable[Hint]) -> None:
        with self.lock:
            for hint in hints:
                if self._hints.pop(hint, None) is not None:
                    self._cleared.append(hint.instance_id)
            while len(self._cleared) > _FORGET_AFTER:
                self._forget_success(self._cleared.popleft())

    def _forget_success(self, instance_id: int) -> None:
        record = self._records.get(instance_id)
        if record is not None and record.exit is not None and record.exit.code == 0:
            del self._records[instance_id]
            self._output.pop((instance_id, "stdout"), None)

    def tail(self, instance_id: int, stream: str, limit: int, path: str = "") -> bytes | None:
        with self.lock:
            content = self._output.get((instance_id, stream))
        return None if content is None else content[max(0, len(content) - limit) :]
