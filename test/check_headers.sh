#!/bin/sh
# Every public header alone, as its users may compile it: without a warning in each language and
# compiler that is here.
# shellcheck disable=SC2317  # try calls the functions
set -eu
srcdir=${srcdir:-.}
: "${CC:=cc}" "${CXX:=}"
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# The configured compiler and the usual ones, each once.
present() {
	for compiler; do
		! command -v "${compiler%% *}" >/dev/null || echo "${compiler%% *}"
	done | awk '!seen[$0]++'
}

# compiles COMPILER LANGUAGE STANDARD HEADER, twice: guards hold, macros of the first time do no
# harm.
compiles() {
	printf '#include <whorl/%s>\n#include <whorl/%s>\n' "$4" "$4" >"$dir/alone"
	"$1" -x "$2" "-std=$3" -Wall -Wextra -Wundef -pedantic -Werror -I"$srcdir/include" \
		-fsyntax-only "$dir/alone"
}

for path in "$srcdir"/include/whorl/*.h; do
	header=${path##*/}
	for compiler in $(present "$CC" gcc clang); do
		for standard in c11 c2x; do
			try "$header as $standard by $compiler" \
				compiles "$compiler" c $standard "$header"
		done
	done
	[ -n "$CXX" ] || skip "$header in C++" 'no C++ compiler'
	for compiler in $(present "$CXX" g++ clang++); do
		for standard in c++11 c++17 c++20; do
			try "$header as $standard by $compiler" \
				compiles "$compiler" c++ $standard "$header"
		done
	done
done
finish
