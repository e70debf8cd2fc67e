#!/bin/sh
# The rooms of the source tree and what may be included in each: the tree keeps the rules, and a
# file that breaks one is found.
# shellcheck disable=SC2317  # try calls the functions
set -eu
srcdir=${srcdir:-.}
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

rooms='include wheel src sched test bench examples'

# Prints each #include in the tree $1 that its room forbids, as `file: what`.
violations() {
	# shellcheck disable=SC2086
	(cd "$1" && find $rooms \( -name '*.[chS]' -o -name '*.cc' -o -name '*.hpp' \) -exec awk '
	BEGIN {
		std = "system (limits|std(align|bool|def|int))"
		may["include/whorl/wheel.h"] = std
		may["include/whorl/coro.h"] = std
		may["include"] = "whorl/.*|system .*"
		may["wheel"] = std "|whorl/wheel|wheel/.*"
		may["src"] = "whorl/coro|src/.*|system .*"
		may["sched"] = "whorl/.*|sched/.*|src/core|system .*"
		may["test"] = "whorl/.*|test/.*|(wheel|src|sched|examples)/.*\\.c|sched/wide|system .*"
		may["bench"] = "whorl/.*|bench/.*|system .*"
		may["examples"] = "whorl/.*|examples/.*|system .*"
	}
	FNR == 1 {
		room = FILENAME in may ? FILENAME : substr(FILENAME, 1, index(FILENAME, "/") - 1)
	}
	/^[ \t]*#[ \t]*include/ {
		split($0, part, /[<">]/)
		what = part[2]
		if ($0 ~ /</)
			what = what ~ /^whorl\// ? what : "system " what
		else	# relative to the file: a path from the top
			what = substr(FILENAME, 1, match(FILENAME, /[^\/]*$/) - 1) what
		while (sub(/[^\/]+\/\.\.\//, "", what))
			;
		sub(/\.h(pp)?$/, "", what)
		if (what !~ "^(" may[room] ")$")
			print FILENAME ": " what
	}' {} +)
}

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

# found FILE INCLUDE: a tree with nothing but this line in this file is found to break a rule.
found() {
	# shellcheck disable=SC2086
	(cd "$tree" && rm -rf ./* && mkdir $rooms include/whorl && echo "#include $2" >"$1")
	[ -n "$(violations "$tree")" ]
}

try 'every file includes only what its room allows' none "$(violations "$srcdir")"
while read -r file include; do
	try "found if $file includes $include" found "$file" "$include"
done <<'END'
include/whorl/wheel.h <stdio.h>
include/whorl/wheel.h <whorl/coro.h>
include/whorl/coro.h <whorl/wheel.h>
include/whorl/co.h "../../src/core.h"
include/whorl/co.hpp "../../src/core.h"
wheel/wheel.c <stdlib.h>
wheel/wheel.c <whorl/co.h>
wheel/wheel.c "../src/core.h"
src/fiber.c <whorl/wheel.h>
src/fiber.c <whorl/co.h>
src/fiber.c "../sched/sched.h"
sched/loop.c "../src/stack.h"
sched/loop.c "../wheel/wheel.c"
test/test_raw.c "../src/core.h"
test/test_raw.c "../bench/sleepers_report.h"
bench/sleepers.c "../test/suite.h"
bench/sleepers.c "../src/fiber.c"
examples/sends.c "../sched/sched.h"
END
finish
