#!/bin/sh
# test.sh: everything that can be checked here, from any state of a checkout on
# Debian 12. The last line of output is "N passed, N failed"; the exit status
# is 0 when something ran and nothing failed.
#
#   1. build with every warning an error; make check: guards, units, integration
#   2. the same with the address and undefined behaviour sanitizers; that build
#      is made while the tests before it wait
#   3. unit tests and the integration tests marked "valgrind" under valgrind
#   4. manual pages, scripts, systemd units: their own checkers
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.." || exit 1
top=$(pwd -P)
passed=0
failed=0
jobs=${JOBS:-2}

finish() {
	[ $((passed + failed)) -gt 0 ] || failed=1
	echo "$passed passed, $failed failed"
	[ $failed -eq 0 ]
	exit
}

# A step without which there is no going on.
need() {
	"$@" && return
	echo "test.sh: failed: $*"
	failed=$((failed + 1))
	finish
}

# check NAME COMMAND...: one test; its output is shown when it fails.
check() {
	name=$1
	shift
	if "$@" >"$scratch/out" 2>&1; then
		passed=$((passed + 1))
	else
		echo "FAIL: $name"
		cat "$scratch/out"
		failed=$((failed + 1))
	fi
}

# tally FOLDER: add up what a "make check" there left behind: the single tests
# of each log, or the entry itself where the log counts none. A log that is
# missing or that counts no failure although its entry failed is one failure.
tally() {
	find "$1/tests" "$1/tools" "$1/fuzz" -name '*.trs' 2>/dev/null | sort |
		while read -r trs; do
			log=${trs%.trs}.log
			awk -v trs="$trs" '
			/^:test-global-result:/ { ok = $2 == "PASS"; bad = $2 ~ /^(FAIL|ERROR|XPASS)$/ }
			/^:test-result:/ { if ($2 ~ /^(FAIL|ERROR|XPASS)$/) bad = 1; if ($2 == "PASS") ok = 1 }
			FILENAME != trs && /^[0-9]+%: Checks: / {
				split($0, n, /[^0-9]+/)
				p += n[2] - n[3] - n[4]; f += n[3] + n[4]
				counted = 1
			}
			FILENAME != trs && / in [0-9.]+s( \([0-9:]+\))?( =+)?$/ {
				line = $0
				gsub(/[=,]/, "", line)
				k = split(line, w, " ")
				for (i = 2; i <= k; i++) {
					if (w[i] == "passed") p += w[i - 1]
					if (w[i] ~ /^(failed|errors?)$/) f += w[i - 1]
					if (w[i] == "skipped") s += w[i - 1]
				}
				counted = 1
			}
			END {
				if (bad && !f) f = 1
				if (!counted && ok) p = 1
				if (!ok && !bad) f++
				print p + 0, f + 0, s + 0
			}' "$trs" "$log"
		done | awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }'
}

# suite FOLDER TITLE [MAKE-ARGUMENT...]: run make check there and count.
suite() {
	dir=$1
	title=$2
	shift 2
	find "$dir/tests" "$dir/tools" "$dir/fuzz" -name '*.trs' -exec rm -f {} + 2>/dev/null
	# Most tests wait more than they compute, but less so under valgrind.
	extra=2
	[ "$title" = valgrind ] && extra=1
	make -s -C "$dir" -j$((jobs + extra)) check VERBOSE=1 "$@" >"$scratch/out" 2>&1
	status=$?
	result=$(tally "$dir")
	# Three numbers, split on purpose.
	# shellcheck disable=SC2086
	set -- $result
	if [ "$2" -gt 0 ] || [ $status -ne 0 ]; then
		cat "$scratch/out"
	fi
	echo "$title: $1 passed, $2 failed, $3 skipped"
	if [ $status -ne 0 ] && [ "$2" -eq 0 ]; then
		echo "FAIL: $title: make check ended with status $status"
		failed=$((failed + 1))
	elif [ $(($1 + $2)) -eq 0 ]; then
		echo "FAIL: $title: nothing ran"
		failed=$((failed + 1))
	fi
	passed=$((passed + $1))
	failed=$((failed + $2))
}

# Whether build/ was configured with what the tests need.
can_test() {
	grep -q '^CHECK_LIBS = .' build/Makefile &&
		! grep -q '^PYTHON = no' build/Makefile
}

scratch=$(mktemp -d) || exit 1
beside=
trap '[ -z "$beside" ] || kill "$beside" 2>/dev/null; rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

need sh "$here/install-deps.sh" build test
need sh "$here/build.sh" build --enable-werror
if ! can_test; then
	# Configured before the packages of the tests were there.
	rm -f build/Makefile
	need sh "$here/build.sh" build --enable-werror
fi
need can_test

# The second build, and its tests, so that nothing is left to do; nice, so that
# no test waits for it. timeout has a process group, which ends with it.
# shellcheck disable=SC2016
nice timeout 900 sh -c 'sh scripts/build.sh build-asan --enable-werror \
	--enable-sanitizers CFLAGS="-g -O1" &&
	exec make -s -C build-asan -j"$1" check TESTS=' sh "$jobs" \
	>"$scratch/asan" 2>&1 &
beside=$!
suite build "gcc, -Werror"
if ! wait "$beside"; then
	beside=
	cat "$scratch/asan"
	need false # without sanitizers
fi
beside=
suite build-asan "address and undefined behaviour sanitizers"

# Unit tests that fork would be followed into their children; CK_FORK=no keeps
# each in one process.
memcheck='valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect,possible --child-silent-after-fork=yes'
need mkdir -p build/valgrind
units=$(cd build && find tests -name 'check_*' -type f -perm -u+x ! -path '*/.libs/*' ! -name '*.*' | sort)
integration=$(cd "$top" && grep -l 'mark.valgrind' tests/integration/test_*.py)
export CK_FORK=no WEIR_WRAP="$memcheck" WEIR_TIME_SCALE=10
# Lists of names without blanks, joined to one line.
# shellcheck disable=SC2086
suite build "valgrind" \
	TESTS="$(printf '%s ' $units $integration)" \
	LOG_COMPILER="timeout -k 10 300 $top/build/libtool --mode=execute $memcheck" \
	PY_LOG_FLAGS="-m valgrind"
unset CK_FORK WEIR_WRAP WEIR_TIME_SCALE

for page in man/*.[1-8]; do
	[ -e "$page" ] || continue
	check "mandoc -Tlint $page" mandoc -Tlint -Wwarning "$page"
done
for script in scripts/*.sh .ci/run autogen.sh tools/*; do
	case $(head -n 1 "$script") in
	'#!/bin/sh'*) check "shellcheck $script" shellcheck "$script" ;;
	esac
done

finish
