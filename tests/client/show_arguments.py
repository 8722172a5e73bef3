"""Prints, as JSON, its arguments and the variable SHOWN; run by the tests of quoting."""

from __future__ import annotations

import json
import os
import sys

print(json.dumps([*sys.argv[1:], os.environ["SHOWN"]]))
