#!/usr/bin/env python3
"""Says what moved between two results, beyond the noise: compare.py A B, files or their folders.

A figure moved if its medians differ by more than 3 %, by more than twice the sum of both MADs, and
if the ranges of the runs do not overlap. Below, what did not change ought to show 1.00:
the middle of all ratios of the peers is how much the machine itself differed."""

import statistics
import sys

import results

FLOOR = 0.03
MADS = 2


FEWEST = 3


def moved(a, b):
    """1.1 if b takes 1.1 times as much as a does; None if that may be noise."""
    if a["median"] <= 0 or b["median"] <= 0:
        return None
    difference = abs(a["median"] - b["median"])
    apart = a["max"] < b["min"] or b["max"] < a["min"]
    beyond = difference > max(FLOOR * a["median"], MADS * (a["mad"] + b["mad"]))
    return b["median"] / a["median"] if apart and beyond else None


def rows(a, b, figures):
    """(cell, figure, its spread in a and b, number of runs) for all that both have."""
    ours, theirs = results.index(a), results.index(b)
    for key, cell in ours.items():
        other = theirs.get(key, {})
        figure = figures.get((cell["kind"], cell["workload"]))
        if figure in cell.get("figures", {}) and figure in other.get("figures", {}):
            runs = min(cell["runs"], other["runs"])
            yield cell, figure, cell["figures"][figure], other["figures"][figure], runs


def main():
    if len(sys.argv) != 3:
        print("usage: compare.py A B", file=sys.stderr)
        return 2
    a, b = results.load(sys.argv[1]), results.load(sys.argv[2])
    figures = {(w["kind"], w["name"]): w["figure"]
               for w in results.table("workloads.json")["workloads"]}
    for key in ("cpu", "kernel", "compiler"):
        if a["machine"].get(key) != b["machine"].get(key):
            print(f"not the same {key}: {a['machine'].get(key)} / {b['machine'].get(key)}")
    count, few, found, peers = 0, 0, [], []
    for cell, figure, before, after, runs in rows(a, b, figures):
        if runs < FEWEST:
            few += 1
            continue
        count += 1
        ratio = moved(before, after)
        if ratio:
            found.append((ratio, cell, figure, before, after))
        if not cell["contender"].startswith("whorl") and before["median"] > 0:
            peers.append(after["median"] / before["median"])
    for ratio, cell, figure, before, after in sorted(found, key=lambda f: f[0]):
        print(f"{cell['workload']:16} {results.short_number(cell['n']):>5}  "
              f"{cell['contender']:14} {results.text(before['median']):>9} -> "
              f"{results.text(after['median']):>9} {figure:6} {ratio:6.2f}  "
              f"{'slower' if ratio > 1 else 'faster'}")
    print(f"{len(found)} of {count} figures moved", end="")
    print(f"; the peers as a whole: {statistics.median(peers):.2f}" if peers else "")
    if few:
        print(f"{few} figures of less than {FEWEST} runs cannot be judged")
    gone = [k for k in results.index(a) if k not in results.index(b)]
    if gone:
        print(f"{len(gone)} cells of the first are not in the second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
