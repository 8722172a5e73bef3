#!/bin/sh
# make dev: the embedded server in ./.run with JOBMON_DEBUG=1, and Django's reloading server on the next port.
set -u
cd "$(dirname "$0")/../.."
python=$PWD/.venv/bin/python
JOBMON_HOME=${JOBMON_HOME:-$PWD/.run}
JOBMON_DEBUG=1
export JOBMON_HOME JOBMON_DEBUG
reloading=${JOBMON_RELOADING_PORT:-8001}

"$python" manage.py serve &
server=$!
trap 'trap - INT TERM; kill -TERM "$server" 2>/dev/null; wait "$server"; exit 0' INT TERM
until [ -f "$JOBMON_HOME/server.json" ]; do
    kill -0 "$server" 2>/dev/null || exit 1
    sleep 0.2
done
echo "Reloading site: http://127.0.0.1:$reloading (the sign-in link works there too, with this port in it)."
JOBMON_PORT=$reloading "$python" manage.py runserver "127.0.0.1:$reloading"
kill -TERM "$server"
wait "$server"
