#!/usr/bin/env bash
# Tests vigie. Installs what is missing on Debian 12 first; can be run again at no cost.
#
#   tests/run.sh        format, unit and functional tests: a few minutes
#   tests/run.sh all    these, then the rest
#   tests/run.sh rest   the rest alone: instructions a query, sanitizers, fuzzing (FUZZ_SECONDS a target, default 300) and
#                       end-to-end tests, a fresh Debian and the image
#   tests/run.sh list   the names of the suites
#
# Each suite leaves its log and JUnit files in build/results/SUITE; tests/summary.py adds them up.
set -eu
cd "$(dirname "$0")/.."
. tests/lib.sh

results=$PWD/build/results
fuzz_targets=$(cd tests/fuzz && ls fuzz_*.c | sed 's/^fuzz_\(.*\)\.c$/\1/')
quick_suites="format unit functional"
rest_suites="instructions unit-asan functional-asan unit-tsan functional-tsan $(printf 'fuzz-%s ' $fuzz_targets)e2e debian"

# suite NAME COMMAND…: runs it with its output shown and kept, and notes its exit status and duration.
# The command finds the folder for its JUnit files in VIGIE_RESULTS.
suite() {
	local name=$1 began=$SECONDS status=0
	shift
	say "Suite $name: $*"
	rm -rf "${results:?}/$name"
	mkdir -p "$results/$name"
	(set -o pipefail; VIGIE_RESULTS=$results/$name "$@" 2>&1 | tee "$results/$name/log") || status=$?
	echo "$status $((SECONDS - began))" >"$results/$name/status"
}

format() {
	find include src tests -name '*.[ch]' -print0 | xargs -0 clang-format-14 --dry-run -Werror
}

# unit DIR ARGUMENTS… Time is for hangs alone: a busy machine takes longer.
unit() {
	local dir=$1 status=0
	shift
	meson test -C "$dir" --no-rebuild --print-errorlogs --timeout-multiplier 5 "$@" || status=$?
	cp "$dir/meson-logs/testlog.junit.xml" "$VIGIE_RESULTS/" || status=1
	return "$status"
}

# functional DIR ARGUMENTS…: three at a time, since most of the tests wait most of the time
functional() {
	local dir=$1
	shift
	VIGIE_BUILD=$dir .venv/bin/pytest -q -p no:cacheprovider -n 3 --junitxml="$VIGIE_RESULTS/pytest.xml" tests/functional "$@"
}

prepare() {
	install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
	python_env
}

quick() {
	say "Building build/vigie"
	build build
	suite format format
	suite unit unit build
	suite functional functional build
}

rest() {
	say "Building build-bench: what is measured"
	build build-bench --buildtype=release -Dtests=false -Dbench=true
	suite instructions .venv/bin/python tests/bench/instructions.py
	say "Building build-asan/vigie: AddressSanitizer and UndefinedBehaviorSanitizer"
	build build-asan -Db_sanitize=address,undefined -Db_lundef=false
	export ASAN_OPTIONS=abort_on_error=0:exitcode=99:detect_leaks=1:quarantine_size_mb=16
	export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:exitcode=99
	suite unit-asan unit build-asan
	suite functional-asan functional build-asan
	say "Building build-tsan: ThreadSanitizer, for what has threads"
	build build-tsan -Db_sanitize=thread -Db_lundef=false
	export TSAN_OPTIONS=halt_on_error=1:exitcode=66:suppressions=$PWD/tests/tsan.supp
	suite unit-tsan unit build-tsan --suite threads
	suite functional-tsan functional build-tsan -k four_workers
	for target in $fuzz_targets; do
		suite "fuzz-$target" tests/fuzz/run.sh "${FUZZ_SECONDS:-300}" "$target"
	done
	suite e2e tests/e2e/run.sh
	suite debian as_root deploy/image/chroot.sh
}

case ${1:-} in
"") suites=$quick_suites; prepare; quick ;;
all) suites="$quick_suites $rest_suites"; prepare; quick; rest ;;
rest) suites=$rest_suites; prepare; rest ;;
list) echo "$quick_suites $rest_suites"; exit ;;
*) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
say "Summary"
# shellcheck disable=SC2086
python3 tests/summary.py "$results" $suites
