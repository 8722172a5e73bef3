# Shared by the cluster scripts; sourced, never run.

CLEAN_ENVIRONMENT=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8)

say() { echo "[$PROGRAM] $*"; }
die() { say "FAILED: $*" >&2; exit 1; }
die_unavailable() { say "cannot be had: $*" >&2; exit 69; }

need_root() { [ "$(id -u)" = 0 ] || die "must run as root: it installs packages and starts daemons"; }

# is_alive PIDFILE COMMAND - the process exists, is not a zombie and is the program that we mean
is_alive() {
    local pid
    pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] || return 1
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null
}

# wait_until SECONDS COMMAND... - try four times a second
wait_until() {
    local tries=$(($1 * 4)); shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1)); [ "$tries" -gt 0 ] || return 1
        sleep 0.25
    done
}

is_stopped() { ! is_alive "$@"; }

# stop PIDFILE COMMAND [SECONDS] - TERM, then KILL after 30 s
stop() {
    is_alive "$1" "$2" || { rm -f "$1"; return 0; }
    local pid; pid=$(cat "$1")
    kill "$pid"
    wait_until "${3:-30}" is_stopped "$1" "$2" || kill -9 "$pid"
    rm -f "$1"
    say "$2 stopped"
}

# install_packages NAME... - only what is missing; no daemon of the distribution is started
install_packages() {
    local missing=() package log
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    log=$(mktemp)
    forbid_daemons
    apt_install "${missing[@]}" >"$log" 2>&1 ||
        { apt-get -qq -o DPkg::Lock::Timeout=600 update >>"$log" 2>&1 && apt_install "${missing[@]}" >>"$log" 2>&1; } ||
        { tail -n 20 "$log" >&2; rm -f "$log"; die_unavailable "cannot install ${missing[*]}"; }
    rm -f "$log"
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 \
        install -y --no-install-recommends "$@" </dev/null
}

# Packages must not start their own daemons: ours have their own folders and ports.
forbid_daemons() {
    [ ! -e /usr/sbin/policy-rc.d ] || return 0
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
}

# A batch system of its own needs a submit user above the usual floor of 1000.
make_user() {
    id "$1" >/dev/null 2>&1 || useradd --create-home --user-group --shell /bin/bash "$1" || id "$1" >/dev/null 2>&1 ||
        die "cannot make the user $1"
    [ "$(id -u "$1")" -ge 1000 ] || die "the user $1 has a system uid; Grid Engine refuses such users"
}

# One at a time on this machine; the daemons must not inherit the lock (-o).
run_alone() {
    [ -n "${JOBMON_CLUSTER_LOCKED:-}" ] || JOBMON_CLUSTER_LOCKED=1 exec flock -o /run/lock/jobmon-cluster.lock "$0" "$@"
}
