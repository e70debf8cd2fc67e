#!/bin/sh
# An installed copy: a stranger's program in C and in C++ finds it by pkg-config, links it shared
# and static, and runs. Uninstalled, nothing is left.
# shellcheck disable=SC2317  # try calls the functions
set -eu
srcdir=${srcdir:-.}
: "${CC:=cc}" "${CXX:=}" "${VERSION?}"
: "${bindir?the directories of the installation}" "${datadir?}" "${libdir?}" "${pkgincludedir?}"
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

# shellcheck source=test/installed.sh
. "$srcdir/test/installed.sh"

cat >"$dir/user.c" <<'USER'
#include <errno.h>
#include <stdio.h>
#include <whorl/co.h>
#include <whorl/wheel.h>

static int slow(void *arg)
{
	(void)arg;
	return co_sleep(CO_SEC(10));
}

static int app(void *arg)
{
	(void)arg;
	return co_timeout(CO_MS(20), slow, NULL) == -ETIMEDOUT ? 0 : 1;
}

int main(void)
{
	static struct wheel wheel;
	int exit_code = -1;

	wheel_init(&wheel, 0);
	if (wheel_count(&wheel) != 0 || co_run(app, NULL, NULL, &exit_code) != 0)
		return 1;
	return exit_code;
}
USER
cp "$dir/user.c" "$dir/user.cc"

version_is() {
	[ "$("$PKG_CONFIG" --modversion whorl)" = "$VERSION" ]
}

# uses COMPILER SOURCE: with the shared library.
uses_shared() {
	# shellcheck disable=SC2046,SC2086
	$1 -o "$dir/user" "$dir/$2" $("$PKG_CONFIG" --cflags --libs whorl) && "$dir/user"
}

uses_static() {
	# shellcheck disable=SC2046,SC2086
	$1 -static -o "$dir/user" "$dir/$2" $("$PKG_CONFIG" --static --cflags --libs whorl) &&
		"$dir/user"
}

# try_static PROMISE COMPILER SOURCE
try_static() {
	echo 'int main(void) { return 0; }' >"$dir/empty.${3##*.}"
	if ! [ -e "$root$libdir/libwhorl.a" ]; then
		skip "$1" 'no static library was installed'
	elif ! $2 -static -o "$dir/empty" "$dir/empty.${3##*.}" >"$dir/said" 2>&1; then
		skip "$1" 'the compiler links nothing statically'
	else
		try "$1" uses_static "$2" "$3"
	fi
}

sleepers_run() {
	"$root$bindir/whorl-sleepers" -n 10 --loops 1 --min-ms 1 --max-ms 2
}

# As gdb does in the real place: below its auto-load folder the library's whole path again.
gdb_loads() {
	mkdir -p "$dir/auto-load$(dirname "$root")"
	ln -s "$root$datadir/gdb/auto-load" "$dir/auto-load$root"
	gdb -nx -batch -iex "add-auto-load-safe-path $dir" \
		-iex "add-auto-load-scripts-directory $dir/auto-load" \
		-ex 'break main' -ex run -ex 'info coroutines' "$dir/user" </dev/null >"$dir/said" 2>&1
	cat "$dir/said"
	grep -q '^No runtime is open' "$dir/said"
}

uninstall_it() {
	"$MAKE" uninstall DESTDIR="$root"
}

# Folders that are not ours alone may stay.
left() {
	find "$root" ! -type d
	[ ! -d "$root$pkgincludedir" ] || echo "$root$pkgincludedir"
}

try 'make install' install_it
try "pkg-config says $VERSION" version_is
try 'whorl-sleepers runs' sleepers_run
try 'a C program, shared' uses_shared "$CC" user.c
if command -v gdb >/dev/null; then
	try 'gdb knows of coroutines' gdb_loads
else
	skip 'gdb knows of coroutines' 'no gdb'
fi
try_static 'a C program, static' "$CC" user.c
if [ -n "$CXX" ]; then
	try 'a C++ program, shared' uses_shared "$CXX" user.cc
	try_static 'a C++ program, static' "$CXX" user.cc
else
	skip 'a C++ program' 'no C++ compiler'
fi
try 'make uninstall' uninstall_it
try 'nothing is left' none "$(left)"
finish
