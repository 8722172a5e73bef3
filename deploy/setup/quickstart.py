"""Run examples/quickstart.py for `make run`; a workflow that is done already is a success, not an error."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "examples")]

from quickstart import main  # noqa: E402

from jobmon.exceptions import WorkflowAlreadyComplete  # noqa: E402

try:
    code = main()
except WorkflowAlreadyComplete as error:
    sys.stderr.write(f"{error}\n")
    code = 0
except KeyboardInterrupt as error:
    sys.stderr.write(f"{error}\n")
    code = 130
sys.exit(code)
