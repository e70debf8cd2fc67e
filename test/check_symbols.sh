#!/bin/sh
# Every symbol: the library exports what src/libwhorl.map lists, which is what the public headers
# declare; and nothing of ours, internal or not, can clash with a name of the user's.
# shellcheck disable=SC2086,SC2317  # try calls the functions
set -eu
srcdir=${srcdir:-.}
: "${CC:=cc}" "${NM:=nm}" "${READELF:=readelf}"		# with their options: unquoted below
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# The names a map lists, each with its node, as `name@@node`.
listed() {
	sed 's:/\*.*::; s:^ \*.*::' "$1" | awk '
		/{/ { node = $1 }
		/local:/ { exit }
		/;/ { sub(/;.*/, ""); print $1 "@@" node }' | sort
}

exported() {
	$NM --dynamic --defined-only "$1" | awk '$2 != "A" { print $3 }' | sort
}

# The functions that the public headers declare and do not define. Each statement is a line; what is
# left of a declaration is a name and the parenthesis behind it.
declared() {
	(cd "$srcdir/include" && cat whorl/wheel.h whorl/coro.h whorl/co.h) >"$dir/all.h"
	$CC -I"$srcdir/include" -E -P "$dir/all.h" | tr '\n' ' ' | sed 's/[;{}]/&\n/g' |
		grep -Ev '^ *(typedef|static)|\{$' |
		grep -Eo '\b(wheel|co)_[a-z0-9_]+ *\([^*]' | sed 's/ *(.*//' | sort -u
}

same() {
	diff "$1" "$2"
}

listed "$srcdir/src/libwhorl.map" >"$dir/map"
exported .libs/libwhorl.so >"$dir/exported"
declared >"$dir/declared"
sed 's/@.*//' "$dir/map" >"$dir/names"
try 'the library exports what its map lists' same "$dir/map" "$dir/exported"
try 'the headers declare what the map lists' same "$dir/names" "$dir/declared"

if [ -e .libs/libwhorl-jemalloc.so ]; then
	listed "$srcdir/src/libwhorl-jemalloc.map" >"$dir/map"
	exported .libs/libwhorl-jemalloc.so >"$dir/exported"
	try 'the companion exports what its map lists' same "$dir/map" "$dir/exported"
fi

# Compilers make symbols like __x86.get_pc_thunk and __odr_asan; those are not ours.
none_clashes() {
	$NM --extern-only --defined-only "$1" >"$dir/defined" || return
	none "$(awk 'NF == 3 && $3 !~ /^(wheel_|co_|whorl__|__)/' "$dir/defined")"
}

internals_are_hidden() {
	$READELF --wide --symbols "$1" >"$dir/symbols" || return
	none "$(awk '$8 ~ /^whorl__/ && $5 == "GLOBAL" && $6 != "HIDDEN" && $7 != "UND" {
		print $8
	}' "$dir/symbols")"
}

if [ -e .libs/libwhorl.a ]; then
	try 'all names in the static library have our prefixes' none_clashes .libs/libwhorl.a
	try 'internal names are hidden' internals_are_hidden .libs/libwhorl.a
else
	skip 'names in the static library' 'there is none'
fi

# A copy of the wheel in another program: no other file of ours, and of the C library only what the
# compiler itself calls.
wheel_needs_nothing() {
	mkdir -p "$dir/wheel/whorl"
	cp "$srcdir/include/whorl/wheel.h" "$dir/wheel/whorl/"
	for source in "$srcdir"/wheel/*.c; do
		$CC -std=c11 -ffreestanding -O2 -I"$dir/wheel" -c "$source" -o "$dir/wheel.o" &&
			$NM --undefined-only "$dir/wheel.o" >>"$dir/undefined" || return
	done
	none "$(awk '$2 !~ /^(mem(cpy|move|set|cmp)|wheel_.*)$/' "$dir/undefined")"
}
try 'the wheel alone compiles freestanding and needs nothing' wheel_needs_nothing
finish
