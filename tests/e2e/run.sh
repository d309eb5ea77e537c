#!/usr/bin/env bash
# The end-to-end tests: a release build of vigie, and CoreDNS, against a real etcd and kube-apiserver. Installs what is
# missing on Debian 12 (but Go, which builds the control plane once: about 14 minutes on 2 cores).
#
#   tests/e2e/run.sh [PYTEST ARGUMENTS…]
#   VIGIE_RESULTS=DIR   leaves a JUnit file there
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh

install_packages "${BUILD_PACKAGES[@]}" bind9-dnsutils iproute2 openssl python3 python3-venv util-linux
python_env
say "Building build-release/vigie"
build build-release --buildtype=release -Dtests=false
say "Building the control plane, unless it is built already"
tests/e2e/controlplane/build.sh
exec env VIGIE_BUILD=build-release .venv/bin/pytest -q -p no:cacheprovider \
	${VIGIE_RESULTS:+--junitxml="$VIGIE_RESULTS/pytest.xml"} tests/e2e "$@"
