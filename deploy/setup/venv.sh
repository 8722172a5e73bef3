#!/bin/sh
# Make .venv from requirements/<set>.txt, hash-checked: venv.sh base|dev. Does nothing when it is up to date.
set -eu
cd "$(dirname "$0")/../.."
set_name=${1:?base or dev}
requirements=requirements/$set_name.txt

# dev holds the other ways to sign in as well: they are tested.
wanted() { cat "requirements/$1.txt" $([ "$1" = base ] || echo requirements/sign-in.txt) | sha256sum | cut -c1-64; }
has() { [ "$(cat ".venv/.set-$1" 2>/dev/null)" = "$(wanted "$1")" ] && [ -x .venv/bin/python ]; }

# dev holds all of base.
if has "$set_name" || { [ "$set_name" = base ] && has dev; }; then
    exit 0
fi

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.11 or newer is needed. Install it, or name one: make setup PYTHON=/path/to/python3.11" >&2
    return 1
}

if ! .venv/bin/python -c '' 2>/dev/null; then
    python=$(find_python)
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        echo "$python cannot make virtual environments. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2
        exit 1
    fi
    echo "Making the Python environment in .venv …"
    "$python" -m venv .venv
fi

install() { .venv/bin/python -m pip install --quiet --require-hashes -r "$1"; }

# The client and the `jobmon` command, as they are in this folder.
install_client() {
    .venv/bin/python - "$PWD" <<'PY'
import pathlib, sys, sysconfig
pathlib.Path(sysconfig.get_path("purelib"), "jobmon-source.pth").write_text(sys.argv[1] + "\n")
command = pathlib.Path(sysconfig.get_path("scripts"), "jobmon")
command.write_text(f"#!{sys.executable}\nimport sys\n\nfrom jobmon.cli import main\n\nsys.exit(main())\n")
command.chmod(0o755)
PY
}

echo "Installing $requirements …"
if ! install "$requirements"; then
    [ "$set_name" = dev ] || exit 1
    # mysqlclient is the one package that has to be compiled; without it all but the MariaDB tests can run.
    reduced=$(mktemp)
    trap 'rm -f "$reduced"' EXIT
    awk '/^[A-Za-z0-9]/ {keep = !/^mysqlclient==/} keep' "$requirements" > "$reduced"
    install "$reduced"
    install_client
    echo "WARNING: mysqlclient could not be built (it needs libmariadb-dev, pkg-config, gcc): MariaDB will NOT be tested." >&2
    exit 0 # no mark: the next call tries again
fi
if [ "$set_name" = dev ] && ! install requirements/sign-in.txt; then
    install_client
    echo "WARNING: python-ldap could not be built (it needs libldap2-dev, libsasl2-dev, gcc): LDAP will NOT be tested." >&2
    exit 0
fi
install_client
wanted "$set_name" > ".venv/.set-$set_name"
