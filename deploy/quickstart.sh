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

    dig @127.0.0.1 -p 5300 +short web.shop.svc.cluster.local A              # the ClusterIP of a Service
    dig @127.0.0.1 -p 5300 +short web.shop.svc.cluster.local AAAA           # it has two families
    dig @127.0.0.1 -p 5300 +short workers.streaming.svc.cluster.local A     # headless: its Pods, another first each time
    dig @127.0.0.1 -p 5300 +short etcd-0.etcd.data.svc.cluster.local A      # a Pod of a StatefulSet by name
    dig @127.0.0.1 -p 5300 +short _peer._tcp.etcd.data.svc.cluster.local SRV  # ports and names of its Pods
    dig @127.0.0.1 -p 5300 database.shop.svc.cluster.local A                # ExternalName, followed inside the cluster
    dig @127.0.0.1 -p 5300 +short -x 10.96.0.10                             # whose address is that?
    dig @127.0.0.1 -p 5300 +short 10-244-1-1.shop.pod.cluster.local A       # a Pod by its address
    dig @127.0.0.1 -p 5300 migrating.data.svc.cluster.local A               # no Pod is ready: NXDOMAIN
    dig @127.0.0.1 -p 5300 cluster.local SOA                                # the serial is the time of the last change

END
exec build-release/vigie -conf deploy/quickstart.Corefile
