#!/bin/sh
# What the loader and the kernel will make of libwhorl.so, as readelf tells it: no executable stack
# (K6), no shadow stack (K4).
# shellcheck disable=SC2317  # try calls the functions
set -eu
srcdir=${srcdir:-.}
: "${READELF:=readelf}"
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

library=.libs/libwhorl.so
program=bench/.libs/whorl-sleepers
[ -e "$program" ] || program=bench/whorl-sleepers

segments() {
	"$READELF" --wide --segments "$1"
}

dynamic() {
	"$READELF" --wide --dynamic "$library"
}

# Flags are the column before the alignment.
stack_is_rw() {
	segments "$1" | awk '
		$1 == "GNU_STACK" { flags = $(NF - 1) }
		END { print flags; exit flags != "RW" }'
}

has_segment() {
	segments "$library" | grep "^ *$1 "
}

has_entry() {
	dynamic | grep "$1"
}

# Parts of libc only; libdl and libpthread were files of their own before glibc 2.34, libm (for
# ucontext) still is.
strangers() {
	dynamic | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
		grep -Ev '^(libc\.so\.6|libc\.musl-.*|lib(dl|m|pthread)\.so\..*|ld-.*)$' || :
}

# A relocation by name is a call that the dynamic linker resolves, perhaps to a function of the
# program's.
calls_outside() {
	"$READELF" --wide --relocs "$library" | grep -E ' (wheel|co)_[a-z_]+@@' || :
}

# A shadow stack would have to be switched too, so the library must not claim that it is.
claims_shadow_stack() {
	"$READELF" --wide --notes "$library" | grep SHSTK
}

try 'the stack is not executable' stack_is_rw "$library"
try "nor is a program's that uses it" stack_is_rw "$program"
try 'no relocations in the text' not has_entry TEXTREL
try 'what is relocated is read-only afterwards' has_segment GNU_RELRO
try 'all symbols are bound at start' has_entry 'FLAGS_1.*NOW'
try 'the soname names the ABI' has_entry 'SONAME.*\[libwhorl\.so\.[0-9]*\]'
try 'only libc is needed' none "$(strangers)"
try 'its calls of itself stay inside' none "$(calls_outside)"
try 'no claim to keep a shadow stack' not claims_shadow_stack
finish
