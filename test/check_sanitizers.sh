#!/bin/sh
# K16, for users: a program built with a sanitizer, and linked to the library as it is installed,
# gets no false report, and the true ones. So do programs under valgrind.
# shellcheck disable=SC2317  # try calls the functions
set -eu
srcdir=${srcdir:-.}
: "${CC:=cc}" "${VALGRIND_CPPFLAGS=}" "${libdir?of the installation}"
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

# shellcheck source=test/installed.sh
. "$srcdir/test/installed.sh"
export ASAN_OPTIONS=detect_stack_use_after_return=1 TSAN_OPTIONS='' LSAN_OPTIONS='' UBSAN_OPTIONS=''

# build COMPILER FLAG...
build() {
	# shellcheck disable=SC2046
	"$@" -gdwarf-4 -O1 -pthread -o "$dir/user" "$srcdir/test/sanitized.c" \
		$("$PKG_CONFIG" --cflags whorl) "$library" -lm
}

# works COMPILER FLAG...: whether there is such a runtime, and it can run here.
works() {
	echo 'int main(void) { return 0; }' >"$dir/empty.c"
	"$@" -o "$dir/empty" "$dir/empty.c" && "$dir/empty"
} >"$dir/said" 2>&1

# But for what ASan says of every program that switches by swapcontext (--with-arch=ucontext).
silent() {
	said=$("$@" 2>&1) || { printf '%s\n' "$said"; return 1; }
	none "$(printf '%s\n' "$said" | grep -v "ASan doesn't fully support makecontext/swapcontext")"
}

# reports WHAT COMMAND...
reports() {
	what=$1
	shift
	said=$("$@" 2>&1) && { echo 'it ended well'; return 1; }
	printf '%s\n' "$said"
	printf '%s\n' "$said" | grep -q "$what"
}

# examine HOW WORD=REPORT... -- COMPILER FLAG...
examine() {
	how=$1 bugs=
	shift
	while [ "$1" != -- ]; do
		bugs="$bugs $1"
		shift
	done
	shift
	if ! works "$@"; then
		skip "$how" 'no such compiler or runtime, or it cannot run here'
		return
	fi
	for library in "$root$libdir/libwhorl.so" "$root$libdir/libwhorl.a"; do
		with="$how, ${library##*/}"
		if ! [ -e "$library" ]; then
			skip "$with" 'it is not built'
			continue
		fi
		try "$with: a program is built" build "$@"
		try "$with: no report where no fault is" silent "$dir/user" clean
		case $how in
		*ASan) try "$with: nor with variables in frames" \
			silent env ASAN_OPTIONS= "$dir/user" clean ;;
		esac
		try "$with: nor at exit in mid-run" silent "$dir/user" exits
		for bug in $bugs; do
			try "$with: ${bug%%=*}" reports "${bug#*=}" "$dir/user" "${bug%%=*}"
		done
	done
}

address='overrun=stack-buffer-overflow return=stack-use-after-return free=heap-use-after-free
	leak=LeakSanitizer overflow=stack-overflow'

try 'make install' install_it
# shellcheck disable=SC2086
{
	examine 'gcc, ASan' $address -- gcc -fsanitize=address
	examine 'clang, ASan' $address -- \
		clang -fsanitize=address -fsanitize-address-use-after-return=always
}
for compiler in gcc clang; do
	examine "$compiler, TSan" race=data.race race=by.name -- $compiler -fsanitize=thread
	examine "$compiler, UBSan" add=signed.integer.overflow -- \
		$compiler -fsanitize=undefined -fno-sanitize-recover=all
done

memcheck() {
	valgrind -q --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=9 \
		"$dir/user" "$1"
}

library=$root$libdir/libwhorl.so
if [ -z "$VALGRIND_CPPFLAGS" ]; then
	skip valgrind 'the library was built without it'
elif ! works "$CC" || ! valgrind -q "$dir/empty" >"$dir/said" 2>&1; then
	skip valgrind 'there is none that runs here'
else
	try 'valgrind: a program is built' build "$CC"
	try 'valgrind: no report where no fault is' silent memcheck clean
	try 'valgrind: free' reports 'Invalid write' memcheck free
	try 'valgrind: leak' reports 'definitely lost' memcheck leak
fi
finish
