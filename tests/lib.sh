# Functions that the scripts of this tree share. Source it from the top of the tree, with `set -eu` in force.
# shellcheck shell=bash

# What building vigie needs on Debian 12 (meson.build says what for), and what testing it needs beyond that.
BUILD_PACKAGES=(build-essential meson ninja-build pkg-config libuv1-dev libcurl4-openssl-dev libjansson-dev
	liburcu-dev libsodium-dev libyaml-dev libmicrohttpd-dev libpcre2-dev libldns-dev
	libssl-dev libprotobuf-c-dev protobuf-c-compiler)
TEST_PACKAGES=(libcmocka-dev clang libclang-rt-14-dev llvm-14 clang-format-14 python3 python3-venv bind9-dnsutils
	curl openssl git valgrind ldnsutils knot knot-dnsutils dnsdist conntrack musl-tools
	prometheus iproute2)
BENCH_PACKAGES=(knot bind9 unbound dnsmasq-base dnsdist dnsperf util-linux)

say() {
	printf '\n== %s\n' "$*"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo -n "$@" || sudo "$@"
	else
		echo "needs root, and there is no sudo: $*" >&2
		return 1
	fi
}

# apt_get ARGUMENTS…: as root. A server that fails is asked again, and another apt-get is waited for.
apt_get() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300 "$@"
}

# install_packages NAME…: installs the Debian packages among them that dpkg does not have. Costs nothing when all are
# there.
install_packages() {
	local name missing=()
	for name in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	say "Installing ${missing[*]}"
	apt_get update
	apt_get install -y --no-install-recommends "${missing[@]}"
}

# python_env: makes ./.venv hold exactly what tests/requirements.txt pins; made anew when that file has changed.
python_env() {
	local stamp=.venv/requirements.txt
	cmp -s tests/requirements.txt "$stamp" && return 0
	say "Making .venv from tests/requirements.txt"
	rm -rf .venv
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --retries 10 -r tests/requirements.txt
	cp tests/requirements.txt "$stamp"
}

# build DIR OPTIONS…: compiles the tree in DIR. Sets it up with these meson options first when it is new, or was set up
# by this function with others; a DIR that was set up by hand is taken as it is.
build() {
	local dir=$1 options
	shift
	options="CC=${CC:-} $*"
	if [ -e "$dir/options" ] && [ "$(cat "$dir/options")" != "$options" ]; then
		rm -rf "$dir"
	fi
	if [ ! -e "$dir/build.ninja" ]; then
		meson setup "$dir" "$@"
		echo "$options" >"$dir/options"
	fi
	meson compile -C "$dir"
}
