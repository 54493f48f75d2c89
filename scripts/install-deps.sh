#!/bin/sh
# install-deps.sh [build] [test]: install the Debian packages that weir needs.
#
# build: what ./configure and make need. test: what scripts/test.sh needs
# besides. Without an argument: build. Where all are installed already nothing
# is done, and no root and no network are needed.
set -eu

build='gcc make libc6-dev autoconf automake libtool pkg-config git
	libevent-dev libinih-dev libc-ares-dev libjansson-dev libssl-dev
	libxxhash-dev'
# The peers that the integration tests talk to, and what checks the code.
test='check g++ valgrind mandoc shellcheck python3 python3-pytest
	netcat-openbsd socat telnet curl redis-server redis-tools iperf3
	haproxy nginx libnginx-mod-stream
	openssl dnsmasq-base procps iproute2 util-linux systemd'

packages=
for set in "${@:-build}"; do
	case $set in
	build) packages="$packages $build" ;;
	test) packages="$packages $build $test" ;;
	*)
		echo "install-deps.sh: $set: no set of packages (build, test)" >&2
		exit 2
		;;
	esac
done

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "install-deps.sh: this is no Debian; install what Debian 12 calls:" >&2
	# Split on purpose, so that lines are joined.
	# shellcheck disable=SC2086
	echo $packages >&2
	exit 1
fi

missing=
for package in $packages; do
	case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
	installed) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
	root=
elif command -v sudo >/dev/null 2>&1; then
	root=sudo
else
	echo "install-deps.sh: not root and no sudo here; missing:$missing" >&2
	echo "install-deps.sh: as root: apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

# A package that brings a service must not start it here: the scripts of
# packages ask /usr/sbin/policy-rc.d, and 101 is "no". An administrator's own
# stays as it is.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap '$root rm -f $policy' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' | $root tee $policy >/dev/null
	$root chmod 755 $policy
fi

echo "install-deps.sh: installing$missing" >&2
$root apt-get -q update >&2
# shellcheck disable=SC2086
$root env DEBIAN_FRONTEND=noninteractive \
	apt-get -q -y install --no-install-recommends $missing >&2
