#!/bin/sh
# K7: in gdb, and for whatever else unwinds by CFI, a backtrace in a coroutine ends where the coroutine
# begins, and one at any instruction of the switch ends there or in main.
# shellcheck disable=SC2317  # try calls the functions
set -eu
srcdir=${srcdir:-.}
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

program=examples/generator
script=$(mktemp)
trap 'rm -f "$script"' EXIT
promise_body='a backtrace in a coroutine ends at its entry'
promise_switch='at each instruction of the switch it ends at an entry or in main'

# A build tree's program may be a script that sets up the search for the shared library.
debug() {
	if [ -x ./libtool ]; then
		./libtool --mode=execute gdb -nx -batch "$@" "$program"
	else
		gdb -nx -batch "$@" "$program"
	fi </dev/null 2>&1
}

# From the first switch, into a coroutine that never ran, through those that follow.
cat >"$script" <<'END_OF_SCRIPT'
set width 0
set breakpoint pending on
set print frame-arguments none
break whorl__switch
run
set $step = 0
while $step < 200
	echo BACKTRACE\n
	bt
	stepi
	set $step = $step + 1
end
END_OF_SCRIPT

body_ends_at_entry() {
	printf '%s\n' "$body"
	printf '%s\n' "$body" | grep '^#' | tail -n 1 | grep 'whorl[_.]*fiber_start' &&
		printf '%s\n' "$body" | grep -w count
}

# Of each backtrace the last frame.
last_frames() {
	printf '%s\n' "$steps" | awk '
		/^BACKTRACE/ { if (last != "") print last; last = "none" }
		/^#/ { last = $0 }
		/stopped|orrupt|rror/ { last = $0 }
		END { print last }'
}

steps_end_well() {
	last_frames | grep -Ev ' (main|whorl[_.]*fiber_start) \(' && return 1
	[ "$(last_frames | grep -c main)" -gt 10 ] && [ "$(last_frames | grep -c 'whorl[_.]*fiber_start')" -gt 10 ]
}

if ! command -v gdb >/dev/null; then
	skip "$promise_body" 'no gdb'
	skip "$promise_switch" 'no gdb'
	finish
fi
body=$(debug -ex 'break co_gen_emit' -ex run -ex 'set width 0' -ex bt) || :
if ! printf '%s\n' "$body" | grep -q '^Breakpoint 1,'; then
	printf '%s\n' "$body" | sed 's/^/# /'
	skip "$promise_body" 'gdb cannot run programs here'
	skip "$promise_switch" 'gdb cannot run programs here'
	finish
fi
steps=$(debug -x "$script") || :
try "$promise_body" body_ends_at_entry
try "$promise_switch" steps_end_well
finish
