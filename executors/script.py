"""The local wrapper: constant shell text around one attempt's command. It parses no user input.

Without any external command and with one fork it wins the attempt's token, runs the command and records the exit code.
It needs nobody afterwards: the server and the shepherd may both be gone.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from executors.base import JobSpec
from executors.secret_files import FILES_VARIABLE, SCRIPT_NAME, install_script, refuse_files, render_files
from executors.shell import MINIMAL_ENVIRONMENT

SHELL = "/bin/sh"
INSTANCE_VARIABLE = "JOBMON_JOB_INSTANCE_ID"
ATTEMPT_VARIABLE = "JOBMON_ATTEMPT"
START_VARIABLE = (
    "JOBMON_START"  # the nonce of a start on this machine: names of attempts are a server's own, this is not
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ITEM_LIMIT = 120 * 1024
_ENVIRONMENT_LIMIT = 1024 * 1024
# Variables a shell sets by itself: a value from outside is overwritten at best and stops the shell at worst.
# That of the secret files is ours.
_NOT_GIVEN = frozenset({"IFS", "OPTIND", "PPID", "PWD", "OLDPWD", "LINENO", FILES_VARIABLE})

# Arguments: 1 what the attempt's files begin with, 2 nonce, 3 host, 4 executor id, 5 epoch seconds, 6 working
# directory, 7 and 8 the files for stdout and stderr. The trap comes first: whoever ends the job sends signals to the
# whole session, and the exit line must still be written. A redirection that fails leaves the body of its braces
# unexecuted, which is how the script learns of it without a fork. `set -C` makes `>` an exclusive creation: of two
# wrappers, or a wrapper and a void, one wins. An empty token that could not be written (disk full) is taken back, for
# nothing has run. Only jobs with secret files start the script that reads them, which is beside this one.
WRAPPER = r"""# One attempt of a job. Constant text; see executors/script.py.
trap : HUP INT QUIT TERM USR1 USR2 ALRM PIPE
__jobmon_won= __jobmon_opened= __jobmon_code=126
set -C
{ __jobmon_won=1; echo "start $2 $3 $$ $4 $5" || __jobmon_won=full; } >"$1.token"
set +C
if [ "$__jobmon_won" = full ]; then rm -f "$1.token"; exit 1; fi
if [ -z "$__jobmon_won" ]; then exit 0; fi
{
__jobmon_opened=1
if cd -P -- "$6"; then
unset OLDPWD
if [ -n "$JOBMON_SECRET_FILES" ]; then /bin/sh "${0%/*}/SECRET_FILES" "$1.command"
elif [ -x /bin/bash ]; then /bin/bash "$1.command"; else /bin/sh "$1.command"; fi
__jobmon_code=$?
else
echo "jobmon: cannot change to the working directory $6" >&2
fi
} >>"$7" 2>>"$8"
if [ -z "$__jobmon_opened" ]; then
{ echo "jobmon: cannot write to the output files $7 and $8"; } >>"$1.err"
fi
{ times; echo "exit $__jobmon_code"; } >>"$1.token"
exit 0
""".replace('/SECRET_FILES"', f'/{SCRIPT_NAME}"')


def install_wrapper(root: Path) -> Path:
    """Write this version's wrapper below `root` unless it is there, and return its path. Old versions stay: a running
    shell still reads them."""
    version = hashlib.sha256(WRAPPER.encode()).hexdigest()[:12]
    path = root / f"wrapper-{version}.sh"
    install_script(root)
    if path.exists():
        return path
    temporary = root / f".wrapper-{secrets.token_hex(8)}"
    temporary.write_text(WRAPPER, encoding="utf-8")
    temporary.chmod(0o500)
    os.rename(temporary, path)
    return path


def job_environment(spec: JobSpec, default: Mapping[str, str] = MINIMAL_ENVIRONMENT) -> dict[str, str]:
    """All that a job's command finds in its environment, apart from what the shell or the batch system adds by itself."""
    given = {name: value for name, value in spec.environment if name not in _NOT_GIVEN}
    found = {**default, **given, INSTANCE_VARIABLE: str(spec.instance_id), ATTEMPT_VARIABLE: spec.name}
    return found | render_files(spec.secret_files) if spec.secret_files else found


def refuse_environment(environment: Mapping[str, str]) -> str | None:
    """A sentence if a process cannot be started with these variables, else None."""
    total = 0
    for name, value in environment.items():
        if not _NAME.fullmatch(name):
            return f"the environment variable name {name!r} is not one a shell accepts; use letters, digits and _"
        size = len(name) + len(value.encode("utf-8", "surrogatepass")) + 2
        if size > _ITEM_LIMIT:
            return f"the environment variable {name} is too long ({size} bytes, at most {_ITEM_LIMIT}); use a file"
        total += size
    if total > _ENVIRONMENT_LIMIT:
        return f"the environment is too large ({total} bytes, at most {_ENVIRONMENT_LIMIT}); use a file"
    return None


def refuse_text(spec: JobSpec) -> str | None:
    """A sentence if the command, a path or a variable holds what no file or process can carry, else None."""
    fields = [("command", spec.command), ("working_dir", spec.working_dir or "")]
    fields += [("stdout_path", spec.stdout_path or ""), ("stderr_path", spec.stderr_path or "")]
    fields += [(f"environment variable {name!r}", value) for name, value in spec.environment]
    fields += [(f"the file of {name!r}", path) for name, path in spec.secret_files]
    for label, text in fields:
        if "\0" in text:
            return f"{label} holds a NUL character; remove it"
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return f"{label} is not valid text (a lone surrogate); write it as UTF-8"
    paths = fields[1:4]
    relative = [label for label, text in paths if text and not os.path.isabs(text)]
    if relative:
        return f"{relative[0]} must be an absolute path"
    return refuse_files(spec.secret_files) if spec.secret_files else None
