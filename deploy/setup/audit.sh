#!/bin/bash
# make audit: known weaknesses of the locked packages, asked of PyPI's vulnerability service. Ends with 1 if there is one,
# and with 2 if the service could not be asked about everything: a machine without the network has audited nothing.
cd "$(dirname "$0")/../.." || exit 2
said=$(mktemp)
trap 'rm -f "$said"' EXIT
worst=0
for name in base production sign-in dev; do
    found=$(.venv/bin/python -m pip_audit --progress-spinner off --disable-pip --require-hashes -f json \
        -r "requirements/$name.txt" 2>"$said")
    .venv/bin/python -I deploy/setup/read_audit.py "$name" <<<"$found"
    code=$?
    [ -n "$found" ] || tail -n 1 "$said" >&2
    # A weakness is worse than not knowing.
    case "$worst$code" in 00) ;; *1*) worst=1 ;; *) worst=2 ;; esac
done
exit "$worst"
