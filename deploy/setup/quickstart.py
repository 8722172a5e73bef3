"""Run examples/quickstart.py for `make run`; Ctrl-C ends it with its sentence, not with a traceback."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "examples")]

from quickstart import main  # noqa: E402

try:
    code = main()
except KeyboardInterrupt as error:
    sys.stderr.write(f"{error}\n")
    code = 130
sys.exit(code)
