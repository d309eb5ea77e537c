#!/usr/bin/env bash
# Tests vigie. Installs what is missing on Debian 12 first; can be run again at no cost.
#
#   tests/run.sh        format, unit and functional tests: a few minutes
#   tests/run.sh all    these, then the rest
#   tests/run.sh rest   the rest alone: sanitizers, fuzzing (FUZZ_SECONDS a target, default 300) and end-to-end tests
#
# Each suite leaves its log and JUnit files in build/results/SUITE; tests/summary.py adds them up.
set -eu
cd "$(dirname "$0")/.."
. tests/lib.sh

results=$PWD/build/results
suites=()

# suite NAME COMMAND…: runs it with its output shown and kept, and notes its exit status and duration.
# The command finds the folder for its JUnit files in VIGIE_RESULTS.
suite() {
	local name=$1 began=$SECONDS status=0
	shift
	suites+=("$name")
	say "Suite $name: $*"
	rm -rf "${results:?}/$name"
	mkdir -p "$results/$name"
	(set -o pipefail; VIGIE_RESULTS=$results/$name "$@" 2>&1 | tee "$results/$name/log") || status=$?
	echo "$status $((SECONDS - began))" >"$results/$name/status"
}

format() {
	git ls-files -z '*.c' '*.h' | xargs -0 clang-format-14 --dry-run -Werror
}

# unit DIR ARGUMENTS…
unit() {
	local dir=$1 status=0
	shift
	meson test -C "$dir" --no-rebuild --print-errorlogs "$@" || status=$?
	cp "$dir/meson-logs/testlog.junit.xml" "$VIGIE_RESULTS/" || status=1
	return "$status"
}

# functional DIR ARGUMENTS…
functional() {
	local dir=$1
	shift
	VIGIE_BUILD=$dir .venv/bin/pytest -q -p no:cacheprovider --junitxml="$VIGIE_RESULTS/pytest.xml" "$@" tests/functional
}

quick() {
	install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
	python_env
	say "Building build/vigie"
	build build
	suite format format
	suite unit unit build
	suite functional functional build
}

rest() {
	install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
	python_env
	say "Building build-asan/vigie: AddressSanitizer and UndefinedBehaviorSanitizer"
	build build-asan -Db_sanitize=address,undefined -Db_lundef=false
	export ASAN_OPTIONS=abort_on_error=0:exitcode=99:detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	suite unit-asan unit build-asan
	suite functional-asan functional build-asan
	say "Building build-tsan: ThreadSanitizer"
	build build-tsan -Db_sanitize=thread -Db_lundef=false
	TSAN_OPTIONS=exitcode=99:suppressions=$PWD/tests/tsan.supp suite unit-tsan unit build-tsan --suite threads
	suite fuzz tests/fuzz/run.sh "${FUZZ_SECONDS:-300}"
	suite e2e tests/e2e/run.sh
}

case ${1:-} in
"") quick ;;
all) quick; rest ;;
rest) rest ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
say "Summary"
python3 tests/summary.py "$results" "${suites[@]}"
