#!/bin/sh
# The examples do what they show: each runs to its end and succeeds.
# shellcheck disable=SC2317  # try calls the functions
set -eu
srcdir=${srcdir:-.}
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

# An idle timeout of 150 ms, and a word each 60: it is met unless the machine stalls meanwhile.
in_five_tries() {
	"$1" || "$1" || "$1" || "$1" || "$1"
}

for example in ${EXAMPLES?the programs}; do
	case $example in
	*/echo) try "$example" in_five_tries "$example" ;;
	*) try "$example" "$example" ;;
	esac
done
finish
