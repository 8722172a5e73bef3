#!/bin/sh
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
set +xv
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
