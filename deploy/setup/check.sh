#!/bin/sh
# make check: every rule a machine can hold; runs all of them and fails if one fails.
cd "$(dirname "$0")/../.." || exit 1
bin=.venv/bin
failed=

run() { # run <name> <command …>
    name=$1
    shift
    if output=$("$@" 2>&1); then
        echo "ok    $name"
    else
        echo "FAIL  $name"
        echo "$output"
        failed=1
    fi
}

JOBMON_HOME=$(mktemp -d)
export JOBMON_HOME
trap 'rm -rf "$JOBMON_HOME"' EXIT
run "ruff" $bin/ruff check .
run "formatting" $bin/ruff format --check .
run "mypy" $bin/mypy jobmon_site workflows executors jobmon
run "risky calls" $bin/bandit -q -c pyproject.toml -r jobmon_site workflows executors jobmon
run "import rules" $bin/lint-imports
run "the client on old Pythons" $bin/vermin --target=3.8- --violations --no-tips jobmon
if grep -q '^\[tool.djlint\]' pyproject.toml; then
    run "templates" $bin/djlint --check --lint templates
fi
run "migrations" $bin/python manage.py makemigrations --check --dry-run
run "Django's checks" $bin/python manage.py check --fail-level WARNING
[ -z "$failed" ]
