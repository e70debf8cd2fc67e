#!/usr/bin/env python3
"""Makes report.html beside results.json: a page that needs nothing else. report.py RESULTS"""

import html
import math
import os
import sys

import plots
import results

STYLE = """
body { font: 15px/1.5 system-ui, "Helvetica Neue", Arial, sans-serif; color: #222;
  max-width: 1160px; margin: 32px auto; padding: 0 20px; background: #fff; }
h1 { font-size: 26px; font-weight: 600; margin: 0 0 4px; }
h2 { font-size: 20px; font-weight: 600; margin: 44px 0 6px; padding-top: 14px;
  border-top: 1px solid #ddd; }
h3 { font-size: 16px; font-weight: 600; margin: 26px 0 0; }
h3 code { color: #777; font-weight: 400; margin-left: 6px; }
p { margin: 2px 0 8px; max-width: 800px; }
.dim { color: #777; }
.row { display: flex; flex-wrap: wrap; gap: 8px 28px; align-items: flex-start; }
.row svg { flex: none; margin-top: 6px; }
.row div { flex: 1; min-width: 420px; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums;
  margin: 10px 0; }
th { font-weight: 600; text-align: right; padding: 3px 10px; border-bottom: 1px solid #bbb; }
td { text-align: right; padding: 2px 10px; border-bottom: 1px solid #eee; white-space: nowrap; }
th:first-child, td:first-child, .left { text-align: left; }
td.left { white-space: normal; }
tr.ours { background: #f2f6fb; }
td small { color: #888; display: inline-block; min-width: 40px; }
.met { color: #2e7d32; } .missed { color: #b3261e; }
summary { cursor: pointer; color: #1257a6; margin: 6px 0; }
"""
UNITS = {"ns": "ns", "bytes": "bytes", "cpu_s": "CPU s"}


def escaped(text):
    return html.escape(str(text))


def tag(name, inner, **attributes):
    said = "".join(f' {k.rstrip("_")}="{escaped(v)}"' for k, v in attributes.items())
    return f"<{name}{said}>{inner}</{name}>"


def grid(head, body, left=1):
    """A table; body: (cells, class of the row)."""
    kind = lambda i: {"class_": "left"} if i < left else {}
    rows = [tag("tr", "".join(tag("th", h, **kind(i)) for i, h in enumerate(head)))]
    for cells, ours in body:
        inner = "".join(c if c.startswith("<td") else tag("td", c, **kind(i))
                        for i, c in enumerate(cells))
        rows.append(tag("tr", inner, **({"class_": ours} if ours else {})))
    return tag("table", "\n".join(rows))


class Report:
    def __init__(self, data):
        self.data = data
        self.cells = results.index(data)
        self.works = results.table("workloads.json")["workloads"]
        self.goals = results.table("goals.json")

    # ------------------------------------------------------------------------------ what is where

    def names(self, kind):
        return [c["name"] for c in self.data["contenders"] if c["kind"] == kind]

    def sizes(self, kind, workload):
        return sorted({k[2] for k in self.cells if k[:2] == (kind, workload)})

    def value(self, kind, workload, n, name, figure):
        return results.value(self.cells.get((kind, workload, n, name)), figure)

    def title(self, kind, workload):
        return next((w["title"] for w in self.works
                     if (w["kind"], w["name"]) == (kind, workload)), workload)

    # -------------------------------------------------------------------------------------- head

    def head(self):
        data, machine = self.data, self.data["machine"]
        about = [
            f"{machine['cpus']} CPUs, {machine['cpu']}" +
            (" (virtual)" if machine.get("virtual") else ""),
            ", ".join(machine["caches"]),
            f"{machine['memory_kb'] / 1048576:.1f} GiB",
            f"Linux {machine['kernel']}", machine.get("libc"), machine.get("compiler"),
            f"load {machine['load_before']:.1f} before, {machine['load_after']:.1f} after",
        ]
        out = [tag("h1", "Whorl beside its peers"),
               tag("p", escaped(f"{data['date']}, commit {data['commit']}, {data['set']} set, "
                                f"{data['seconds'] / 60:.1f} minutes"), class_="dim"),
               tag("p", escaped("; ".join(a for a in about if a)), class_="dim")]
        rows = [([escaped(c["name"]), escaped(c["kind"]), escaped(c["version"]),
                  escaped(c.get("note", ""))], "ours" if c["name"].startswith("whorl") else "")
                for c in data["contenders"]]
        rows += [([escaped(m["name"]), escaped(m["kind"]),
                   tag("span", "missing", class_="missed"), escaped(f"needs {m['needs']}")], "")
                 for m in data["missing"]]
        out.append(tag("details", tag("summary", "The contenders") +
                       grid(["", "kind", "version", "how it is used"], rows, left=4)))
        wrong = [c for c in data["cells"] if "error" in c]
        for cell in wrong:
            out.append(tag("p", escaped(f"{cell['contender']} {cell['workload']} {cell['n']}: "
                                        f"{cell['error']}"), class_="missed"))
        if data["missing"]:
            out.append(tag("p", "Missing: " + escaped(", ".join(
                m["name"] for m in data["missing"])), class_="missed"))
        return out

    # ------------------------------------------------------------------------------------- goals

    def best_peer(self, kind, workload, n, figure, peers=None):
        """(value, name) of the one that needs least."""
        found = []
        for name in peers or self.names(kind):
            value = self.value(kind, workload, n, name, figure)
            if value is not None and not name.startswith("whorl") and value > 0:
                found.append((value, name))
        return min(found, default=(None, None))

    @staticmethod
    def verdict(met):
        return tag("span", "met" if met else "missed", class_="met" if met else "missed")

    def goal_rows(self):
        for goal in self.goals["goals"]:
            kind, workload, figure = goal["kind"], goal["workload"], goal["figure"]
            more = self.value("limits", goal["beside"], 1, "limits", "ns") if "beside" in goal else 0
            for n, wanted in goal["at"].items():
                n, wanted = int(n), wanted + (more or 0)
                ours = self.value(kind, workload, n, goal["contender"], figure)
                if ours is None:
                    continue
                peer, name = self.best_peer(kind, workload, n, figure)
                yield ([escaped(self.title(kind, workload)) + f" <code>{workload}</code>",
                        escaped(figure.replace("_", " ")), results.short_number(n),
                        escaped(goal["contender"]), results.text(wanted), results.text(ours),
                        f"{ours / wanted:.2f}" if wanted else "–",
                        f"{results.text(peer)} <small>{escaped(name)}</small>" if peer else "–",
                        f"{peer / ours:.2f}" if peer and ours > 0 else "–",
                        self.verdict(ours <= wanted)], "")

    def floor_rows(self, floor):
        """(row, met) for each column of a floor."""
        kind, figure, ours_name = floor["kind"], floor["figure"], self.goals["ours"]
        for workload in floor["workloads"]:
            for n in self.sizes(kind, workload):
                ours = self.value(kind, workload, n, ours_name, figure)
                peer, name = self.best_peer(kind, workload, n, figure, floor["peers"])
                if n < floor.get("from", 0) or ours is None or peer is None:
                    continue
                met = ours < peer
                yield ([escaped(self.title(kind, workload)) + f" <code>{workload}</code>",
                        results.short_number(n), results.text(ours),
                        f"{results.text(peer)} <small>{escaped(name)}</small>",
                        f"{peer / ours:.2f}" if ours > 0 else "–", self.verdict(met)], ""), met

    def goals_section(self):
        out = [tag("h2", "Floors and goals")]
        for floor in self.goals["floors"]:
            rows = list(self.floor_rows(floor))
            if not rows:
                continue
            met = sum(m for _, m in rows)
            count = tag("span", f"{met} of {len(rows)}",
                        class_="met" if met == len(rows) else "missed")
            table = grid(["", "N", "ours", "best peer", "peer / ours", ""], [r for r, _ in rows])
            out.append(tag("details", tag("summary", f"Floor: {escaped(floor['text'])}: {count}") +
                           table))
        rows = list(self.goal_rows())
        if rows:
            out.append(grid(["goal", "figure", "N", "contender", "goal", "ours", "ours / goal",
                             "best peer", "peer / ours", ""], rows, left=2))
        return out

    # --------------------------------------------------------------------------------- workloads

    def cell_text(self, cell, figure, ours):
        """The figure and how many times ours it is; the spread is in the tooltip."""
        if cell is None:
            return "<td>–</td>"
        if "skip" in cell or "error" in cell:
            return tag("td", "–", title=cell.get("skip") or cell["error"])
        value = results.value(cell, figure)
        if value is None:
            return "<td>–</td>"
        spread = cell["figures"].get(figure)	# none of a part of one
        ratio = f"×{value / ours:.2g}" if ours and ours > 0 and value > 0 else ""
        if ours and value / ours >= 99.5:
            ratio = f"×{value / ours:.0f}"
        said = {}
        if spread:
            said["title"] = (f"{results.text(spread['min'])} to {results.text(spread['max'])}, "
                             f"MAD {results.text(spread['mad'])}, {cell['runs']} runs")
        return tag("td", f"{results.text(value)} <small>{ratio}</small>", **said)

    def table(self, kind, workload, columns):
        """columns: (n, figure, what stands above)."""
        rows = []
        for name in self.names(kind):
            cells = [self.cells.get((kind, workload, n, name)) for n, _, _ in columns]
            if all(c is None or "skip" in c for c in cells):
                continue
            texts = [self.cell_text(cell, figure, self.value(kind, workload, n,
                                                             self.goals["ours"], figure))
                     for cell, (n, figure, _) in zip(cells, columns)]
            rows.append(([escaped(name)] + texts, "ours" if name == self.goals["ours"] else ""))
        return grid([""] + [head for _, _, head in columns], rows)

    def tables(self, kind, workload, figures):
        """figures: (figure, its name). One table if there is one size, otherwise one for each."""
        sizes = self.sizes(kind, workload)
        if len(sizes) == 1:
            size = "" if sizes == [1] else f", N = {results.short_number(sizes[0])}"
            heads = [text + (size if i == 0 else "") for i, (_, text) in enumerate(figures)]
            return self.table(kind, workload, [(sizes[0], figure, head)
                                               for (figure, _), head in zip(figures, heads)])
        out = ""
        for i, (figure, text) in enumerate(figures):
            out += tag("p", escaped(text), class_="dim") if i else ""
            out += self.table(kind, workload,
                              [(n, figure, results.short_number(n)) for n in sizes])
        return out

    def series(self, kind, workload, figure):
        for name in self.names(kind):
            points = [(n, self.value(kind, workload, n, name, figure))
                      for n in self.sizes(kind, workload)]
            yield (name, plots.colour(name), [(n, v) for n, v in points if v and v > 0], False)

    def limit_series(self, work):
        if "limit" not in work:
            return []
        name = work["limit"]
        points = [(n, self.value("limits", name, n, "limits", "ns"))
                  for n in self.sizes(work["kind"], work["name"])]
        title = self.title("limits", name).lower()
        return [(title, "#a0a0a0", [(n, v) for n, v in points if v], True)]

    def figure_plot(self, work, figure, label):
        kind, workload = work["kind"], work["name"]
        sizes = self.sizes(kind, workload)
        series = list(self.series(kind, workload, figure))
        if len(sizes) == 1:
            dots = [(s[0], s[2][0][1]) for s in series if s[2]]
            return plots.dots_plot(dots, label) if len(dots) > 2 else ""
        series += self.limit_series(work) if figure == work["figure"] else []
        if not any(s[2] for s in series):
            return ""
        named = [(n, results.short_number(n)) for n in sizes]
        return plots.lines_plot(series, named, "N", label)

    def slack_section(self, work):
        columns = [[work["figure"], "at once"]] + work["also"]
        rows = []
        for n in self.sizes("timers", "slack"):
            values = [self.value("timers", "slack", n, self.goals["ours"], k) for k, _ in columns]
            rows.append(([results.short_number(n)] + [results.text(v) for v in values], ""))
        return [tag("h3", escaped(work["title"]) + tag("code", "slack")),
                tag("p", escaped(work["text"][:1].upper() + work["text"][1:] + "."), class_="dim"),
                grid(["N"] + [text for _, text in columns], rows)]

    def workload_section(self, work):
        kind, workload, figure = work["kind"], work["name"], work["figure"]
        if not self.sizes(kind, workload):
            return []
        if workload == "slack":
            return self.slack_section(work)
        label = UNITS[figure]
        tables = self.tables(kind, workload, [(figure, label)] + work.get("also", []))
        return [tag("h3", escaped(work["title"]) + tag("code", escaped(workload))),
                tag("p", escaped(work["text"][:1].upper() + work["text"][1:] + "."), class_="dim"),
                tag("div", self.figure_plot(work, figure, label) + tag("div", tables),
                    class_="row")]

    def spike_section(self):
        work = {"kind": "timers", "name": "W3", "figure": None}
        if not self.sizes("timers", "W3"):
            return []
        tables = self.tables("timers", "W3", [
            ("spike_ns/1000", "us"),
            ("step_ns/1000", "Longest step of 1 ms, all that is due in it included, us")])
        return [tag("h3", "Longest call" + tag("code", "W3")),
                tag("p", "The longest single advance or pop of W3; for a library that calls back, "
                    "one turn of its loop. The least of all runs, in CPU time.", class_="dim"),
                tag("div", self.figure_plot(work, "spike_ns/1000", "us") +
                    tag("div", tables), class_="row")]

    def bytes_section(self):
        dots = [(c["name"], c["bytes"]) for c in self.data["contenders"]
                if c["kind"] == "timers" and c.get("bytes")]
        if not dots:
            return []
        return [tag("h3", "Memory of a timer"),
                tag("p", "The struct and its share of the library's arrays.", class_="dim"),
                tag("div", plots.dots_plot(dots, "bytes"), class_="row")]

    def lateness_section(self):
        out = []
        for n in self.sizes("coroutines", "C4"):
            series, rows, marks = [], [], []
            for name in self.names("coroutines"):
                cell = self.cells.get(("coroutines", "C4", n, name))
                if not cell or "late_us" not in cell:
                    continue
                late = [(p, u / 1000) for p, u in cell["late_us"]]
                marks = [p for p, _ in late]
                early = results.value(cell, "early")
                rows.append(([escaped(name)] + [results.text(u) for _, u in late] +
                             [results.text(early)],
                             "ours" if name == self.goals["ours"] else ""))
                series.append((name, plots.colour(name),
                               [(nines(p), u) for p, u in late if u > 0], False))
            if not any(s[2] for s in series):
                continue
            named = [(nines(p), percent(p)) for p in marks]
            out += [tag("h3", f"How late {results.short_number(n)} sleepers wake" +
                        tag("code", "C4")),
                    tag("div", plots.lines_plot(series, named, "of all wakes, at most",
                                                "ms late", log_x=False) +
                        tag("div", grid([""] + [percent(p) for p in marks] + ["early"], rows)),
                        class_="row")]
        return out

    # --------------------------------------------------------------------------------- the page

    def limits_section(self):
        works = [w for w in self.works if w["kind"] == "limits" and w["name"] != "clock"]
        clock = self.value("limits", "clock", 1, "limits", "ns")
        sizes = sorted({n for w in works for n in self.sizes("limits", w["name"])})
        if not sizes:
            return []
        shades = ["#1257a6", "#5b9bd5", "#c8553d", "#6a994e", "#8e6c8a"]
        series, rows = [], []
        for work, shade in zip(works, shades):
            values = [(n, self.value("limits", work["name"], n, "limits", "ns")) for n in sizes]
            rows.append(([escaped(work["title"])] + [results.text(v) for _, v in values], ""))
            series.append((work["title"].lower(), shade, [(n, v) for n, v in values if v], False))
        named = [(n, results.short_number(n)) for n in sizes]
        text = "; ".join(f"{w['title'].lower()}: {w['text']}" for w in works)
        return [tag("h2", "What the machine allows"),
                tag("p", escaped(text[:1].upper() + text[1:] + "."), class_="dim"),
                tag("p", f"A reading of the clock takes {results.text(clock)} ns.", class_="dim"),
                tag("div", plots.lines_plot(series, named, "N", "ns") +
                    tag("div", grid([""] + [l for _, l in named], rows)), class_="row")]

    def kind_section(self, kind, title, text, more):
        out = []
        for work in self.works:
            if work["kind"] == kind:
                out += self.workload_section(work)
                out += more.get(work["name"], list)()
        return [tag("h2", title), tag("p", text, class_="dim")] + out if out else []

    def page(self):
        parts = self.head() + self.goals_section()
        parts += self.kind_section(
            "timers", "Timers",
            "Nanoseconds of CPU time; × is how many times ours. The event libraries without the "
            "turns of their loops. Dashed: what the machine allows.",
            {"W3": self.spike_section, "W7": self.bytes_section})
        parts += self.kind_section(
            "coroutines", "Coroutines",
            "Nanoseconds; × is how many times ours.", {"C4": self.lateness_section})
        parts += self.limits_section()
        return ("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                "<title>Whorl beside its peers</title>"
                f"<style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n")


def nines(percentile):
    """A scale on which 50, 90, 99, 99.9 and the maximum are about as far apart."""
    return 4 if percentile >= 100 else -math.log10(1 - percentile / 100)


def percent(percentile):
    return "max" if percentile >= 100 else f"{percentile:g} %"


def main():
    if len(sys.argv) != 2:
        print("usage: report.py RESULTS", file=sys.stderr)
        return 2
    path = sys.argv[1]
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    page = os.path.join(folder, "report.html")
    text = Report(results.load(path)).page()
    with open(page, "w", encoding="utf-8") as file:
        file.write(text)
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
