"""What the contenders in Python share: the command line, the answers, and how a run is repeated.

All of it is as in bench.h. Workloads are coroutine functions here, for asyncio's sake; those of
gevent never suspend in Python's sense.
"""

import array
import json
import os
import sys
import time

LONG_ENOUGH_NS = 300_000_000
PAIRS = 9
NEVER_S = 5000
SLEEPS = 5
MASK = (1 << 64) - 1


class Run:
    """How many operations to do; then, how many were done, and the CPU time of these."""

    def __init__(self, workload, n, seed):
        self.workload = workload
        self.n = n
        self.seed = seed
        self.deadline = False  # of `added`: with it, or without
        self.ops = 0
        self.ns = 0

    def answer(self, **figures):
        print(json.dumps({"workload": self.workload, "n": self.n} | figures))
        leave(0)

    def skip(self, why):
        self.answer(skip=why)


def leave(status):
    """Without unwinding those that sleep for ever."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def require(good, what):
    if not good:
        print("not so:", what, file=sys.stderr)
        leave(1)


# ---------------------------------------------------------------------------------------- running


async def run_until(workload, r, least_ns):
    r.ops = 100
    warm = False
    while True:
        await workload(r)
        require(r.ops > 0 and r.ns > 0, "something was done")
        if warm and r.ns >= least_ns:
            return
        warm = True
        r.ops = int(r.ops * min(max(1.2 * least_ns / r.ns, 1), 16))


async def rate(workload, r):
    await run_until(workload, r, LONG_ENOUGH_NS)
    r.answer(ns=round(r.ns / r.ops, 3), ops=r.ops)


async def added(workload, r):
    r.deadline = True
    await run_until(workload, r, LONG_ENOUGH_NS // PAIRS)
    ops = r.ops
    ns = ([], [])
    for i in range(2 * PAIRS):
        r.deadline = i % 2 == 1
        r.ops = ops
        await workload(r)
        ns[i % 2].append(r.ns / r.ops)
    difference = [b - a for a, b in zip(*ns)]
    without, with_it, more = (round(sorted(v)[PAIRS // 2], 3) for v in (*ns, difference))
    r.answer(ns=more, **{"with": with_it, "without": without})


async def own(workload, r):
    await workload(r)


# -------------------------------------------------------------------------------------- workloads


class Yielders:
    """See workloads.h: `extra` counts the turns of those that are done."""

    def __init__(self, r):
        self.n = r.n
        self.rounds = r.ops // r.n + 1
        self.begun = self.done = self.extra = self.begin = self.end = 0

    def one_begun(self):
        self.begun += 1
        if self.begun == self.n:
            self.begin = time.process_time_ns()

    def one_done(self):
        self.done += 1
        if self.done == self.n:
            self.end = time.process_time_ns()

    def result(self, r):
        require(self.done == self.n, "all are done")
        require(self.extra <= (self.rounds + 1) * self.n, "all had turns")
        r.ops = self.rounds * self.n + self.extra
        r.ns = self.end - self.begin


def memory_now():
    """Bytes of resident memory and of the page tables that map it."""
    with open("/proc/self/status", encoding="ascii") as status:
        fields = dict(line.split(":", 1) for line in status)
    return sum(int(fields[name].split()[0]) for name in ("VmRSS", "VmPTE")) * 1024


def draw_ns(seed, i):
    """Nanoseconds of sleep number i: output i of SplitMix64, scaled to 100..1000 ms."""
    z = (seed + (i + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    z ^= z >> 31
    return (100000 + ((z >> 32) * 900001 >> 32)) * 1000


def long_s(i):
    return draw_ns(1, i) / 1e5


class Sleepers:
    """The times are drawn before the run, as drawing them in Python costs more than sleeping."""

    def __init__(self, r):
        if r.n > 100000:
            r.skip("minutes of CPU for some seconds of sleep")
        self.n = r.n
        self.sleep_ns = array.array("q", (draw_ns(r.seed, i) for i in range(r.n * SLEEPS)))
        self.late_ns = array.array("q", [-1]) * (r.n * SLEEPS)
        self.wakes = 0
        self.start = self.spawned = time.process_time()

    def all_spawned(self):
        self.spawned = time.process_time()

    def woken(self, deadline_ns):
        self.late_ns[self.wakes] = time.monotonic_ns() - deadline_ns
        self.wakes += 1

    def answer(self, r):
        cpu = time.process_time() - self.start
        spawn_cpu = self.spawned - self.start
        require(self.wakes == self.n * SLEEPS, "all were woken")
        late = sorted(self.late_ns)
        early = sum(ns < 0 for ns in late)
        r.answer(
            cpu_s=round(cpu, 4),
            spawn_cpu_s=round(spawn_cpu, 4),
            after_cpu_s=round(cpu - spawn_cpu, 4),
            late_us=[
                [percent, late[(len(late) * int(percent * 10) + 999) // 1000 - 1] / 1000]
                for percent in (50, 90, 99, 99.9, 100)
            ],
            early=early,
            most_early_us=-late[0] / 1000 if early else 0.0,
        )


# ----------------------------------------------------------------------------------- command line


def main(name, version, note, workloads, start):
    """workloads: {name: (kind, function)}. start(coroutine) runs it to its end."""
    arguments = sys.argv[1:]
    if arguments == ["--list"]:
        who = dict(name=name, version=version, kind="coroutines")
        print(json.dumps(who | dict(workloads=list(workloads), note=note)))
        return
    if len(arguments) not in (2, 3) or not all(word.isdigit() for word in arguments[1:]):
        print(f"usage: {sys.argv[0]} --list | WORKLOAD N [SEED]", file=sys.stderr)
        sys.exit(2)
    r = Run(arguments[0], int(arguments[1]), int(arguments[2]) if len(arguments) > 2 else 1)
    if r.workload not in workloads:
        r.skip("it has no such thing")
    kind, workload = workloads[r.workload]
    start(kind(workload, r))
