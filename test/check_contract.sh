#!/bin/sh
# The table of all calls in docs/contract.md: one row for each public function, and the row says
# what the function's header says of it.
#
# The public functions are those in src/libwhorl.map, except names that end in an underscore: the
# block macros' own. A row may name several functions; the first word of a cell counts. What a
# header says of a function is in the first of these that says anything:
#
#	1. the last comment before its declaration: `Suspends: yes` or `no`, `Cancellation point:
#	   yes` or `no`
#	2. a comment before it in its section (a line of dashes begins one) with the same words and
#	   `(all of them)`
#	3. the opening comment of the header: `No call suspends`; `each is a cancellation point` and
#	   `the coroutine suspends until`; `none is a cancellation point` and `none suspends its
#	   caller, except f and g,`
#
# Threads: `any` where the comment says `Any thread, any signal handler`; `free` where the opening
# says `No call needs a runtime` or `this header work alone`; else `loop` for what suspends, is a
# cancellation point, or says `-EPERM outside`. Of the others the row may say `loop` or `free`.
# shellcheck disable=SC2317  # try calls the functions
set -eu
srcdir=${srcdir:-.}
# shellcheck source=test/tap.sh
. "$srcdir/test/tap.sh"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

functions() {
	sed -n 's/^[[:blank:]]*\(\(co\|wheel\)_[a-z0-9_]*[a-z0-9]\);.*/\1/p' "$1"
}

# Of each function that the headers declare: its name, suspends, cancellation point, threads; a
# hyphen where the header does not say.
said() {
	awk '
	function flag(text, what) {
		if (text ~ what ": yes")
			return text ~ what ": no" ? "both" : "yes"
		return text ~ what ": no" ? "no" : ""
	}
	function own(what) {
		return flag(doc, what) != "" ? flag(doc, what) : flag(section, what)
	}
	function suspends(name,	except) {
		if (own("Suspends") != "")
			return own("Suspends")
		if (opening ~ /the coroutine suspends until/)
			return "yes"
		if (match(opening, /none suspends its caller, except [^,]*,/)) {
			except = substr(opening, RSTART, RLENGTH - 1) " "
			return index(except, " " name " ") ? "yes" : "no"
		}
		return opening ~ /No call suspends/ ? "no" : "-"
	}
	function point() {
		if (own("Cancellation point") != "")
			return own("Cancellation point")
		if (opening ~ /each is a cancellation point/)
			return "yes"
		return opening ~ /none is a cancellation point|No call suspends/ ? "no" : "-"
	}
	function threads(waits) {
		if (doc ~ /Any thread, any signal handler/)
			return "any"
		if (opening ~ /No call needs a runtime|this header work alone/)
			return "free"
		return waits || doc ~ /-EPERM outside/ ? "loop" : "-"
	}
	FNR == 1 { opening = section = doc = ""; inside = 0 }
	/^\/\*/ { inside = 1; text = "" }
	inside {
		line = $0
		inside = !sub(/\*\/.*/, "", line)
		sub(/^[ \/]\*/, "", line)
		text = text " " line
		if (inside)
			next
		gsub(/[ \t]+/, " ", text)
		doc = text
		if (opening == "")
			opening = text
		if (text ~ /^ ----/)
			section = ""
		if (text ~ /\(all of them\)/)
			section = text
		next
	}
	/^(CO|WHEEL)_API_ / && match($0, /(co|wheel)_[a-z0-9_]+\(/) {
		name = substr($0, RSTART, RLENGTH - 1)
		waits = suspends(name) == "yes" || point() == "yes"
		print name, suspends(name), point(), threads(waits)
	}' "$@"
}

# The same four words for each function that a row names.
rows() {
	awk -F '|' '
	function word(cell) {
		match(cell, /[a-z]+/)
		return RSTART ? substr(cell, RSTART, RLENGTH) : "-"
	}
	/^## / { here = /All calls/ }
	here && /^\| *`/ {
		n = split($2, name, "`")
		for (i = 2; i <= n; i += 2)
			print name[i], word($3), word($4), word($5)
	}' "$1"
}

# What is wrong in the tree $1: a word for the kind of fault, and where it is.
faults() {
	functions "$1/src/libwhorl.map" >"$dir/functions"
	said "$1"/include/whorl/*.h >"$dir/said"
	rows "$1/docs/contract.md" >"$dir/rows"
	awk '
	function compare(kind, name, row, header) {
		if (row != header)
			print kind, name ": the row says " row ", the header " header
	}
	FILENAME == ARGV[1] { public[$1] = 1; next }
	FILENAME == ARGV[2] { suspends[$1] = $2; point[$1] = $3; threads[$1] = $4; next }
	!($1 in public) { print "unknown", $1; next }
	rows[$1]++ { print "doubled", $1; next }
	$1 in point {
		compare("suspends", $1, $2, suspends[$1])
		compare("point", $1, $3, point[$1])
		if (threads[$1] != "-")
			compare("threads", $1, $4, threads[$1])
		else if ($4 != "loop" && $4 != "free")
			print "threads", $1 ": neither loop nor free"
	}
	END {
		for (name in public) {
			if (!rows[name])
				print "missing", name
			if (suspends[name] !~ /^(yes|no)$/ || point[name] !~ /^(yes|no)$/)
				print "silent", name
		}
	}' "$dir/functions" "$dir/said" "$dir/rows"
}

faults "$srcdir" >"$dir/faults"		# no pipe: a fault of its own ends the script
no() {
	none "$(sed -n "s/^$1 //p" "$dir/faults")"
}
try 'headers say of every call if it suspends and if it is a cancellation point' no silent
try 'every public function has a row' no missing
try 'none has two' no doubled
try 'no row names what is no public function' no unknown
try 'rows and headers agree on what suspends' no suspends
try 'rows and headers agree on what is a cancellation point' no point
try 'rows and headers agree on threads' no threads

# Clauses that are not stated exactly once, in order.
clauses() {
	grep -o '^- \*\*C[0-9]*\*\*' "$srcdir/docs/contract.md" | tr -d ' *C-' |
		awk '$1 != NR { print "C" NR ": found C" $1 } END { if (NR != 41) print NR " clauses" }'
}
try 'each clause, C1 to C41, is stated once, in order' none "$(clauses)"

# found KIND FILE EDIT: in a tree whose FILE was changed by the sed command EDIT, such a fault is
# found.
found() {
	rm -rf "$dir/tree"
	mkdir -p "$dir/tree/include/whorl" "$dir/tree/src" "$dir/tree/docs"
	cp "$srcdir"/include/whorl/*.h "$dir/tree/include/whorl"
	cp "$srcdir/src/libwhorl.map" "$dir/tree/src"
	cp "$srcdir/docs/contract.md" "$dir/tree/docs"
	sed "$3" "$srcdir/$2" >"$dir/tree/$2"
	faults "$dir/tree" | grep "^$1 .*co_checkpoint"
}
row='/^| .co_checkpoint/'
try 'found: a row is gone' found missing docs/contract.md "${row}d"
try 'found: a row stands twice' found doubled docs/contract.md "${row}p"
try 'found: a row of no function' found unknown docs/contract.md "${row}s/point/points/"
try 'found: a row that is wrong on suspending' found suspends docs/contract.md "${row}s/no/yes/"
try 'found: a row that is wrong on cancellation' found point docs/contract.md "${row}s/yes/no/"
try 'found: a row that is wrong on threads' found threads docs/contract.md "${row}s/loop/any/"
try 'found: a header that says something else' found point include/whorl/co.h \
	's/Suspends: no. Cancellation point: yes/Suspends: no. Cancellation point: no/'
try 'found: a header that says nothing' found silent include/whorl/co.h \
	's/Suspends: no. Cancellation point: yes//'
try 'found: a function of the map without a row' found missing src/libwhorl.map \
	's/co_checkpoint;/&co_checkpoint_twice;/; s/;co/;\n\tco/'
finish
