"""The batch wrapper: constant shell text around one attempt under a batch system, and the file it reads.

A node needs a POSIX shell and the shared file system, nothing else. The wrapper parses no user input: the attempt's
`setup` file is read line by line and never evaluated.

    setup     h<hint>                   the first line; the folder to make when the attempt has ended: mkdir follows no
                                        link and waits for no pipe that somebody planted there
              d<working directory; empty: the home folder>
              o<file for stdout>
              e<file for stderr>
              =NAME=<first line of the value>
              +<a further line of it>
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path

from executors.secret_files import READ_FILES

# Argument: the attempt's folder, or the folder of a batch, whose file `tasks` names in line N the attempt of task N.
# bash, where there is one, because a background command of other shells ignores SIGINT for ever. The command stays in
# the process group that the batch system made: that is what it ends. The exit code is 0 or 1 only: 99 and 100 would
# mean "run again" and "error state" to Grid Engine.
_WRAPPER = r"""#!/bin/sh
# One attempt of a job under a batch system. Constant text; see executors/script_batch.py.
[ -n "${BASH_VERSION:-}" ] || [ ! -x /bin/bash ] || exec /bin/bash --posix "$0" "$@"
__jobmon_child=
__jobmon_interrupted=
__jobmon_forward() {
    __jobmon_interrupted=1
    if [ -n "$__jobmon_child" ]; then kill -s "$1" "$__jobmon_child" 2>/dev/null; fi
}
for __jobmon_signal in HUP INT QUIT USR1 USR2 ALRM TERM XCPU; do
    trap "__jobmon_forward $__jobmon_signal" "$__jobmon_signal"
done
__jobmon_mask=$(umask)
umask 077
export PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}"

__jobmon_folder=$1
__jobmon_id=${SLURM_ARRAY_JOB_ID:-${SLURM_JOB_ID:-${JOB_ID:--}}}
if [ -f "$1/tasks" ]; then
    __jobmon_task=${SLURM_ARRAY_TASK_ID:-${SGE_TASK_ID:-}}
    case $__jobmon_task in '' | *[!0-9]*) exit 0 ;; esac
    __jobmon_folder=$(sed -n "${__jobmon_task}p" "$1/tasks")
    if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then
        __jobmon_id=${__jobmon_id}_$__jobmon_task
    else
        __jobmon_id=$__jobmon_id.$__jobmon_task
    fi
fi
if [ -z "$__jobmon_folder" ] || [ ! -f "$__jobmon_folder/setup" ]; then exit 0; fi
cd "$__jobmon_folder" || exit 0

# Start or void: the content of `token`, not the answer of ln, says who won.
# Where /proc tells, no process is started to ask.
__jobmon_nonce= __jobmon_host= __jobmon_group=
{
    read -r __jobmon_nonce </proc/sys/kernel/random/uuid
    read -r __jobmon_host </proc/sys/kernel/hostname
    read -r __jobmon_rest __jobmon_rest __jobmon_rest __jobmon_rest __jobmon_group __jobmon_rest </proc/$$/stat
} 2>/dev/null
case $__jobmon_group in *[!0-9]*) __jobmon_group= ;; esac
__jobmon_nonce=${__jobmon_nonce:-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')}
__jobmon_host=${__jobmon_host:-$(uname -n)}
if ! printf 'start %s %s %s %s %s\n' "$__jobmon_nonce" "$__jobmon_host" "${__jobmon_group:-$$}" "$__jobmon_id" \
    "${EPOCHSECONDS:-$(date +%s)}" >".token.$__jobmon_nonce"; then
    rm -f ".token.$__jobmon_nonce"
    exit 1
fi
ln ".token.$__jobmon_nonce" token 2>/dev/null
rm -f ".token.$__jobmon_nonce"
__jobmon_kind= __jobmon_winner=
if [ -f token ]; then read -r __jobmon_kind __jobmon_winner __jobmon_rest <token; fi
if [ "$__jobmon_kind" != start ] || [ "$__jobmon_winner" != "$__jobmon_nonce" ]; then exit 0; fi

__jobmon_run() {
    unset JOBMON_SECRET_FILES
    __jobmon_entry= __jobmon_dir= __jobmon_out= __jobmon_err=
    while IFS= read -r __jobmon_line; do
        case $__jobmon_line in
            d*) __jobmon_dir=${__jobmon_line#d} ;;
            o*) __jobmon_out=${__jobmon_line#o} ;;
            e*) __jobmon_err=${__jobmon_line#e} ;;
            =*) [ -z "$__jobmon_entry" ] || command export "$__jobmon_entry"; __jobmon_entry=${__jobmon_line#=} ;;
            +*) __jobmon_entry="$__jobmon_entry
${__jobmon_line#+}" ;;
        esac
    done <setup
    [ -z "$__jobmon_entry" ] || command export "$__jobmon_entry"
    unset SLURM_EXPORT_ENV
    umask "$__jobmon_mask"
    trap - HUP INT QUIT USR1 USR2 ALRM TERM XCPU
    if [ -z "$__jobmon_dir" ]; then
        __jobmon_dir=$__jobmon_folder
        if [ -d "${HOME:-}" ]; then __jobmon_dir=$HOME; fi
    fi
    if [ ! -d "${__jobmon_out%/*}/" ] || [ ! -d "${__jobmon_err%/*}/" ]; then
        mkdir -p -- "${__jobmon_out%/*}/" "${__jobmon_err%/*}/"
    fi
    {
        if ! cd -P -- "$__jobmon_dir"; then
            echo "jobmon: cannot change to the working directory $__jobmon_dir" >&2
            exit 126
        fi
        unset OLDPWD
        if [ -n "${JOBMON_SECRET_FILES:-}" ]; then
READ_FILES
        fi
        if [ -x /bin/bash ]; then exec /bin/bash "$__jobmon_folder/command"; fi
        exec /bin/sh "$__jobmon_folder/command"
    } >>"$__jobmon_out" 2>>"$__jobmon_err"
    # Reached only when a redirection failed.
    echo "jobmon: cannot write to the output files $__jobmon_out and $__jobmon_err" >&2
    exit 126
}
__jobmon_run </dev/null >/dev/null 2>>err &
__jobmon_child=$!
wait "$__jobmon_child"
__jobmon_code=$?
while [ -n "$__jobmon_interrupted" ]; do
    __jobmon_interrupted=
    wait "$__jobmon_child"
    __jobmon_again=$?
    [ "$__jobmon_again" = 127 ] || __jobmon_code=$__jobmon_again
done
{ times; echo "exit $__jobmon_code"; } >>token
read -r __jobmon_hint <setup
mkdir "${__jobmon_hint#h}" 2>/dev/null
[ "$__jobmon_code" = 0 ]
"""
WRAPPER = _WRAPPER.replace("READ_FILES\n", READ_FILES)


def install_wrapper(root: Path) -> Path:
    """Write this version's wrapper below `root` unless it is there, and return its path. Old versions stay: waiting
    batch jobs still name them. Raises OSError."""
    version = hashlib.sha256(WRAPPER.encode()).hexdigest()[:12]
    path = root / f"batch-wrapper-{version}.sh"
    if path.exists():
        return path
    temporary = root / f".batch-wrapper-{secrets.token_hex(8)}"
    temporary.write_text(WRAPPER, encoding="utf-8")
    temporary.chmod(0o555)
    temporary.rename(path)
    return path


def render_setup(
    *, hint: Path, working_dir: str, stdout_path: str, stderr_path: str, environment: Mapping[str, str]
) -> str:
    """The attempt's `setup` file. Paths must hold no newline; values may."""
    lines = [f"h{hint}", f"d{working_dir}", f"o{stdout_path}", f"e{stderr_path}"]
    for name, value in environment.items():
        first, *further = value.split("\n")
        lines.append(f"={name}={first}")
        lines.extend(f"+{line}" for line in further)
    return "\n".join(lines) + "\n"
