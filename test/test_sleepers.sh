#!/bin/sh
# whorl-sleepers as a user runs it: its JSON is sound and adds up, its table is there, bad arguments
# end with status 2 and the usage line. TAP. WHORL_SLEEPERS names the program (./whorl-sleepers).
set -u

program=${WHORL_SLEEPERS:-./whorl-sleepers}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
count=0
failed=0

# check NAME COMMAND...: one test, which passes if the command does
check() {
	name=$1
	shift
	count=$((count + 1))
	if "$@"; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		failed=1
	fi
}

# field NAME: its value in the JSON, which has one field a line
field() {
	sed -n "s/^  \"$1\": \([0-9.]*\),\$/\1/p" "$dir/json"
}

equals() {
	[ "$(field "$1")" = "$2" ] || { echo "# $1 is '$(field "$1")', not $2"; false; }
}

# Each sleeper's quantiles in order, and as many wakes in the histogram as there were.
adds_up() {
	last=0
	for key in p50 p90 p99 p99_9 max; do
		value=$(field "lateness_${key}_ns")
		[ "${value:--1}" -ge "$last" ] || { echo "# $key is '$value', not >= $last"; return 1; }
		last=$value
	done
	wakes=$(sed -n 's/.*"wakes": \([0-9]*\) }.*/\1/p' "$dir/json" |
		awk '{ n += $1 } END { print n }')
	[ "$wakes" = "$(field wakes)" ] || { echo "# the histogram has $wakes wakes"; false; }
}

# Every coroutine's stack has a guard of one kind.
all_guarded() {
	awk -v want="$1" '/"guards_/ { n += $2 } END { exit n != want }' "$dir/json"
}

refuses() {
	"$program" "$@" >"$dir/out" 2>"$dir/err"
	status=$?
	[ "$status" = 2 ] || { echo "# status $status for: $*"; return 1; }
	[ ! -s "$dir/out" ] && grep -q '^usage: whorl-sleepers ' "$dir/err"
}

says() {
	"$program" "$1" >"$dir/out" 2>"$dir/err" && [ ! -s "$dir/err" ] && grep -q "$2" "$dir/out"
}

table_has() {
	grep -q "$1" "$dir/table" || { sed 's/^/# /' "$dir/table"; false; }
}

"$program" -n 200 --loops 2 --min-ms 5 --max-ms 30 --json >"$dir/json" 2>"$dir/err"
check 'json: exit status 0' [ $? = 0 ]
check 'json: nothing on stderr' [ ! -s "$dir/err" ]
if command -v python3 >"$dir/out"; then
	check 'json: a parser reads it' \
		python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$dir/json"
else
	check 'json: it is one object' [ "$(head -c 1 "$dir/json")$(tail -n 1 "$dir/json")" = '{}' ]
fi
check 'json: coroutines' equals coroutines 200
check 'json: wakes' equals wakes 400
check 'json: none early' equals early 0
check 'json: a tenth due' equals timeouts_due 40
check 'json: all caught' equals timeouts_caught 40
check 'json: quantiles and histogram add up' adds_up
check 'json: a guard for each stack' all_guarded 200

"$program" -n 3 --loops 4 --min-ms 0 --max-ms 0 --seed 18446744073709551615 --json >"$dir/json"
check 'sleeps of no length: exit status 0' [ $? = 0 ]
check 'sleeps of no length: wakes' equals wakes 12
check 'sleeps of no length: seed' equals seed 18446744073709551615

"$program" --coroutines=1100 --loops 1 --min-ms 1 --max-ms 1 >"$dir/table" 2>"$dir/err"
check 'table: exit status 0' [ $? = 0 ]
check 'table: no progress line off a terminal' [ ! -s "$dir/err" ]
check 'table: coroutines' table_has '^coroutines  *1 100$'
check 'table: early wakes' table_has '^early wakes  *0$'
check 'table: timeouts' table_has '^timeouts  *110 due, 110 caught$'
check 'table: a bar in the histogram' table_has ' ##*$'

check 'refuses no coroutines' refuses -n 0
check 'refuses a negative number' refuses -n -1
check 'refuses a leading blank' refuses -n ' 5'
check 'refuses what follows a number' refuses -n 5x
check 'refuses an empty number' refuses --seed ''
check 'refuses a number beyond 64 bits' refuses --seed 18446744073709551616
check 'refuses no loops' refuses --loops 0
check 'refuses more than an hour' refuses --max-ms 3600001
check 'refuses a range turned round' refuses --min-ms 20 --max-ms 10
check 'refuses a missing argument' refuses -n
check 'refuses an unknown option' refuses --nothing
check 'refuses an operand' refuses 5
check '--help' says --help '^usage: whorl-sleepers '
check '--version' says --version '^whorl-sleepers [0-9]'

"$program" -n 1 --loops 1 --min-ms 0 --max-ms 0 >/dev/full 2>"$dir/err"
check 'a full disk is an error' [ $? = 1 ]
echo "1..$count"
exit $failed
