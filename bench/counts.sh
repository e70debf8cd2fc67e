#!/bin/sh
# Instructions per operation, counted by callgrind: bench/counts.sh PROGRAM BOUNDS
#
# The figures depend on the compiler and on what libc chooses for the CPU. Where the file BOUNDS has
# a line "COMPILER | CPU | OPERATION BOUND" for this one, a count above its bound is a failure;
# elsewhere counts are printed only.
set -eu
program=$1 bounds=$2
few=2000 many=22000
compiler=$(${CC:-cc} -v 2>&1 | sed -n 's/^\(.*\) version \([0-9.]*\).*/\1 \2/p')
cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

instructions() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" >"$log" 2>&1 ||
		{ cat "$log" >&2; exit 1; }
	sed -n 's/,//g; s/.*I *refs: *//p' "$log"
}

status=0
echo "# $compiler | $cpu"
for operation in $("$program"); do
	first=$(instructions "$operation" $few)
	last=$(instructions "$operation" $many)
	count=$(awk "BEGIN { printf \"%.1f\", ($last - $first) / ($many - $few) }")
	bound=$(awk -F ' *[|] *' -v key="$compiler|$cpu" -v operation="$operation" '
		$1 "|" $2 == key { split($3, f, " "); if (f[1] == operation) print f[2] }' "$bounds")
	verdict=$(awk "BEGIN { print (\"$bound\" == \"\" ? \"no bound here\" : $count <= ${bound:-0} ? \"ok\" : \"MORE\") }")
	[ "$verdict" != MORE ] || status=1
	printf '%s | %s | %s %s	(%s%s)\n' "$compiler" "$cpu" "$operation" "$count" \
		"${bound:+bound $bound: }" "$verdict"
done
exit $status
