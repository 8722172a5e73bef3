"""The version of the client; it should be the server's too (`jobmon test` compares them)."""

from __future__ import annotations

__version__ = "0.1.0"
