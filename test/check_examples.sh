#!/bin/sh
# The examples do what they show: each runs to its end and succeeds.
set -eu
srcdir=${srcdir:-.}
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

for example in ${EXAMPLES?the programs}; do
	try "$example" "$example"
done
finish
