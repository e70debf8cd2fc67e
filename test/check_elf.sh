#!/bin/sh
# What the loader and the kernel will make of the libraries and the program that are installed, as
# readelf tells it: no executable stack (K6), no shadow stack (K4), landing pads (K5), nothing that
# is writable and executable, at any time.
# shellcheck disable=SC2317  # try calls the functions
set -eu
srcdir=${srcdir:-.}
: "${CC:=cc}" "${READELF:=readelf}"
: "${ARCH?the folder of src/arch}" "${libdir?of the installation}"
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

library=.libs/libwhorl.so
companion=.libs/libwhorl-jemalloc.so
program=bench/.libs/whorl-sleepers
[ -e "$program" ] || program=bench/whorl-sleepers

segments() {
	"$READELF" --wide --segments "$1"
}

dynamic() {
	"$READELF" --wide --dynamic "$1"
}

# Flags are the column before the alignment.
stack_is_rw() {
	segments "$1" | awk '
		$1 == "GNU_STACK" { flags = $(NF - 1) }
		END { print flags; exit flags != "RW" }'
}

writable_and_executable() {
	segments "$1" | awk '$1 == "LOAD" && /RWE/'
}

has_segment() {
	segments "$1" | grep "^ *$2 "
}

has_entry() {
	dynamic "$1" | grep -E "$2"
}

# libtool's, where the loader does not look into the folder of the installation by itself, is none.
search_path() {
	dynamic "$1" | grep -E 'R(UN)?PATH' | grep -vF "[$libdir]" || :
}

# Parts of libc only; libdl and libpthread were files of their own before glibc 2.34, libm (for
# ucontext) still is.
strangers() {
	dynamic "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
		grep -Ev '^(libc\.so\.6|libc\.musl-.*|lib(dl|m|pthread)\.so\..*|ld-.*)$' || :
}

# A relocation by name is a call that the dynamic linker resolves, perhaps to a function of the
# program's.
calls_outside() {
	"$READELF" --wide --relocs "$1" | grep -E ' (wheel|co)_[a-z_]+@@' || :
}

# A shadow stack would have to be switched too, so the library must not claim that it is.
claims_shadow_stack() {
	"$READELF" --wide --notes "$1" | grep -E 'SHSTK|GCS'
}

for file in "$library" "$companion" "$program"; do
	[ -e "$file" ] || continue
	what=${file##*/}
	try "$what: the stack is not executable" stack_is_rw "$file"
	try "$what: nothing is writable and executable" none "$(writable_and_executable "$file")"
	try "$what: no relocations in the text" not has_entry "$file" TEXTREL
	try "$what: what is relocated is read-only afterwards" has_segment "$file" GNU_RELRO
	try "$what: all symbols are bound at start" has_entry "$file" 'FLAGS_1.*NOW'
	try "$what: no search path of its own" none "$(search_path "$file")"
	try "$what: no claim to keep a shadow stack" not claims_shadow_stack "$file"
done
try 'the soname names the ABI' has_entry "$library" 'SONAME.*\[libwhorl\.so\.[0-9]*\]'
try 'only libc is needed' none "$(strangers "$library")"
try 'its calls of itself stay inside' none "$(calls_outside "$library")"

# A linked file has landing pads if all that is in it has: so the stub must say that it has them.
# Start files that say nothing, as Debian's, are left out of it.
case $ARCH in
x86_64) pads='-fcf-protection=branch' says='IBT' ;;
aarch64) pads='-mbranch-protection=bti' says='BTI' ;;
*) pads='' ;;
esac
stub=src/arch/$ARCH/.libs/libcore_la-switch.o
keeps_pads() {
	echo 'int other(void) { return 0; }' >"$dir/other.c"
	# shellcheck disable=SC2086  # CC with its options
	$CC -shared -fPIC -nostdlib "$pads" -o "$dir/both.so" "$dir/other.c" "$stub" &&
		"$READELF" --wide --notes "$dir/both.so" | grep -w "$says"
}
if [ -n "$pads" ]; then
	try "linked with the stub, a library of landing pads stays one ($says)" keeps_pads
else
	skip 'landing pads' "src/arch/$ARCH has none"
fi
finish
