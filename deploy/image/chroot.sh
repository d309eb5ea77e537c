#!/usr/bin/env bash
# Proves what needs a machine of its own in a fresh Debian 12 (debootstrap, in a folder): that the README's first command
# needs nothing but Debian, that the image is what deploy/Dockerfile says it is, and that the systemd unit allows what
# vigie does. As root; some four minutes.
#
#   deploy/image/chroot.sh          the quick start, the image, the unit
#   deploy/image/chroot.sh tests    the README's second command, tests/run.sh, as well: some ten minutes more
#   deploy/image/chroot.sh OUT.tar  the image's root file system, to be made an image with `docker import`
#
# VIGIE_TOOLS=DIR: where the bare Debian is kept between runs (default: ~/.cache/vigie/tools)
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lib.sh
[ "$(id -u)" = 0 ] || { echo "needs root: it makes a chroot" >&2; exit 1; }

tools=${VIGIE_TOOLS:-$HOME/.cache/vigie/tools}
base=$tools/debian-bookworm-$(date +%G-%V).tar # a new one each week, with what Debian has mended since
work=$(mktemp -d /var/tmp/vigie-chroot.XXXXXX)
root=$work/root
address=10.96.0.24 # of web.shop in zones/demo-cluster.json
clean_up() {
	umount -R -l "$root" 2>/dev/null || true
	[ -z "$(jobs -p)" ] || kill $(jobs -p) 2>/dev/null || true
	wait
	rm -rf --one-file-system "$work"
}
trap clean_up EXIT

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

chroot=(chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root)
inside() {
	"${chroot[@]}" "$@"
}

bare_debian() {
	install_packages bind9-dnsutils debootstrap iproute2 python3 util-linux
	if [ ! -e "$base" ]; then
		say "Debian 12, as bare as it comes"
		debootstrap --variant=minbase bookworm "$root" http://deb.debian.org/debian >"$work/debootstrap.log" ||
			{ tail "$work/debootstrap.log" >&2; fail debootstrap; }
		printf 'deb http://deb.debian.org/debian-security bookworm-security main\n' >>"$root/etc/apt/sources.list"
		mkdir -p "$tools"
		tar -C "$root" -cf "$base.new" . && mv "$base.new" "$base"
		rm -rf "$root"
	fi
	mkdir -p "$root"
	mount --bind "$root" "$root" # a root that is a mount point, as a machine's is: `ip netns exec` needs it
	tar -C "$root" -xf "$base"
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	mount -t proc proc "$root/proc"
	mount -t sysfs sysfs "$root/sys"
	mkdir "$root/src"
	git ls-files -z --cached --others --exclude-standard | xargs -0 tar -cf - | tar -C "$root/src" -xf -
}

# The README's first command serves, and a question of its own list is answered.
quick_start() {
	local answer="" pid
	say "deploy/quickstart.sh"
	"${chroot[@]}" /src/deploy/quickstart.sh >"$work/quickstart.log" 2>&1 & # all of them exec: it is vigie in the end
	pid=$!
	for _ in $(seq 1800); do # packages come, and it is built
		kill -0 "$pid" 2>/dev/null || break
		if [ "$(basename "$(readlink "/proc/$pid/exe")")" = vigie ]; then
			answer=$(dig @127.0.0.1 -p 5300 +short +time=1 +tries=1 web.shop.svc.cluster.local A) && break
		fi
		sleep 1
	done
	[ "$answer" = "$address" ] || { tail -n 40 "$work/quickstart.log" >&2; fail "the quick start: '$answer'"; }
	kill -TERM "$pid"
	wait "$pid" || fail "the quick start ended with $?"
	echo "answered: $answer"
}

# What `docker build` does; and again from another folder: the same bytes.
image() {
	local size first second
	inside /src/deploy/image/build.sh /out
	mv "$root/src" "$root/elsewhere"
	cp -a "$root/out" "$root/first"
	inside /elsewhere/deploy/image/build.sh /out >/dev/null
	first=$(archive "$root/first" | sha256sum)
	second=$(archive "$root/out" | sha256sum)
	[ "$first" = "$second" ] || fail "two builds differ: $(diff -r "$root/first" "$root/out" || true)"
	size=$(du -b -s "$root/out" | cut -f 1)
	[ "$size" -lt 20000000 ] || fail "$size bytes are too many for the image"
	[ -z "$(find "$root/out" -perm /6000)" ] || fail "something is setuid"
	grep -q "nghttp2/%s" "$root/out/vigie" || fail "libcurl has no HTTP/2: each watch would have its own connection"
	echo "the image: $size bytes, $(find "$root/out" -type f | wc -l) files, reproducible: ${first%% *}"
}

archive() {
	tar --sort=name --numeric-owner --xattrs --xattrs-include='security.capability' \
		--pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' -C "$1" -cf - .
}

# As the Deployment runs it, on port 53 of a network of its own, with nothing to write to.
runs_as_in_a_pod() {
	local pod=$work/pod
	say "The image, as in a Pod"
	cp -a "$root/out" "$pod"
	mkdir -p "$pod/etc/coredns" "$pod/zones"
	cp zones/demo-cluster.json "$pod/zones/"
	sed -e 's/5300/53/; /bind/d; s/^\terrors$/\terrors\n\thealth\n\tready/; s,/etc/resolv.conf,192.0.2.53,' \
		deploy/quickstart.Corefile >"$pod/etc/coredns/Corefile"
	cat >"$work/pod.sh" <<'END'
set -eu
ip link set lo up
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
deploy/image/as_in_a_pod.py "$1" /vigie -conf /etc/coredns/Corefile &
pid=$!
answer=
for _ in $(seq 100); do
	answer=$(dig @127.0.0.1 +short +time=1 +tries=1 web.shop.svc.cluster.local A 2>/dev/null) && break
	sleep 0.2
done
echo "answered: $answer"
grep -E '^(Uid|CapEff|NoNewPrivs)' "/proc/$pid/status"
kill -TERM "$pid"
wait "$pid"
[ "$answer" = "$2" ]
END
	unshare --net --mount bash "$work/pod.sh" "$pod" "$address" || fail "as in a Pod"
}

# The system calls of groups, one a line; groups within groups unfolded.
expand() {
	local line
	for line in $(inside systemd-analyze syscall-filter "$@" | sed -n 's/^ *\([-@a-z_0-9]*\)$/\1/p'); do
		case $line in
		@*) case " $* " in *" $line "*) ;; *) expand "$line" ;; esac ;;
		*) echo "$line" ;;
		esac
	done
}

# What the unit's lines of SystemCallFilter name that begin so, without the ~.
filtered() {
	sed -n "s/^SystemCallFilter=\($1.*\)/\1/p" deploy/systemd/vigie.service | tr -d '~'
}

# The unit's sandbox lets every system call pass that serving and stopping makes.
systemd_unit() {
	local allowed denied exposure call named
	say "deploy/systemd/vigie.service"
	inside apt-get -q -o Acquire::Retries=5 install -y --no-install-recommends systemd strace >"$work/apt.log" 2>&1 ||
		{ tail "$work/apt.log" >&2; fail "apt-get"; }
	exposure=$(inside systemd-analyze security --offline=true --threshold=20 /elsewhere/deploy/systemd/vigie.service |
		tail -n 1) || fail "$exposure"
	echo "$exposure"
	# As systemd reads the unit: what its groups are made of (and @default), without those behind ~, but with the
	# calls that it names.
	allowed=$(expand @default $(filtered '@'))
	denied=$(expand $(filtered '~@'))
	named=$(filtered '[a-z]' | tr ' ' '\n')
	[ -n "$allowed" ] && [ -n "$denied" ] || fail "the unit's filter was not understood"
	inside bash -euc 'cd /elsewhere
		trap "kill %1 2>/dev/null || true" EXIT
		strace -f -q -e trace=all -o /tmp/calls build-release/vigie -pidfile /tmp/pid \
			-conf deploy/quickstart.Corefile >/dev/null &
		for _ in $(seq 100); do
			dig @127.0.0.1 -p 5300 +short +time=1 +tries=1 web.shop.svc.cluster.local A >/dev/null && break
			sleep 0.2
		done
		dig @127.0.0.1 -p 5300 +tcp +short web.shop.svc.cluster.local A >/dev/null
		kill -TERM "$(cat /tmp/pid)"
		wait'
	sed -n 's/^[0-9]* *\([a-z_0-9]*\)(.*/\1/p' "$root/tmp/calls" | sort -u >"$work/calls"
	[ "$(wc -l <"$work/calls")" -gt 20 ] || fail "strace saw nothing"
	while read -r call; do
		case $call in execve | exit) continue ;; esac
		! grep -qx "$call" <<<"$named" || continue
		grep -qx "$call" <<<"$allowed" || fail "the unit does not allow $call"
		! grep -qx "$call" <<<"$denied" || fail "the unit denies $call"
	done <"$work/calls"
	echo "$(wc -l <"$work/calls") kinds of system calls, all allowed"
}

bare_debian
quick_start
image
runs_as_in_a_pod
systemd_unit
case ${1:-} in
"") ;;
tests)
	say "tests/run.sh"
	way=() # this machine's own to the Python packages, where it has one
	[ -z "${PIP_CERT:-}" ] || { cp "$PIP_CERT" "$root/etc/pip-ca.crt" && way+=(PIP_CERT=/etc/pip-ca.crt); }
	inside "${way[@]}" /elsewhere/tests/run.sh
	;;
*) archive "$root/out" >"$1" ;;
esac
say "All as it should be"
