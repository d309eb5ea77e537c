#!/usr/bin/env bash
# Builds the programs that the end-to-end tests run: etcd, kube-apiserver, kube-controller-manager, kubectl, CoreDNS to
# compare with, and Helm. They are kept outside the tree, keyed by version, and built once. Prints the folder of the
# programs.
#
#   tests/e2e/controlplane/build.sh            all of them (about 14 minutes cold on 2 cores)
#   tests/e2e/controlplane/build.sh pebble     Pebble alone, an ACME server
#   VIGIE_TOOLS=DIR                            where to keep them (default: ~/.cache/vigie/tools)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

version_of() { # module folder, module path
	(cd "$here/$1" && sed -n "s|^.*$2 \(v[0-9.]*\).*|\1|p" go.mod | head -n 1)
}

kubernetes=$(version_of kubernetes k8s.io/kubernetes)
etcd=$(version_of etcd go.etcd.io/etcd/server/v3)
coredns=$(version_of coredns github.com/coredns/coredns)
helm=$(version_of helm helm.sh/helm/v3)
tools=${VIGIE_TOOLS:-$HOME/.cache/vigie/tools}
out=$tools/kubernetes-$kubernetes-etcd-$etcd-coredns-$coredns
mkdir -p "$out" "$tools/helm-$helm"

build() { # module folder, package, program, folder if it is not $out
	local out=${4:-$out} try
	[ -x "$out/$3" ] && return
	echo "building $3 ($2)" >&2
	# Again when it fails: go does not ask a module's server twice, and keeps what it has. -p 2: the tests' machines have
	# two cores; CGO off: the programs run anywhere
	for try in 1 2 3; do
		if (cd "$here/$1" && CGO_ENABLED=0 go build -p 2 -trimpath -ldflags='-s -w' -o "$out/$3.tmp" "$2") >&2; then
			mv "$out/$3.tmp" "$out/$3"
			return
		fi
		sleep $((5 * try))
	done
	return 1
}

command -v go >/dev/null || { echo "go is missing: the end-to-end tests build the control plane from source" >&2; exit 1; }
pebble=$tools/pebble-$(version_of pebble github.com/letsencrypt/pebble/v2)
mkdir -p "$pebble"
build pebble github.com/letsencrypt/pebble/v2/cmd/pebble pebble "$pebble"
if [ "${1:-}" = pebble ]; then
	echo "$pebble"
	exit
fi
build etcd go.etcd.io/etcd/server/v3 etcd
build coredns github.com/coredns/coredns coredns
build kubernetes k8s.io/kubernetes/cmd/kube-apiserver kube-apiserver
build kubernetes k8s.io/kubernetes/cmd/kube-controller-manager kube-controller-manager
build kubernetes k8s.io/kubernetes/cmd/kubectl kubectl
build helm helm.sh/helm/v3/cmd/helm helm "$tools/helm-$helm"
ln -sfn "$tools/helm-$helm/helm" "$out/helm"
echo "$out"
