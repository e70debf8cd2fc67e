#!/bin/sh
# In gdb, tools/whorl-gdb.py shows what is true of coroutines: the session in docs/debugging.md, line
# for line, in a process and on its core file; raw coroutines; several runtimes.
# shellcheck disable=SC2317  # try calls the functions
set -eu
srcdir=${srcdir:-.}
: "${CC:=cc}"
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
here=$(pwd)
script=$(cd "$srcdir" && pwd)/tools/whorl-gdb.py

# build NAME SOURCE OPTION...: as the documentation does, so that places in it are as there.
build() {
	name=$1 source=$2
	shift 2
	(cd "$srcdir" && $CC -g -O0 -Iinclude "$@" -o "$dir/$name" "$source" \
		"$here/.libs/libwhorl.so" -Wl,-rpath,"$here/.libs")
}

# debug OPTION... What fails is told by what it says.
debug() {
	(cd "$srcdir" || return
		gdb -nx -batch -ex 'set width 0' -ex "source $script" "$@" || :) </dev/null 2>&1
}

# session ARGUMENT...: what gdb says to the commands in $dir/commands, each behind its prompt.
session() {
	while IFS= read -r command; do
		printf 'echo (gdb) %s\\n\n%s\n' "$command" "$command"
	done <"$dir/commands" >"$dir/script"
	debug -x "$dir/script" "$@"
}

# The blocks of the document that begin with a prompt.
documented() {
	awk '/^```/ { block = !block; next } block && (/^\(gdb\)/ || shown) { shown = 1; print }
		!block { shown = 0 }' "$srcdir/docs/debugging.md"
}

# Leaves out what differs from one machine, compiler or release to the next: addresses, offsets in
# code, lines of the library, arguments of functions, sizes of frames. (clang's assembler gives the
# switch's labels a dot.)
essence() {
	sed -E -e 's/whorl\./whorl__/' \
		-e '/^\[Thread debugging|^Using host lib|^$|^\[Inferior/d' \
		-e 's/0x[0-9a-f]+/ADDRESS/g' -e 's/^(#[0-9]+ +)ADDRESS in /\1/' \
		-e 's/^(#[0-9]+ +[a-z_]+) \(.*\) at/\1 at/' -e 's/\+[0-9]+ at/ at/' \
		-e 's,at [^ ]*(src|sched)/.*,at the library,' -e 's/[0-9]+ in use/N in use/' \
		-e 's/at most [0-9]+ so far/at most N so far/' -e 's/  +/ /g'
}

same_as_documented() {
	documented | essence >"$dir/expected"
	documented | sed -n 's/^(gdb) //p' >"$dir/commands"
	session "$dir/stuck" | essence >"$dir/found"
	[ "$(wc -l <"$dir/expected")" -gt 40 ] && diff "$dir/expected" "$dir/found"
}

# A core file of gdb's own making ends at the first guard page that it cannot read, so those go first.
make_core() {
	cat >"$dir/make-core" <<-'END'
		break look_around
		run
		python
		for loop in loops():
		    for co in coroutines(loop):
		        for fiber in [] if state_of(co) == "DONE" else [co["fiber"]] if is_running(co) else stacks(co):
		            guard = int(fiber["stack"]["low"]) - 65536
		            gdb.parse_and_eval(f"(int)madvise({guard}, 65536, 103)")
		end
	END
	debug -x "$dir/make-core" -ex "generate-core-file $dir/core" "$dir/stuck"
	[ -s "$dir/core" ]
}

# All from the first look on.
core_as_documented() {
	make_core || return
	sed -n '/^(gdb) info coroutines/,$p' "$dir/expected" >"$dir/expected-of-core"
	sed -i '/^\(break\|run\)/d' "$dir/commands"
	session "$dir/stuck" "$dir/core" | sed -n '/^(gdb)/,$p' | essence >"$dir/found"
	diff "$dir/expected-of-core" "$dir/found"
}

# Selecting does not change what the program does.
runs_on() {
	debug -ex 'break look_around' -ex run -ex 'coroutine 3' -ex next -ex 'coroutine 2' -ex continue \
		"$dir/stuck" >"$dir/said"
	cat "$dir/said"
	grep -q '^deadlock: 3 live' "$dir/said" && grep -q 'exited normally' "$dir/said"
}

# The place in the report of a deadlock is where gdb finds the coroutine.
report_names_the_call() {
	debug -ex 'break say' -ex run -ex 'printf "%s\n", text' -ex 'coroutine 1 bt' "$dir/stuck" \
		>"$dir/said"
	cat "$dir/said"
	place=$(sed -n "s/.*'anna'.* a mutex at [^ ]*+0x\([0-9a-f]*\), spawned.*/\1/p" "$dir/said")
	line=$(sed -n 's/^#1 .* transfer (.*:\([0-9]*\)$/\1/p' "$dir/said")
	[ -n "$place" ] && gdb -nx -batch -ex "info line *(0x$place - 1)" "$dir/stuck" 2>&1 |
		grep "^Line $line of \"examples/stuck.c\" .* <transfer"
}

functions() {
	sed -n -E 's/^#[0-9]+ +(0x[0-9a-f]+ in )?([a-z_.]+) .*/\2/p' "$dir/said" |
		sed 's/whorl\./whorl__/' | tr '\n' ' '
}

raw_by_expression() {
	build generator examples/generator.c
	line=$(sed -n '/co_gen_next.*== 1/=' "$srcdir/examples/generator.c")
	debug -ex "break generator.c:$((line + 1))" -ex run -ex "coroutine bt $1" "$dir/generator" >"$dir/said"
	cat "$dir/said"
	# first where it stopped
	[ "$(functions)" = "count run run whorl__fiber_start " ] ||
		[ "$(functions)" = "co_gen_emit count run run whorl__fiber_start " ]
}

cat >"$dir/two.c" <<'END'
#include <pthread.h>
#include <whorl/co.h>

static pthread_barrier_t both;

static void both_are_here(void)
{
}

static int sleeper(void *arg)
{
	(void)arg;
	return co_sleep(CO_SEC(1000));
}

static int waits_in_thread(void *arg)
{
	co_group g;
	co_ref ref;
	int rc;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	rc = co_spawn(&g, sleeper, NULL, &ref);
	co_sleep(0);
	pthread_barrier_wait(&both);
	if (arg)
		both_are_here();
	pthread_barrier_wait(&both);
	co_cancel(ref, 0);
	return co_group_end(&g, rc);
}

static void *thread(void *arg)
{
	struct co_options options = { .attr = { .name = "second" } };

	(void)arg;
	co_run(waits_in_thread, NULL, &options, NULL);
	return NULL;
}

int main(void)
{
	struct co_options options = { .attr = { .name = "first" } };
	pthread_t other;

	pthread_barrier_init(&both, NULL, 2);
	pthread_create(&other, NULL, thread, NULL);
	co_run(waits_in_thread, &both, &options, NULL);
	return pthread_join(other, NULL);
}
END

two_runtimes() {
	build two "$dir/two.c" -pthread
	debug -ex 'break both_are_here' -ex run -ex 'info coroutines' -ex 'coroutine 1' \
		-ex 'coroutine all bt' "$dir/two" >"$dir/said"
	cat "$dir/said"
	grep -q "^Which? 1.1, 2.1" "$dir/said" &&
		[ "$(grep -c "^Runtime . '\(first\|second\)', 2 live" "$dir/said")" = 2 ] &&
		[ "$(grep -c '^ *[12].0 .*running, thread [12] ' "$dir/said")" = 2 ] &&
		[ "$(grep -c '^#. .* sleeper (' "$dir/said")" = 2 ] &&
		[ "$(grep -c '^#. .* waits_in_thread (' "$dir/said")" = 2 ]
}

cat >"$dir/hook.c" <<'END'
#include <whorl/co.h>

static void hook(enum co_misuse kind, const char *text, const void *site, void *ctx)
{
	(void)kind, (void)text, (void)site, (void)ctx;
}

static int culprit(void *arg)
{
	co_scope never_begun = CO_SCOPE_INIT;
	int rc = co_scope_end(&never_begun, 0);

	return arg ? rc : 0;
}

static int spawns_it(void *arg)
{
	struct co_attr attr = { .flags = CO_SMALL_STACK };
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	return co_group_end(&g, co_spawn_with(&g, culprit, arg, NULL, &attr));
}

int main(void)
{
	struct co_options options = { .on_misuse = hook };

	return co_run(spawns_it, NULL, &options, NULL);
}
END

# A hook for one on a small stack is called on the loop's.
hook_for_a_small_stack() {
	build hook "$dir/hook.c"
	debug -ex 'break hook' -ex run -ex 'coroutine 1 bt' "$dir/hook" >"$dir/said"
	cat "$dir/said"
	grep -q '^#[0-9]* .* culprit (' "$dir/said"
}

stripped_says_so() {
	mkdir "$dir/stripped"
	strip -g -o "$dir/stripped/libwhorl.so.0" .libs/libwhorl.so
	(cd "$srcdir" && $CC -g -Iinclude -o "$dir/plain" examples/stuck.c "$here/.libs/libwhorl.so")
	debug -ex "set environment LD_LIBRARY_PATH $dir/stripped" -ex 'break look_around' -ex run \
		-ex 'info coroutines' "$dir/plain" >"$dir/said"
	cat "$dir/said"
	grep -q '^There is no debug information of libwhorl here' "$dir/said"
}

why_not() {
	command -v gdb >/dev/null || { echo 'no gdb'; return; }
	began=$(debug -ex 'break look_around' -ex run -ex 'info address whorl__fiber_start' \
		-ex 'python print("has python")' "$dir/stuck")
	case $began in
	*look_around*'Symbol "whorl__fiber_start" is'*'has python'*) ;;
	*look_around*) echo 'no stub for this CPU, or a gdb without Python' ;;
	*) echo 'gdb cannot run programs here' ;;
	esac
}

build stuck examples/stuck.c
why=$(why_not)
while read -r promise command; do
	if [ -n "$why" ]; then
		skip "$promise" "$why"
	else
		# shellcheck disable=SC2086
		try "$(echo "$promise" | tr _ ' ')" $command
	fi
done <<'END'
the_session_in_the_documentation_is_what_gdb_says same_as_documented
a_core_file_says_the_same core_as_documented
the_program_goes_on_as_if_nobody_had_looked runs_on
a_deadlock_report_names_the_call_that_waits report_names_the_call
a_generator_by_expression raw_by_expression gen
a_raw_coroutine_by_expression raw_by_expression gen->raw
two_runtimes two_runtimes
in_a_hook_the_culprit_is_seen_on_its_small_stack hook_for_a_small_stack
a_stripped_library_is_said_to_be stripped_says_so
END
finish
