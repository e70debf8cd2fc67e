#!/usr/bin/env python3
"""Runs the contenders and writes what they measured to results.json. bench/README.md says how."""

import argparse
import datetime
import glob
import json
import os
import platform
import re
import resource
import signal
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = ("limits", "timers", "coroutines")
NO_FIGURES = ("n", "seed", "run_cpu_s", "operations", "ops")
PACKAGES = ("libev4 libuv1 libevent-core-2.1-7 libboost-context1.74.0 libboost-fiber1.74.0 libst1 "
            "libpth20 golang-go python3 python3-gevent libc6").split()


def output(*command, cwd=None):
    """The first line of what a command prints, or None."""
    try:
        done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return (done.stdout.splitlines() or [None])[0]


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def field(path, key):
    """The first value of "key : value" lines."""
    found = re.search(rf"^{re.escape(key)}\s*:\s*(.*)$", read(path) or "", re.MULTILINE)
    return found and found.group(1)


def caches():
    found = []
    for index in sorted(glob.glob("/sys/devices/system/cpu/cpu0/cache/index*")):
        kind = {"Data": "d", "Instruction": "i"}.get(read(index + "/type"), "")
        found.append(f"L{read(index + '/level')}{kind} {read(index + '/size')}")
    return found


def packages():
    versions = {}
    for package in PACKAGES:
        version = output("dpkg-query", "-W", "-f", "${Version}\n", package)
        if version:
            versions[package] = version
    return versions


def machine(cpu):
    return {
        "cpu": field("/proc/cpuinfo", "model name") or platform.machine(),
        "cpus": os.cpu_count(),
        "pinned_to": cpu,
        "virtual": "hypervisor" in (field("/proc/cpuinfo", "flags") or "").split(),
        "caches": caches(),
        "memory_kb": int((field("/proc/meminfo", "MemTotal") or "0").split()[0]),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "compiler": output(os.environ.get("CC", "cc"), "--version"),
        "huge_pages": read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "packages": packages(),
        "load_before": os.getloadavg()[0],
    }


def contenders(programs):
    """(path, what --list says) of each program, ours first; and the lines of `missing`."""
    found = []
    paths = [p for kind in KINDS for p in sorted(glob.glob(os.path.join(programs, kind, "*")))]
    for path in paths:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            said = subprocess.run([path, "--list"], stdout=subprocess.PIPE, text=True, check=True)
            found.append((path, json.loads(said.stdout)))
    found.sort(key=lambda c: (not c[1]["name"].startswith("whorl"), c[1]["name"]))
    lacking = []
    for line in (read(os.path.join(programs, "missing")) or "").splitlines():
        kind, name, needs = line.split(None, 2)
        lacking.append({"kind": kind, "name": name, "needs": needs})
    return found, lacking


class Progress:
    """A bar on a terminal, otherwise a line for each workload."""

    def __init__(self, total):
        self.total, self.done, self.began, self.last = total, 0, time.monotonic(), None

    def show(self, cell, name):
        text = f"{cell['kind']} {cell['workload']} {cell['n']}"
        if not sys.stderr.isatty():
            if text != self.last:
                print(f"{100 * self.done // self.total:3} %  {text}", file=sys.stderr, flush=True)
            self.last = text
            return
        part = self.done / self.total
        left = (time.monotonic() - self.began) * (1 / part - 1) if part > 0.02 else None
        bar = "#" * round(30 * part)
        when = "" if left is None else f"  {int(left) // 60}:{int(left) % 60:02} left"
        print(f"\r[{bar:30}] {100 * part:3.0f} %{when}  {text} {name}\033[K", end="",
              file=sys.stderr, flush=True)

    def end(self):
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def plan(table, found, which, options):
    """Cells: a workload at an N, and the contenders that have it."""
    cells = []
    for work in table["workloads"]:
        having = [c for c in found
                  if c[1]["kind"] == work["kind"] and work["name"] in c[1]["workloads"]]
        if not having or not re.search(options.only, work["name"]):
            continue
        repetitions = options.repetitions or work.get(which + "_repetitions",
                                                      table["repetitions"][which])
        for n in work[which]:
            if options.sizes and n not in options.sizes:
                continue
            cells.append({"kind": work["kind"], "workload": work["name"], "n": n,
                          "contenders": having, "repetitions": repetitions})
    return cells


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_once(path, cell, seed, cpu, timeout):
    """What the program said, or {"error": why}."""
    try:
        done = subprocess.run([path, cell["workload"], str(cell["n"]), str(seed)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=timeout, preexec_fn=lambda: os.sched_setaffinity(0, [cpu]))
    except subprocess.TimeoutExpired:
        return {"error": f"no end after {timeout} s"}
    if done.returncode != 0:
        why = done.stderr.strip() or f"status {done.returncode}"
        return {"error": why.splitlines()[-1]}
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {"error": "no JSON: " + done.stdout[:80]}


def run_all(cells, cpu, table, runs, keep):
    """Adds the runs of all cells that are not there yet. A repetition goes through all of them, so that the
    noise of an hour falls on all alike, and is kept when it is through, so that a run cut short loses
    none. In each cell each contender has its turn, and who begins moves on by one. What was skipped or
    failed is not tried again, nor what takes so long that it is a mean of its own."""
    progress = Progress(sum(len(c["contenders"]) * c["repetitions"] for c in cells))
    there = {(*key_of(run), run["seed"]) for run in runs}
    done_with = {key_of(run) for run in runs if enough(run, table)}
    for repetition in range(max((c["repetitions"] for c in cells), default=0)):
        for cell in (c for c in cells if repetition < c["repetitions"]):
            shift = repetition % len(cell["contenders"])
            for path, who in cell["contenders"][shift:] + cell["contenders"][:shift]:
                progress.show(cell, who["name"])
                progress.done += 1
                key = (cell["kind"], who["name"], cell["workload"], cell["n"])
                if key in done_with or (*key, repetition + 1) in there:
                    continue
                used = children_cpu()
                said = run_once(path, cell, repetition + 1, cpu, table["timeout_s"])
                used = children_cpu() - used
                runs.append({"kind": cell["kind"], "contender": who["name"], **said,
                             "workload": cell["workload"], "n": cell["n"],
                             "seed": repetition + 1, "run_cpu_s": round(used, 3)})
                if enough(runs[-1], table):
                    done_with.add(key)
        keep()
    progress.end()


def key_of(run):
    return run["kind"], run["contender"], run["workload"], run["n"]


def enough(run, table):
    return "error" in run or "skip" in run or run["run_cpu_s"] > table["once_s"]


def compare_checks(runs):
    """Contenders that were given the same work must have done the same."""
    groups = {}
    for run in runs:
        if "check" in run:
            key = (run["kind"], run["workload"], run["n"], run["seed"])
            groups.setdefault(key, []).append(run)
    for group in groups.values():
        usual = statistics.mode((r["check"], r["expired"]) for r in group)
        for run in group:
            if (run["check"], run["expired"]) != usual:
                run["error"] = "its check differs from that of most"


def spread(values):
    middle = statistics.median(values)
    return {"median": middle, "min": min(values), "max": max(values),
            "mad": statistics.median(abs(v - middle) for v in values)}


def late_spread(runs):
    """The medians of each percentile."""
    return [[percentile, statistics.median(dict(map(tuple, r["late_us"]))[percentile]
                                           for r in runs)]
            for percentile, _ in runs[0]["late_us"]]


def summary(runs):
    """A cell for each contender, workload and N, with the median and spread of every number."""
    groups = {}
    for run in runs:
        groups.setdefault(key_of(run), []).append(run)
    cells = []
    for (kind, contender, workload, n), group in groups.items():
        cell = {"kind": kind, "workload": workload, "n": n, "contender": contender}
        wrong = [r for r in group if "error" in r]
        if wrong:
            cell["error"] = wrong[0]["error"]
        elif "skip" in group[0]:
            cell["skip"] = group[0]["skip"]
        else:
            cell["runs"] = len(group)
            cell["figures"] = {
                key: spread([r[key] for r in group]) for key, value in group[0].items()
                if isinstance(value, (int, float)) and key not in NO_FIGURES}
            if "late_us" in group[0]:
                cell["late_us"] = late_spread(group)
        cells.append(cell)
    return cells


def lines_of(results):
    """JSON with a line for each cell and each run, so that two results can be told apart."""
    def text(value):
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return "[\n  " + ",\n  ".join(json.dumps(item) for item in value) + "]"
        return json.dumps(value)
    return "{" + ",\n ".join(f"{json.dumps(k)}: {text(v)}" for k, v in results.items()) + "}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, help="where results.json goes")
    parser.add_argument("--full", action="store_true", help="all sizes; nothing may be missing")
    parser.add_argument("--short", action="store_true", help="some sizes (what it does anyway)")
    parser.add_argument("--only", default="", metavar="REGEX", help="workloads by name")
    parser.add_argument("--sizes", type=lambda text: [int(float(n)) for n in text.split(",")],
                        metavar="N,...", help="only these")
    parser.add_argument("--repetitions", type=int, metavar="K", help="K runs of each")
    parser.add_argument("--continue", dest="go_on", action="store_true",
                        help="with the results of a run of this commit that was cut short")
    parser.add_argument("programs", help="the folder that contenders.mk filled")
    options = parser.parse_args()
    which = "full" if options.full else "short"

    with open(os.path.join(HERE, "workloads.json"), encoding="utf-8") as file:
        table = json.load(file)
    cpu = max(os.sched_getaffinity(0))
    found, missing = contenders(options.programs)
    results = {
        "schema": 1, "set": which,
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": output("git", "describe", "--always", "--dirty", cwd=HERE),
        "machine": machine(cpu),
        "contenders": [who for _, who in found], "missing": missing,
    }
    runs = []
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, "results.json")
    if options.go_on:
        with open(path, encoding="utf-8") as file:
            before = json.load(file)
        if before["commit"] != results["commit"]:
            parser.error(f"{path} is of commit {before['commit']}, not {results['commit']}")
        runs = before["runs"]
        results["date"] = before["date"]
    began = time.monotonic() - (before["seconds"] if options.go_on else 0)

    def keep():
        compare_checks(runs)
        results["seconds"] = round(time.monotonic() - began, 1)
        results["machine"]["load_after"] = os.getloadavg()[0]
        results["cells"] = summary(runs)
        results["runs"] = runs
        with open(path, "w", encoding="utf-8") as file:
            file.write(lines_of(results))

    results["interrupted"] = True
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run_all(plan(table, found, which, options), cpu, table, runs, keep)
        del results["interrupted"]
    except KeyboardInterrupt:
        pass
    keep()

    wrong = [c for c in results["cells"] if "error" in c]
    for cell in wrong:
        print(f"{cell['contender']} {cell['workload']} {cell['n']}: {cell['error']}",
              file=sys.stderr)
    for lack in missing:
        print(f"missing: {lack['kind']} {lack['name']} (needs {lack['needs']})", file=sys.stderr)
    print(path)
    return 1 if wrong or (options.full and missing) or "interrupted" in results else 0


if __name__ == "__main__":
    sys.exit(main())
