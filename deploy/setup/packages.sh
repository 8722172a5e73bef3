#!/bin/sh
# The Debian packages that the whole test suite wants. Installs what is missing where it may (root, or sudo without a
# password); elsewhere it says what is missing, and the tests that need it are counted as skipped.
set -u
wanted="mariadb-server libmariadb-dev pkg-config gcc libc6-dev redis-server nginx-light openssl chromium graphviz util-linux sudo sqlite3 fonts-dejavu-core procps slapd libldap2-dev libsasl2-dev libfaketime"

# Only Debian's own Python has its headers in a package.
case $(readlink -f "$(command -v python3)") in
    /usr/bin/*) wanted="$wanted python3-dev python3-venv" ;;
esac

is_installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

if ! command -v apt-get >/dev/null; then
    echo "Not Debian or Ubuntu: install what these packages hold yourself: $wanted" >&2
    exit 0
fi
missing=
for package in $wanted; do
    is_installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "Missing packages, and no right to install them:$missing" >&2
    echo "  sudo apt-get install$missing" >&2
    exit 0
fi

echo "Installing$missing …"
# No daemon may start by itself: the suite starts its own, in private folders.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    made_policy=1
fi
$as_root apt-get -qq update
# shellcheck disable=SC2086 - a list
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $missing >/dev/null; then
    # One package that cannot be had must not keep the others away.
    for package in $missing; do
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$package" >/dev/null \
            || echo "WARNING: $package could not be installed." >&2
    done
fi
[ -z "$made_policy" ] || $as_root rm -f "$policy"
