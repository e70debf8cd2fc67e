#!/bin/sh
# K7: in gdb, and for whatever else unwinds by CFI, a backtrace in a coroutine ends where the coroutine
# begins, and at any instruction of a switch it is the whole stack of the one that leaves, or of the
# one that arrives. With EMULATOR, a command that runs the programs, its stub for debuggers is asked.
# shellcheck disable=SC2317  # try calls the functions
set -eu
srcdir=${srcdir:-.}
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
emulator=${EMULATOR-}
if [ -n "$emulator" ]; then
	gdb='gdb-multiarch' go='continue'
else
	gdb='gdb' go='run'
fi

# debug PROGRAM OPTION...: a build tree's program may be a script that sets up the search for the
# shared library.
debug() {
	program=$1
	shift
	if [ -n "$emulator" ]; then
		emulated "$@"
	elif [ -x ./libtool ]; then
		./libtool --mode=execute $gdb -nx -batch "$@" "$program"
	else
		$gdb -nx -batch "$@" "$program"
	fi </dev/null 2>&1
}

# The emulator makes a socket, waits there for gdb, and ends with it.
emulated() {
	rm -f "$dir/stub"
	$emulator -g "$dir/stub" "$program" >/dev/null &
	while ! [ -S "$dir/stub" ]; do
		kill -0 $! || return
		sleep 0.1
	done
	$gdb -nx -batch -ex "file $program" -ex "target remote $dir/stub" "$@"
	wait $! || :
}

body_ends_at_entry() {
	body=$(debug examples/generator -ex 'set breakpoint pending on' -ex 'break co_gen_emit' \
		-ex "$go" -ex 'set width 0' -ex bt) || :
	printf '%s\n' "$body"
	printf '%s\n' "$body" | grep '^#' | tail -n 1 | grep 'whorl[_.]*fiber_start' &&
		printf '%s\n' "$body" | grep -w count
}

# steps_well PROGRAM SWITCHES FIRST_ENTRIES: at least so many.
steps_well() {
	steps=$(debug "$1" -x "$srcdir/test/step_switches.py") || :
	printf '%s\n' "$steps" | tail -n 8
	printf '%s\n' "$steps" | sed -n 's/^all right: \([0-9]*\) switches, \([0-9]*\) first.*/\1 \2/p' |
		{ read -r switches entries && [ "$switches" -ge "$2" ] && [ "$entries" -ge "$3" ]; }
}

# The calls that lead from the one that waits to the switch are not in it where each ends with a jump,
# as on most CPUs.
waiting_is_seen() {
	ways='(co_mutex_lock|lock|acquire|whorl__stand_in|whorl__park|switch_out|switch_to|whorl__fiber_switch_int)'
	said=$(debug examples/stuck -ex "source $srcdir/tools/whorl-gdb.py" \
		-ex 'set breakpoint pending on' -ex 'break look_around' -ex "$go" -ex 'set width 0' \
		-ex 'coroutine 1 bt') || :
	printf '%s\n' "$said"
	printf '%s\n' "$said" |
		sed -n -E 's/^#[0-9]+ +(0x[0-9a-f]+ in )?([a-z_.]+) \(.*/\2/p' | tr '\n' ' ' |
		grep -Ex "($ways )*transfer (transfer )?run whorl[_.]*fiber_start "
}

# With ucontext libc makes the first frame, and switches.
why_not() {
	command -v "$gdb" >/dev/null || { echo "no $gdb"; return; }
	began=$(debug examples/generator -ex 'break main' -ex "$go" -ex bt \
		-ex 'info address whorl__fiber_start') || :
	case $began in
	*'#0 '*'Symbol "whorl__fiber_start" is'*) ;;
	*'#0 '*) echo 'no stub for this CPU' ;;
	*) echo "$gdb cannot run programs here" ;;
	esac
}

promise_body='a backtrace in a coroutine ends at its entry'
promise_waiting='a backtrace of one that waits is its whole stack'
promise_raw='generators: at each instruction of a switch the whole stack is found'
promise_scheduled='the scheduler: at each instruction of a switch the whole stack is found'
why=$(why_not)
if [ -n "$why" ]; then
	skip "$promise_body" "$why"
	skip "$promise_waiting" "$why"
	skip "$promise_raw" "$why"
	skip "$promise_scheduled" "$why"
	finish
fi
try "$promise_body" body_ends_at_entry
try "$promise_waiting" waiting_is_seen
try "$promise_raw" steps_well examples/generator 30 2
try "$promise_scheduled" steps_well examples/gather 20 8
finish
