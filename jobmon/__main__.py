"""`python -m jobmon` is the `jobmon` command."""

from __future__ import annotations

from jobmon.cli import main

if __name__ == "__main__":
    main()
