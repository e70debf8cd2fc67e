#!/bin/sh
# Runs the sleepers workload on Whorl, asyncio and gevent, one after the other, with the options
# given (those of whorl-sleepers), and prints their figures and how many times ours they are.
#
# WHORL_SLEEPERS: our program (whorl-sleepers, found in PATH). PYTHON: the peers' interpreter
# (/usr/bin/python3, for which distributions package gevent, or else the python3 in PATH).
# Exit status: that of our program; 2 if the options are wrong.
set -u

here=$(cd -- "$(dirname -- "$0")" && pwd) || exit 1
whorl=${WHORL_SLEEPERS:-whorl-sleepers}
python=${PYTHON:-/usr/bin/python3}
[ -x "$python" ] || python=$(command -v python3)

for option in "$@"; do
	case $option in
	-h | --help) exec "$whorl" --help ;;
	esac
done

results=$(mktemp -d) || exit 1
trap 'rm -rf "$results"' EXIT
trap 'exit 130' INT TERM

"$whorl" "$@" --json >"$results/whorl"
status=$?
if ! [ -s "$results/whorl" ]; then	# usage, or the run failed: it has said why
	exit "$status"
fi

# peer NAME [OPTION...]: leaves JSON, or a word that tells why there is none
peer() {
	name=$1
	shift
	[ -t 2 ] && printf '\r%s ...\033[K' "$name" >&2
	if ! [ -x "$python" ] || ! "$python" -c "import $name" 2>/dev/null; then
		echo missing >"$results/$name"
		return
	fi
	"$python" -B "$here/peers/sleepers_$name.py" "$@" --json >"$results/$name"
	[ -s "$results/$name" ] || echo failed >"$results/$name"
}
peer asyncio "$@"
peer gevent "$@"
[ -t 2 ] && printf '\r\033[K' >&2

# Reads JSON of one field a line. A column for each program, each but ours with one of ratios.
awk '
FNR == 1 { file[++programs] = FILENAME; name[programs] = FILENAME; sub(/.*\//, "", name[programs]) }
FNR == 1 && /^[a-z]/ { absent[programs] = $1 }
/^  "[a-z0-9_]+": [0-9]/ { key = $1; gsub(/[":]/, "", key); field[programs, key] = $2 + 0 }

function row(label, key, unit, format, with_ratio) {
	line = sprintf("%-28s", label)
	for (p = 1; p <= programs; p++) {
		value = p in absent ? absent[p] : "-"
		times = ""
		if ((p, key) in field) {
			value = sprintf(format, field[p, key] / unit)
			if (with_ratio && field[1, key] > 0)
				times = sprintf("%.1f", field[p, key] / field[1, key])
		}
		line = line sprintf("%10s", value)
		if (p > 1)
			line = line sprintf("%8s", times)
	}
	sub(/ +$/, "", line)
	print line
}

END {
	printf "%d coroutines, %d sleeps each of %d..%d ms, seed %d\n\n", field[1, "coroutines"],
		field[1, "loops"], field[1, "min_ms"], field[1, "max_ms"], field[1, "seed"]
	printf "%-28s%10s", "", name[1]
	for (p = 2; p <= programs; p++)
		printf "%10s%8s", name[p], "x ours"
	printf "\n"
	row("CPU, s", "cpu_s", 1, "%.3f", 1)
	row("CPU after spawning, s", "cpu_after_spawn_s", 1, "%.3f", 1)
	row("wall clock, s", "wall_s", 1, "%.3f", 1)
	row("memory a coroutine, bytes", "bytes_per_coroutine", 1, "%d", 1)
	row("lateness p50, ms", "lateness_p50_ns", 1e6, "%.3f", 1)
	row("lateness p90, ms", "lateness_p90_ns", 1e6, "%.3f", 1)
	row("lateness p99, ms", "lateness_p99_ns", 1e6, "%.3f", 1)
	row("lateness max, ms", "lateness_max_ns", 1e6, "%.3f", 1)
	row("early wakes", "early", 1, "%d", 0)
	row("timeouts due", "timeouts_due", 1, "%d", 0)
	row("timeouts caught", "timeouts_caught", 1, "%d", 0)
	for (p = 1; p <= programs; p++)
		if (!(p in absent) && !((p, "bytes_per_coroutine") in field))
			printf "\n%s: memory unknown, for the first coroutine ended before the last began\n",
				name[p]
}' "$results/whorl" "$results/asyncio" "$results/gevent"
exit "$status"
