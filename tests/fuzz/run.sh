#!/bin/sh
# Builds the libFuzzer targets under ASan and UBSan and runs each for SECONDS on a copy of its corpus in a temporary
# folder. One line for each target; fails on a finding, whose log and input (as base64) go to standard error.
#
#     tests/fuzz/run.sh SECONDS [NAME...]
set -eu

if [ $# -lt 1 ]; then
	echo "usage: $0 SECONDS [NAME...]" >&2
	exit 2
fi
seconds=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$root/build-fuzz
if [ $# -eq 0 ]; then
	set -- $(cd "$here" && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build_targets() {
	if [ ! -f "$build/build.ninja" ]; then
		CC=clang meson setup "$build" "$root" -Dfuzz=true -Dtests=true -Db_sanitize=address,undefined \
			-Db_lundef=false -Dc_args="-fsanitize=fuzzer-no-link -fno-sanitize-recover=all" || return 1
	fi
	meson compile -C "$build" fuzz-targets
}
if ! build_targets >"$work/build.log" 2>&1; then
	cat "$work/build.log" >&2
	exit 1
fi

failed=0
for name; do
	mkdir -p "$work/$name/corpus" "$work/$name/found"
	cp "$here/corpus/$name"/* "$work/$name/corpus/"
	set -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$work/$name/found/"
	[ ! -f "$here/$name.dict" ] || set -- "$@" -dict="$here/$name.dict"
	if (cd "$work/$name" && "$build/tests/fuzz/fuzz_$name" "$@" corpus) >"$work/$name/log" 2>&1; then
		echo "fuzz $name: ok, $(sed -n 's/^Done \(.*\) second(s)$/\1 s/p' "$work/$name/log")," \
			"$(ls "$work/$name/corpus" | wc -l) inputs kept"
	else
		failed=1
		echo "fuzz $name: FINDING"
		tail -n 60 "$work/$name/log" >&2
		for input in "$work/$name/found"/*; do
			[ ! -f "$input" ] || { echo "$name $(basename "$input") base64:" && base64 -w 0 "$input" && echo; } >&2
		done
	fi
done
exit $failed
