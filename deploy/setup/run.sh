#!/bin/sh
# make run: a server (the running one, if there is one on this home) and the quickstart on it.
# ONESHOT=1: stop when the workflow is over; the exit code is 0 only if it is done.
set -u
cd "$(dirname "$0")/../.."
python=$PWD/.venv/bin/python
home=${JOBMON_HOME:-$HOME/.jobmon}
JOBMON_HOME=$home
export JOBMON_HOME
server=
script=

# Both are background jobs of a shell that is not interactive: they ignore Ctrl-C and end by our TERM, in order.
stop() {
    trap - INT TERM HUP
    if [ -n "$script" ]; then
        kill -TERM "$script" 2>/dev/null
        wait "$script"
        script=
    fi
    if [ -n "$server" ]; then
        kill -TERM "$server" 2>/dev/null
        wait "$server"
        server=
    fi
}
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM HUP

is_up() { # the address in server.json answers, with whatever status
    "$python" - "$home/server.json" <<'PY' 2>/dev/null
import json, sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(json.load(open(sys.argv[1]))["url"] + "/api/v1/", timeout=5)
except urllib.error.HTTPError:
    pass
PY
}

if is_up; then
    echo "A server is already running on $home; using it."
else
    "$python" manage.py serve &
    server=$!
    until is_up; do
        if ! kill -0 "$server" 2>/dev/null; then
            wait "$server"
            exit $?
        fi
        sleep 0.2
    done
fi

# The server that was just found or started, whatever ~/.jobmonrc says.
JOBMON_SERVER=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["url"])' "$home/server.json")
export JOBMON_SERVER
"$python" deploy/setup/quickstart.py &
script=$!
wait "$script"
code=$?
script=

if [ "${ONESHOT:-}" = 1 ]; then
    stop
    exit "$code"
fi
[ "$code" = 0 ] || echo "The quickstart ended with exit code $code." >&2
if [ -n "$server" ]; then
    trap "stop; exit 0" INT
    echo "The server keeps running; Ctrl-C stops it."
    wait "$server"
fi
