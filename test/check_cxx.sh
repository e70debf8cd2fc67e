#!/bin/sh
# <whorl/co.hpp> as its users compile it: test_co_hpp.cc passes with each compiler and standard that
# is here, and to drop a result that must be looked at is a warning, as in C (S258).
# shellcheck disable=SC2317  # try calls the functions
set -eu
srcdir=${srcdir:-.}
: "${CXX:=}"
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# builds COMPILER STANDARD FLAG...
builds() {
	compiler=$1 standard=$2
	shift 2
	"$compiler" "-std=$standard" -Wall -Wextra -Wshadow -Werror -DWHORL_CHECK_MINI \
		-I"$srcdir/include" "$srcdir/test/test_co_hpp.cc" "$@"
}

# Without optimisation, so that what is inline is there for its own sake.
passes() {
	builds "$1" c++17 -o "$dir/suite" -L.libs -lwhorl -pthread &&
		LD_LIBRARY_PATH=.libs "$dir/suite"
}

# A call a line.
cat >"$dir/marked" <<'END'
whorl::scope();
whorl::scope(1s);
whorl::group();
whorl::spawn(f);
whorl::timeout(1s, f);
whorl::with_group(body);
whorl::work(f);
s.end(0);
g.spawn(f);
g.wait();
g.end();
ch.open(1);
ch.send(i);
ch.recv(i);
ch.trysend(i);
ch.tryrecv(i);
END
cat >"$dir/free" <<'END'
whorl::run(f);
whorl::shield(1s, f);
whorl::check(0);
s.cancel();
s.rearm(1s);
g.cancel();
ch.close();
END

# warned COMPILER STANDARD FILE: the lines of FILE that are warned of.
warned() {
	{
		printf '%s\n' '#include <whorl/co.hpp>' 'using namespace std::chrono_literals;' \
			'int f(); int body(whorl::group &);' \
			'void uses(whorl::scope &, whorl::group &, whorl::channel<int> &, int);' \
			'void uses(whorl::scope &s, whorl::group &g, whorl::channel<int> &ch, int i)' \
			'{ (void)s; (void)g; (void)ch; (void)i;' '#line 1 "uses"'
		cat "$dir/$3"
		echo '}'
	} >"$dir/uses.cc"
	"$1" "-std=$2" -Wall -Wextra -I"$srcdir/include" -fsyntax-only "$dir/uses.cc" \
		>"$dir/heard" 2>&1 || { cat "$dir/heard"; return 1; }
	sed -n 's/^uses:\([0-9]*\):.*warning:.*/\1/p' "$dir/heard" | sort -nu
}

# warns_of LINES COMPILER STANDARD FILE
warns_of() {
	of=$1
	shift
	said=$(warned "$@") && [ "$said" = "$of" ] || { printf '%s\n' "$said"; return 1; }
}

[ -n "$CXX" ] || skip 'the suite in C++' 'no C++ compiler'
each=$(awk '{ print NR }' "$dir/marked")
for by in $(present "$CXX" g++ clang++); do
	try "the suite passes as c++17 by $by" passes "$by"
	try "it is c++20 for $by" builds "$by" c++20 -fsyntax-only
	for as in c++17 c++20; do
		try "each that must be looked at, dropped as $as by $by" warns_of "$each" "$by" $as marked
		try "those that may be dropped as $as by $by" warns_of '' "$by" $as free
	done
done
finish
