"""Variables whose values are in files of the job's account: how the references reach the node and are read there.

A reference is a name and an absolute path. The references of an attempt travel as lines `NAME=/path` in one variable
of its environment, which the command does not see. The values go into the command's environment and nowhere else.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

FILES_VARIABLE = "JOBMON_SECRET_FILES"
MAX_FILES = 16
MAX_PATH = 4096

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What the shell sets or guards by itself.
_SHELLS = {
    "IFS", "OPTIND", "PPID", "PWD", "OLDPWD", "LINENO", "UID", "EUID", "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO", "_",
}  # fmt: skip
# What the server tells a job, and finds its processes by.
_SERVERS = {
    FILES_VARIABLE, "JOBMON_JOB_INSTANCE_ID", "JOBMON_ATTEMPT", "JOBMON_START", "JOBMON_WORKFLOW_ID", "JOBMON_WORKFLOW_RUN_ID",
    "JOBMON_JOB_ID", "JOBMON_JOB_NAME",
}  # fmt: skip
_TAKEN = frozenset(_SHELLS | _SERVERS)

# Part of both wrappers, run by the shell that becomes the command, in braces whose stderr is the job's. Constant text:
# names are checked before they come here, and a path is never more than a quoted word. A pipe or a folder must not be
# opened, for that could wait for ever; what is believed is said of the opened file. Hexadecimal st_mode: 8… is a regular
# file, and the last six bits, none of which may be set, are those of group and others. All files are read before any
# variable is set. `command -p`: the job's PATH has no say.
READ_FILES = r"""set +xv
unset IFS
__jobmon_refuse() {
    printf '%s\n' "jobmon: not started: $1 cannot be read from the file $2: $3" >&2
    exit 126
}
__jobmon_check() {
    [ "$3" ] || __jobmon_refuse "$1" "$2" "this host has no stat that could check it; ask its administrator"
    case $3 in 8???) ;; *) __jobmon_refuse "$1" "$2" "it is no regular file; name one of mode 600" ;; esac
    case $5 in
    0 | "$(command -p id -u)") ;;
    *) __jobmon_refuse "$1" "$2" "it belongs to uid $5, but the job runs as $(command -p id -un); use a file of its own, and chmod 600 $2" ;;
    esac
    case $3 in ??[048c]0) ;; *) __jobmon_refuse "$1" "$2" "others may use it (mode $4); run chmod 600 $2" ;; esac
    [ "$6" -le 65536 ] || __jobmon_refuse "$1" "$2" "it has $6 bytes, and at most 65536 are possible; let the command read it"
    [ "$(LC_ALL=C command -p tr -d '\000' </proc/self/fd/3 | command -p wc -c)" -eq "$6" ] ||
        __jobmon_refuse "$1" "$2" "it holds a NUL character, or is being written; put nothing but the value into it"
}
__jobmon_read() {
    [ -e "$2" ] || __jobmon_refuse "$1" "$2" "$(command -p id -un) finds no such file on this host; make it there, and chmod 600 $2"
    [ -f "$2" ] || __jobmon_refuse "$1" "$2" "it is no regular file; name one of mode 600"
    [ -r "$2" ] || __jobmon_refuse "$1" "$2" "$(command -p id -un), as whom the job runs, may not read it; use a file of its own, and chmod 600 $2"
    __jobmon_opened=
    {
        __jobmon_opened=1
        __jobmon_check "$1" "$2" $(command -p stat -L -c '%f %a %u %s' /proc/self/fd/3)
        __jobmon_value=$(command -p cat <&3)
    } 3<"$2"
    [ "$__jobmon_opened" ] || __jobmon_refuse "$1" "$2" "it cannot be opened; run chmod 600 $2"
}
__jobmon_newline='
'
__jobmon_left=$JOBMON_SECRET_FILES
unset JOBMON_SECRET_FILES
set --
while [ "$__jobmon_left" ]; do
    __jobmon_line=${__jobmon_left%%"$__jobmon_newline"*}
    __jobmon_left=${__jobmon_left#"$__jobmon_line"}
    __jobmon_left=${__jobmon_left#"$__jobmon_newline"}
    __jobmon_read "${__jobmon_line%%=*}" "${__jobmon_line#*=}"
    set -- "$@" "${__jobmon_line%%=*}=$__jobmon_value"
done
unset __jobmon_value
export "$@" || exit 126
set --
"""

# For the local wrapper, which jobs without such files must not pay for: a script of its own. Argument: the command file.
SCRIPT = (
    "# Reads secret files, then becomes the command. Constant text; see executors/secret_files.py.\n__jobmon_command=$1\n"
    + READ_FILES
    + 'if [ -x /bin/bash ]; then exec /bin/bash "$__jobmon_command"; fi\nexec /bin/sh "$__jobmon_command"\n'
)
SCRIPT_NAME = f"secret-files-{hashlib.sha256(SCRIPT.encode()).hexdigest()[:12]}.sh"


def install_script(root: Path) -> None:
    """Write this version's script below `root` unless it is there."""
    if is_installed(root):
        return
    temporary = root / f".secret-files-{secrets.token_hex(8)}"
    temporary.write_text(SCRIPT, encoding="utf-8")
    temporary.chmod(0o500)
    temporary.rename(root / SCRIPT_NAME)


def is_installed(root: Path) -> bool:
    """Whether a shepherd that knows of secret files has started there; one of before would start the command without."""
    return (root / SCRIPT_NAME).exists()


def refuse_reference(name: str, path: str) -> str | None:
    """A sentence about a variable and its file that no job can have, else None."""
    if not _NAME.fullmatch(name):
        return f"{name!r} is no name of a variable; use letters, digits and _"
    if name in _TAKEN:
        return f"{name} is set by the shell or by Jobmon itself; use another name"
    if "\0" in path or "\n" in path:
        return f"the path of {name} holds a NUL or a line break; rename the file"
    if not os.path.isabs(path):
        return f"the path of {name}, {path[:80]!r}, is not absolute; begin it with /"
    if len(path) > MAX_PATH:
        return f"the path of {name} is over {MAX_PATH} characters; use a shorter one"
    return None


def refuse_files(files: Iterable[tuple[str, str]]) -> str | None:
    """A sentence about the first of these that no job can have, or about all of them, else None."""
    listed = list(files)
    if len(listed) > MAX_FILES:
        return f"{len(listed)} variables are read from files; at most {MAX_FILES} are possible"
    names = [name for name, _ in listed]
    for name, path in listed:
        if sentence := refuse_reference(name, path):
            return sentence
        if names.count(name) > 1:
            return f"{name} comes twice; give it one value"
    return None


def render_files(files: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The variable that takes them to the node."""
    return {FILES_VARIABLE: "\n".join(f"{name}={path}" for name, path in files)}
