#!/bin/sh
# make lock: resolve requirements/*.in into hash-locked *.txt. LOCK="--upgrade" takes the newest versions.
set -eu
cd "$(dirname "$0")/../.."
uv=$(command -v uv || echo .venv/bin/uv)
if [ ! -x "$uv" ]; then
    echo "uv is needed: .venv/bin/pip install uv" >&2
    exit 1
fi
for name in base production sign-in dev; do
    # shellcheck disable=SC2086 - options
    "$uv" pip compile ${LOCK:-} --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
        "requirements/$name.in" -o "requirements/$name.txt"
done
