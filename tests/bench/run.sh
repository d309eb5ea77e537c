#!/usr/bin/env bash
# Measures vigie beside the batched limit, Knot, BIND, Unbound, dnsmasq, dnsdist and CoreDNS; prints tables and writes
# results.json, table.md and chart.svg to build-bench/bench; with --publish also into docs/performance.md. Takes about ten
# minutes for everything; `--help` tells how to ask for less. CoreDNS takes part when tests/e2e/controlplane/build.sh has built it. Nothing else should run meanwhile.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh

install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${BENCH_PACKAGES[@]}"
python_env
build build-bench --buildtype=release -Dtests=false -Dbench=true >/dev/null
coredns=$(find "${VIGIE_TOOLS:-$HOME/.cache/vigie/tools}" -name coredns -type f 2>/dev/null | sort | tail -n 1)
# In a network of its own, in which the kernel may give any port: as our manifests set it for a pod. VIGIE_BENCH_HOST=1:
# in the host's, as for a server on the node's own network.
in_a_pod=(unshare --net)
[ "$(id -u)" = 0 ] || in_a_pod=(unshare --map-root-user --net)
[ -z "${VIGIE_BENCH_HOST:-}" ] || in_a_pod=(env)
exec "${in_a_pod[@]}" sh -c '[ -n "${VIGIE_BENCH_HOST:-}" ] || { ip link set lo up && sysctl -q -w net.ipv4.ip_local_port_range="1024 65535"; }
	exec "$@"' sh .venv/bin/python tests/bench/bench.py ${coredns:+--coredns "$coredns"} "$@"
