#!/usr/bin/env bash
# Installs what is missing on Debian 12, builds vigie and serves the demo cluster (zones/demo-cluster.json) on
# 127.0.0.1:5300 in the foreground. Ctrl-C stops it. Can be run again at no cost.
set -eu
cd "$(dirname "$0")/.."
. tests/lib.sh

install_packages "${BUILD_PACKAGES[@]}" bind9-dnsutils
say "Building build-release/vigie"
build build-release --buildtype=release -Dtests=false

cat <<'END'

== Serving the demo cluster on 127.0.0.1, port 5300. Ask it from another terminal; Ctrl-C here stops it.

END
exec build-release/vigie -conf deploy/quickstart.Corefile
