# shellcheck shell=sh disable=SC2317
# For the shell tests, which source this file: results in TAP, for automake's tap-driver.sh.
#
#	try "the promise" command...	ok if the command succeeds, else not ok and what it printed
#	skip "the promise" "why"	ok, not tried
#	finish				the plan; a script that ends before it counts as an error
#	present gcc clang		those of these compilers that are here, each once

tried=0
broken=0

try() {
	promise=$1
	shift
	tried=$((tried + 1))
	if said=$("$@" 2>&1); then
		echo "ok $tried - $promise"
	else
		broken=$((broken + 1))
		printf '%s\n' "$said" | sed 's/^/# /'
		echo "not ok $tried - $promise"
	fi
}

skip() {
	tried=$((tried + 1))
	echo "ok $tried - $1 # SKIP $2"
}

not() {
	! "$@"
}

# Succeeds if a list is empty, and prints it if not.
none() {
	[ -z "$1" ] || { printf '%s\n' "$1"; return 1; }
}

present() {
	for compiler; do
		! command -v "${compiler%% *}" >/dev/null || echo "${compiler%% *}"
	done | awk '!seen[$0]++'
}

finish() {
	echo "1..$tried"
	exit "$((broken > 0))"
}
