#!/bin/sh
# S258: a result that must be looked at. To drop one of a call that is marked CO_MUST_CHECK is a
# warning in C, and co_ignore() silences it; to drop that of a sleep or a checkpoint is none.
# shellcheck disable=SC2317  # try calls the functions
set -eu
srcdir=${srcdir:-.}
: "${CC:=cc}"
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# All that are marked, each called once: what it gives stands for nothing.
cat >"$dir/marked" <<'END'
co_accept(0, 0, 0)
co_accept_until(0, 0, 0, 0)
co_barrier_wait(0)
co_chan_make(0, 0, 0)
co_chan_recv(0, 0)
co_chan_recv_until(0, 0, 0)
co_chan_send(0, 0)
co_chan_send_until(0, 0, 0)
co_chan_tryrecv(0, 0)
co_chan_trysend(0, 0)
co_cond_wait(0, 0)
co_cond_wait_until(0, 0, 0)
co_connect(0, 0, 0)
co_connect_until(0, 0, 0, 0)
co_event_wait(0)
co_event_wait_until(0, 0)
co_gather(0, 0, 0, 0)
co_group_admit(0)
co_group_end(0, 0)
co_group_start(0, 0, 0, 0)
co_group_wait(0)
co_group_wait_until(0, 0)
co_join(ref, 0)
co_join_until(ref, 0, 0)
co_limiter_try(0, 0)
co_limiter_wait(0, 0)
co_mutex_lock(0)
co_mutex_lock_until(0, 0)
co_mutex_trylock(0)
co_read(0, 0, 0)
co_read_full(0, 0, 0, 0)
co_read_until(0, 0, 0, 0)
co_readv(0, 0, 0)
co_rwlock_rdlock(0)
co_rwlock_rdlock_until(0, 0)
co_rwlock_tryrdlock(0)
co_rwlock_trywrlock(0)
co_rwlock_wrlock(0)
co_rwlock_wrlock_until(0, 0)
co_scope_end(0, 0)
co_scope_result(0, 0)
co_select(0, 0)
co_select_until(0, 0, 0)
co_sem_trywait(0)
co_sem_wait(0)
co_sem_wait_n(0, 0)
co_sem_wait_until(0, 0, 0)
co_spawn(0, 0, 0, 0)
co_spawn_with(0, 0, 0, 0, 0)
co_ticker_wait(0, 0)
co_timeout(0, 0, 0)
co_wait_fd(0, 0)
co_wait_fd_until(0, 0, 0)
co_work(0, 0, 0)
co_work_with(0, 0, 0, 0, 0)
co_write(0, 0, 0)
co_write_all(0, 0, 0, 0)
co_write_until(0, 0, 0, 0)
co_writev(0, 0, 0)
END

# Of the others: points whose -ECANCELED the next point gives again, and what cleanup calls.
cat >"$dir/free" <<'END'
co_sleep(0)
co_sleep_until(0)
co_yield_now()
co_checkpoint()
co_shield(0, 0, 0)
co_cancel(ref, 0)
co_scope_cancel(0, 0)
co_group_cancel(0, 0)
co_mutex_unlock(0)
co_chan_close(0)
co_close(0)
END

# compiles COMPILER FLAG...: C from stdin, with the headers. The warning comes late: -fsyntax-only
# would not give it.
compiles() {
	compiler=$1
	shift
	{ echo '#include <whorl/co.h>'; cat; } |
		"$compiler" -x c -std=c11 -Wall -Wextra "$@" -I"$srcdir/include" -S -o /dev/null -
}

# uses COMPILER EDIT FLAG...: a function with all calls of stdin, each edited.
uses() {
	use_compiler=$1 edit=$2
	shift 2
	{
		echo 'void uses(co_ref ref); void uses(co_ref ref) { (void)ref;'
		sed "$edit"
		echo '}'
	} | compiles "$use_compiler" "$@"
}

# warns COMPILER CALL: of an unused result, and of nothing else.
warns() {
	! heard=$(echo "$2" | uses "$1" 's/$/;/' -Werror=unused-result 2>&1) || return 1
	printf '%s\n' "$heard"
	[ "$(printf '%s\n' "$heard" | grep -Ec '(error|warning):')" = 1 ] &&
		printf '%s\n' "$heard" | grep -q 'error:.*Werror.*unused-result'
}

silent() {
	uses "$1" "$2" -Werror <"$dir/$3"
}

# The names of the calls that the headers mark.
names() {
	echo '#include <whorl/co.h>' | "$CC" -E -I"$srcdir/include" -x c - | tr ';\n' '\n ' |
		sed -n 's/.*[ *]\(co_[a-z0-9_]*\) *(.*warn_unused_result.*/\1/p' | sort
}

differences() {
	names >"$dir/names"
	sed 's/(.*//' "$dir/marked" | sort | diff - "$dir/names" || :
}

try 'all calls that the headers mark are tried here' none "$(differences)"
for compiler in $(present "$CC" gcc clang); do
	while read -r call; do
		try "$call dropped, by $compiler" warns "$compiler" "$call"
	done <"$dir/marked"
	try "each in co_ignore(), by $compiler" silent "$compiler" 's/.*/co_ignore(&);/' marked
	try "each returned, by $compiler" silent "$compiler" 's/.*/if (&) return;/' marked
	try "those that may be dropped, by $compiler" silent "$compiler" 's/$/;/' free
done
finish
