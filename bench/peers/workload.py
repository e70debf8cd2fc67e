"""The part of the sleepers workload that asyncio and gevent share: options, sleeping times, report.

The same options, times and JSON fields as whorl-sleepers. The times are drawn, and the memory for
what is measured is taken, before the run: the figures are those of sleeping.
"""

import argparse
import array
import json
import sys
import time

TIMEOUT_EVERY = 10  # one sleep in so many is cut short
SAMPLE_EVERY_S = 0.2  # of memory
MASK = (1 << 64) - 1


def draw_us(seed, n, min_us, max_us):
    """Microseconds of sleep number n: output n of SplitMix64, scaled."""
    z = (seed + (n + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    z ^= z >> 31
    return min_us + ((z >> 32) * (max_us - min_us + 1) >> 32)


def memory_kib():
    """Resident memory and the page tables that map it."""
    with open("/proc/self/status", encoding="ascii") as status:
        fields = dict(line.split(":", 1) for line in status)
    return sum(int(fields[name].split()[0]) for name in ("VmRSS", "VmPTE"))


class Mark:
    """A point of the run, in seconds."""

    def __init__(self):
        self.wall = time.monotonic()
        self.cpu = time.process_time()


def number(least, most):
    def parse(text):
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"a number from {least} to {most}, not {text!r}")
        return int(text)

    return parse


def parse_options():
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("-n", "--coroutines", type=number(1, 10**8), default=10000)
    parser.add_argument("--loops", type=number(1, 10**6), default=5)
    parser.add_argument("--min-ms", type=number(0, 3600000), default=100)
    parser.add_argument("--max-ms", type=number(0, 3600000), default=1000)
    parser.add_argument("--seed", type=number(0, MASK), default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.min_ms > options.max_ms:
        parser.error(f"--min-ms {options.min_ms} is more than --max-ms {options.max_ms}")
    return options


class Job:
    """sleep_ns[n] says how long sleep n of the run lasts; late_ns[n] takes by how much it was late,
    and shows an early wake until then.

    Sleep n is number n % loops of coroutine n // loops. The program adds up `due` and `caught`,
    keeps `alive` (the coroutines that have begun and not ended), and calls started, all_spawned,
    sample_memory and ended.
    """

    def __init__(self, program, version):
        self.program = program
        self.version = version
        self.options = o = parse_options()
        times = range(o.coroutines * o.loops)
        self.sleep_ns = array.array(
            "q", (1000 * draw_us(o.seed, n, 1000 * o.min_ms, 1000 * o.max_ms) for n in times)
        )
        self.late_ns = array.array("q", [-1]) * len(times)
        self.due = 0
        self.caught = 0
        self.alive = 0
        self.memory_peak = None

    def cut_short(self, coroutine, loop):
        return (coroutine + loop) % TIMEOUT_EVERY == 0

    def started(self):
        self.memory_before = memory_kib()
        self.start = Mark()

    def all_spawned(self):
        self.spawned = Mark()

    def sample_memory(self):
        """Counts only while all coroutines live: else nobody knows how many share it."""
        if self.alive == self.options.coroutines:
            self.memory_peak = max(self.memory_peak or 0, memory_kib())

    def bytes_per_coroutine(self):
        """None if they never lived all at once: the first had ended before the last began."""
        if self.memory_peak is None:
            return None
        return (self.memory_peak - self.memory_before) * 1024 // self.options.coroutines

    def ended(self):
        self.end = Mark()

    def result(self):
        o = self.options
        late = sorted(self.late_ns)

        def quantile(per_mille):
            return max(late[(len(late) * per_mille + 999) // 1000 - 1], 0)

        return {
            "program": self.program,
            "version": self.version,
            "allocator": "pymalloc",
            "coroutines": o.coroutines,
            "loops": o.loops,
            "min_ms": o.min_ms,
            "max_ms": o.max_ms,
            "seed": o.seed,
            "wall_s": round(self.end.wall - self.start.wall, 6),
            "wall_after_spawn_s": round(self.end.wall - self.spawned.wall, 6),
            "cpu_s": round(self.end.cpu - self.start.cpu, 6),
            "cpu_after_spawn_s": round(self.end.cpu - self.spawned.cpu, 6),
            "bytes_per_coroutine": self.bytes_per_coroutine(),
            "guards_madvise": None,
            "guards_mprotect": None,
            "guards_canary": None,
            "wakes": len(late),
            "lateness_p50_ns": quantile(500),
            "lateness_p90_ns": quantile(900),
            "lateness_p99_ns": quantile(990),
            "lateness_p99_9_ns": quantile(999),
            "lateness_max_ns": quantile(1000),
            "early": sum(ns < 0 for ns in late),
            "earliest_ns": max(-late[0], 0),
            "timeouts_due": self.due,
            "timeouts_caught": self.caught,
            "histogram": histogram(late),
        }

    def report(self):
        """Prints the result; returns the exit status."""
        result = self.result()
        if self.options.json:
            print(json.dumps(result, indent=2))
        else:
            for name, value in result.items():
                print(f"{name:20} {value}")
        return int(result["early"] > 0 or self.caught != self.due)


def histogram(late):
    """Counts by rows that end at 1, 2, 5, 10, ... us, from the first to the last that has any."""
    ends = [digit * 10**decade for decade in range(3, 15) for digit in (1, 2, 5)]
    counts = [0] * len(ends)
    row = 0
    for ns in late:
        while row < len(ends) - 1 and ns >= ends[row]:
            row += 1
        counts[row] += 1
    used = [row for row, count in enumerate(counts) if count]
    return [
        {"below_ns": ends[row], "wakes": counts[row]} for row in range(used[0], used[-1] + 1)
    ]
