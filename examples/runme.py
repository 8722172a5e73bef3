"""The script that the quickstart's Python task runs: says what it was given and how it was set up."""

from __future__ import annotations

import os
import sys

print("arguments:", *sys.argv[1:])
print("OP_NUM_THREADS:", os.environ.get("OP_NUM_THREADS"))
