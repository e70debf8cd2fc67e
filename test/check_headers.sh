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

# compiles COMPILER LANGUAGE STANDARD HEADER FLAG..., twice: guards hold, macros of the first time do
# no harm.
compiles() {
	compiler=$1 language=$2 standard=$3 header=$4
	shift 4
	printf '#include <whorl/%s>\n#include <whorl/%s>\n' "$header" "$header" >"$dir/alone"
	"$compiler" -x "$language" "-std=$standard" -Wall -Wextra -Wundef -Wshadow -pedantic \
		-Werror "$@" -I"$srcdir/include" -fsyntax-only "$dir/alone"
}

for path in "$srcdir"/include/whorl/*.h "$srcdir"/include/whorl/*.hpp; do
	name=${path##*/}
	case $name in
	*.h) cxx='c++11 c++17 c++20' ;;
	*.hpp) cxx='c++17 c++20 c++2b' ;;
	esac
	[ "$name" = "${name%.h}" ] || for by in $(present "$CC" gcc clang); do
		for as in c11 c2x; do
			try "$name as $as by $by" compiles "$by" c $as "$name"
		done
	done
	[ -n "$CXX" ] || skip "$name in C++" 'no C++ compiler'
	for by in $(present "$CXX" g++ clang++); do
		for as in $cxx; do
			try "$name as $as by $by" compiles "$by" c++ "$as" "$name" \
				-Wconversion -Wold-style-cast
		done
	done
done
finish
