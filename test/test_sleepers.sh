#!/bin/sh
# whorl-sleepers as a user runs it: its JSON is sound and adds up, its table is there, bad arguments
# end with status 2 and the usage line. WHORL_SLEEPERS names the program.
# shellcheck disable=SC2317  # try calls the functions
set -u
srcdir=${srcdir:-.}
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

program=${WHORL_SLEEPERS:-bench/whorl-sleepers}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# run STATUS ARGUMENT...: the program, which leaves $dir/out and $dir/err and has to end so
run() {
	wanted=$1
	shift
	status=0
	"$program" "$@" >"$dir/out" 2>"$dir/err" || status=$?
	[ "$status" = "$wanted" ] || { echo "status $status: $*"; cat "$dir/err"; false; }
}

quiet() {
	[ ! -s "$dir/err" ] || { cat "$dir/err"; false; }
}

# field NAME: its value in the JSON, which has one field a line
field() {
	sed -n "s/^  \"$1\": \([0-9.]*\),\$/\1/p" "$dir/out"
}

equals() {
	[ "$(field "$1")" = "$2" ] || { echo "$1 is '$(field "$1")', not $2"; false; }
}

is_json() {
	if command -v python3; then
		python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$dir/out"
	else
		[ "$(head -c 1 "$dir/out")$(tail -n 1 "$dir/out")" = '{}' ]
	fi
}

# Quantiles in order, and as many wakes in the histogram as there were.
adds_up() {
	last=0
	for key in p50 p90 p99 p99_9 max; do
		value=$(field "lateness_${key}_ns")
		[ "${value:--1}" -ge "$last" ] || { echo "$key is '$value', not >= $last"; return 1; }
		last=$value
	done
	wakes=$(sed -n 's/.*"wakes": \([0-9]*\) }.*/\1/p' "$dir/out" |
		awk '{ n += $1 } END { print n }')
	[ "$wakes" = "$(field wakes)" ] || { echo "the histogram has $wakes wakes"; false; }
}

# all_guarded N: each of N stacks has a guard of one kind.
all_guarded() {
	awk -v want="$1" '/"guards_/ { n += $2 } END { exit n != want }' "$dir/out"
}

has() {
	grep -q "$1" "$dir/out" || { cat "$dir/out"; false; }
}

refuses() {
	run 2 "$@" && [ ! -s "$dir/out" ] && grep '^usage: whorl-sleepers ' "$dir/err"
}

fails_on_full_disk() {
	"$program" -n 1 --loops 1 --min-ms 0 --max-ms 0 >/dev/full
	[ $? = 1 ]
}

try 'json: exit status 0' run 0 -n 200 --loops 2 --min-ms 5 --max-ms 30 --json
try 'json: nothing on stderr' quiet
try 'json: a parser reads it' is_json
try 'json: coroutines' equals coroutines 200
try 'json: wakes' equals wakes 400
try 'json: none early' equals early 0
try 'json: a tenth due' equals timeouts_due 40
try 'json: all caught' equals timeouts_caught 40
try 'json: quantiles and histogram add up' adds_up
try 'json: a guard for each stack' all_guarded 200

try 'sleeps of no length: exit status 0' \
	run 0 -n 3 --loops 4 --min-ms 0 --max-ms 0 --seed 18446744073709551615 --json
try 'sleeps of no length: wakes' equals wakes 12
try 'sleeps of no length: seed' equals seed 18446744073709551615

try 'table: exit status 0' run 0 --coroutines=1100 --loops 1 --min-ms 1 --max-ms 1
try 'table: no progress line off a terminal' quiet
try 'table: coroutines' has '^coroutines  *1 100$'
try 'table: early wakes' has '^early wakes  *0$'
try 'table: timeouts' has '^timeouts  *110 due, 110 caught$'
try 'table: a bar in the histogram' has ' ##*$'

try 'refuses no coroutines' refuses -n 0
try 'refuses a negative number' refuses -n -1
try 'refuses a leading blank' refuses -n ' 5'
try 'refuses what follows a number' refuses -n 5x
try 'refuses an empty number' refuses --seed ''
try 'refuses a number beyond 64 bits' refuses --seed 18446744073709551616
try 'refuses no loops' refuses --loops 0
try 'refuses more than an hour' refuses --max-ms 3600001
try 'refuses a range turned round' refuses --min-ms 20 --max-ms 10
try 'refuses a missing argument' refuses -n
try 'refuses an unknown option' refuses --nothing
try 'refuses an operand' refuses 5

try '--help: exit status 0' run 0 --help
try '--help: the usage line' has '^usage: whorl-sleepers '
try '--version: exit status 0' run 0 --version
try '--version: a number' has '^whorl-sleepers [0-9]'
try 'a full disk is an error' fails_on_full_disk
finish
