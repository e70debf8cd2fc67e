"""What the report and the comparison know of results.json (its fields: bench/README.md)."""

import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))

# Noise only adds to the longest of many calls, so of several runs the least is the figure.
LEAST_COUNTS = ("spike_ns", "step_ns")


def load(path):
    """Of a file, or of the results.json in a folder."""
    if os.path.isdir(path):
        path = os.path.join(path, "results.json")
    with open(path, encoding="utf-8") as file:
        results = json.load(file)
    if results.get("schema") != 1:
        raise SystemExit(f"{path}: schema {results.get('schema')} is none that is known here")
    return results


def table(name):
    """workloads.json or goals.json."""
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return json.load(file)


def index(results):
    """Cells by (kind, workload, n, contender)."""
    return {(c["kind"], c["workload"], c["n"], c["contender"]): c for c in results["cells"]}


def value(cell, figure):
    """A cell's figure, None if it has none; "late_us 99" is the 99th percentile, and a name that
    ends in "/1000" a thousandth."""
    if cell is None:
        return None
    if figure.endswith("/1000"):
        whole = value(cell, figure[:-len("/1000")])
        return whole and whole / 1000
    if figure.startswith("late_us "):
        return dict(map(tuple, cell.get("late_us", []))).get(float(figure.split()[1]))
    spread = cell.get("figures", {}).get(figure)
    return spread and spread["min" if figure in LEAST_COUNTS else "median"]


def short_number(n):
    for unit, size in (("M", 1000000), ("k", 1000)):
        if n >= size and n % size == 0:
            return f"{n // size}{unit}"
    return str(n)


def text(number):
    """Three digits, thousands apart; a whole number as it is."""
    if number is None:
        return "–"
    if abs(number) < 1:
        return f"{number:.3g}"
    digits = 0 if abs(number) >= 100 or number == int(number) else 1 if abs(number) >= 10 else 2
    return f"{number:,.{digits}f}".replace(",", "\u202f")
