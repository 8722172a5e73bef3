#!/bin/bash
# make test: everything on SQLite, then what touches a database again on MariaDB. Fails if either fails.
set -u
cd "$(dirname "$0")/../.."
deploy/setup/packages.sh
deploy/setup/venv.sh dev || exit 1
# The browser tests use the system's Chromium; nothing is downloaded.
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

run_suite() { # run_suite <name> <pytest arguments …>
    local name=$1
    shift
    echo "== $name"
    # Some processes wait for batch systems most of the time while others work. A file stays in one process: what its
    # tests share is set up once. Tests are shuffled, in the same way each time, so that a red run can be repeated;
    # JOBMON_TEST_SEED takes any other number.
    .venv/bin/python -m pytest -n "${JOBMON_TEST_PROCESSES:-4}" --dist loadfile --no-loadscope-reorder \
        --randomly-seed "${JOBMON_TEST_SEED:-1}" "$@" 2>&1 | tee "$logs/$name"
    return "${PIPESTATUS[0]}"
}

run_suite SQLite tests "$@"
sqlite=$?
if .venv/bin/python -c 'import MySQLdb' 2>/dev/null && PATH=$PATH:/usr/sbin command -v mariadbd >/dev/null; then
    # Every folder with tests of the database. Not run twice, since the database cannot matter to it: what Chromium makes
    # of the pages (test_browser, test_colours, test_hostile, test_story), the helper without the server (test_helper,
    # test_fuzz), clusters driven by hand (test_clusters*). tests/deploy brings a MariaDB of its own; tests/unit, client
    # and executors know no database.
    JOBMON_TEST_DATABASE=mariadb run_suite MariaDB tests/db tests/api tests/e2e tests/chaos tests/ops tests/pages \
        tests/corpus tests/run_as --ignore-glob 'tests/e2e/test_clusters*' --ignore tests/pages/test_browser.py \
        --ignore tests/pages/test_colours.py --ignore tests/pages/test_hostile.py --ignore tests/pages/test_story.py \
        --ignore tests/run_as/test_helper.py --ignore tests/run_as/test_fuzz.py "$@"
    mariadb=$?
else
    echo "REAL PART NOT TESTED: MariaDB (mariadbd or mysqlclient is missing)" | tee "$logs/MariaDB"
    mariadb=0
fi

echo
for name in SQLite MariaDB; do
    printf '%-8s %s\n' "$name:" "$(tail -n 1 "$logs/$name")"
done
[ "$sqlite" = 0 ] && [ "$mariadb" = 0 ]
