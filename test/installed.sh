# shellcheck shell=sh disable=SC2034,SC2317
# For the shell tests that look at an installed copy, which source this file: install_it makes it
# below $root, a folder in $dir that goes with the test, and pkg-config and the loader find it there.
: "${MAKE:=make}" "${PKG_CONFIG:=pkg-config}"
: "${libdir?the directories of the installation}" "${pkgconfigdir?}"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
root=$dir/root
export PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_LIBDIR="$root$pkgconfigdir"
# What are the system's folders outside are not so in this root.
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
export LD_LIBRARY_PATH="$root$libdir"
unset MAKEFLAGS MFLAGS MAKELEVEL

install_it() {
	"$MAKE" install DESTDIR="$root"
}
