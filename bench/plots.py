"""The report's plots: SVG by gnuplot, as text that stands in the page itself."""

import math
import re
import subprocess

import results

COLOURS = {
    "whorl": "#1257a6", "whorl-static": "#5b9bd5", "heap": "#8c8c8c",
    "libev": "#c8553d", "libuv": "#6a994e", "libevent": "#b08900",
    "boost.fiber": "#c8553d", "boost.context": "#a23b72", "go": "#2a9d8f", "st": "#6a994e",
    "pth": "#b08900", "gevent": "#7b6aa8", "asyncio": "#9c6644", "limits": "#8c8c8c",
}
OTHERS = "#555555"
WIDTH, HEIGHT = 560, 350
LABEL_GAP = 15			# pixels between the names at the lines' ends
MARGINS = (62, 118, 26, 50)	# left, right, top, bottom
FONT = "system-ui, 'Helvetica Neue', Arial, sans-serif"

_serial = 0


def colour(name):
    return COLOURS.get(name, OTHERS)


def ticks(low, high):
    """1, 2, 5 in each decade, or 1 alone where there are many."""
    steps = (1, 2, 5) if math.log10(high / low) < 2.6 else (1,)
    found = []
    for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        found += [s * 10.0 ** exponent for s in steps]
    return [t for t in found if low <= t <= high * 1.0001]


def bounds(values):
    """A little beyond the values."""
    low, high = min(values), max(values)
    return low / 1.25, max(high * 1.25, low * 4)


def spread_labels(wanted, low, high, pixels):
    """Heights for labels, in the order of those wanted, not nearer than LABEL_GAP."""
    gap = LABEL_GAP / pixels
    place = {}
    order = sorted(wanted, key=lambda w: w[1])
    heights = [math.log(v / low) / math.log(high / low) for _, v in order]
    for _ in range(200):
        for i in range(1, len(heights)):
            lack = gap - (heights[i] - heights[i - 1])
            if lack > 1e-6:
                heights[i - 1] -= lack / 2
                heights[i] += lack / 2
        if heights:
            over = max(0, heights[-1] - 1) - max(0, -heights[0])
            heights = [h - over for h in heights] if over else heights
    for (name, _), height in zip(order, heights):
        place[name] = height
    return place


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def tick_list(values, labels):
    """What gnuplot calls a format: % stands for itself when doubled."""
    pairs = zip(values, (label.replace("%", "%%") for label in labels))
    return "(" + ", ".join(f"{quoted(label)} {value:.10g}" for value, label in pairs) + ")"


def gnuplot(lines, width, height):
    """The SVG element that these commands draw."""
    global _serial
    _serial += 1
    left, right, top, bottom = MARGINS
    head = [
        f"set terminal svg size {width},{height} font 'FONT,13' background '#ffffff'",
        "set encoding utf8",
        "set border 3 lc rgb '#9a9a9a' lw 1",
        "set tics nomirror out scale 0.5 textcolor rgb '#444444'",
        "set grid xtics ytics lt 1 lw 1 lc rgb '#ececec'", "set grid back",
        "unset key",
        f"set lmargin at screen {left / width:.4f}",
        f"set rmargin at screen {1 - right / width:.4f}",
        f"set tmargin at screen {1 - top / height:.4f}",
        f"set bmargin at screen {bottom / height:.4f}",
    ]
    done = subprocess.run(["gnuplot"], input="\n".join(head + lines) + "\n", text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0 or "<svg" not in done.stdout:
        raise SystemExit("gnuplot: " + done.stderr.strip())
    svg = done.stdout[done.stdout.index("<svg"):]
    svg = re.sub(r"<desc>.*?</desc>|<title>.*?</title>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'font-family="FONT"', f'font-family="{FONT}"', svg)
    svg = re.sub(r"\b(gp[A-Z]\w*)", rf"p{_serial}_\1", svg)	# ids are the page's
    return re.sub(r"\n\s*\n+", "\n", svg)


def series_block(number, points):
    return [f"$d{number} << END"] + [f"{x:.10g} {y:.10g}" for x, y in points] + ["END"]


def lines_plot(series, x_ticks, x_label, y_label, log_x=True):
    """series: (name, colour, points, dashed). A line each, its name at its end."""
    series = [s for s in series if s[2]]
    low, high = bounds([y for s in series for _, y in s[2]])
    xs = [x for x, _ in x_ticks]
    pixels = HEIGHT - MARGINS[2] - MARGINS[3]
    place = {}
    for end in {s[2][-1][0] for s in series}:	# names beside each other must not meet
        place.update(spread_labels([(s[0], s[2][-1][1]) for s in series if s[2][-1][0] == end],
                                   low, high, pixels))
    y_ticks = ticks(low, high)
    lines = [
        "set logscale y", *(["set logscale x"] if log_x else []),
        f"set xrange [{min(xs) * 0.9999:.10g}:{max(xs) * 1.0001:.10g}]",
        f"set yrange [{low:.10g}:{high:.10g}]",
        "set xtics offset 0,0.5 " + tick_list(xs, [l for _, l in x_ticks]),
        "set ytics " + tick_list(y_ticks, [results.text(t) for t in y_ticks]),
        f"set xlabel {quoted(x_label)} textcolor rgb '#444444' offset 0,1",
        f"set label 99 {quoted(y_label)} at graph -0.015,1.045 textcolor rgb '#444444'",
    ]
    drawn = []
    for i, (name, paint, points, dashed) in enumerate(series):
        lines += series_block(i, points)
        bold = name == "whorl"
        lines.append(f"set label {i + 1} {quoted(name)} at first {points[-1][0]:.10g}, "
                     f"graph {place[name]:.4f} offset 1,0 textcolor rgb '{paint}'")
        dash = " dt (4,4)" if dashed else ""
        drawn.append(f"$d{i} with lines lc rgb '{paint}' lw {2.6 if bold else 1.5}{dash}")
        if not dashed:
            drawn.append(f"$d{i} with points pt 7 ps {0.55 if bold else 0.4} lc rgb '{paint}'")
    return gnuplot(lines + ["plot " + ", ".join(drawn)], WIDTH, HEIGHT)


def dots_plot(values, x_label):
    """values: (name, value): a row each, the least on top."""
    values = sorted((v for v in values if v[1] > 0), key=lambda v: -v[1])
    low, high = bounds([v for _, v in values])
    high *= (high / low) ** 0.12		# room for the number of the last
    height = 8 + MARGINS[3] + 24 * (len(values) + 1)
    x_ticks = ticks(low, high)
    lines = [
        f"set tmargin at screen {1 - 8 / height:.4f}",
        "set logscale x", f"set xrange [{low:.10g}:{high:.10g}]",
        f"set yrange [0.3:{len(values) + 0.7}]",
        f"set lmargin at screen {118 / WIDTH:.4f}", f"set rmargin at screen {1 - 20 / WIDTH:.4f}",
        "set ytics scale 0 " + tick_list(range(1, len(values) + 1), [n for n, _ in values]),
        "set xtics offset 0,0.5 " + tick_list(x_ticks, [results.text(t) for t in x_ticks]),
        f"set xlabel {quoted(x_label)} textcolor rgb '#444444' offset 0,1",
    ]
    drawn = []
    for i, (name, value) in enumerate(values):
        lines += series_block(i, [(value, i + 1)])
        lines.append(f"set label {i + 1} {quoted(results.text(value))} at first "
                     f"{value:.10g},{i + 1} offset 1.1,0 textcolor rgb '{colour(name)}'")
        drawn.append(f"$d{i} with points pt 7 ps {0.9 if name == 'whorl' else 0.7} "
                     f"lc rgb '{colour(name)}'")
    return gnuplot(lines + ["plot " + ", ".join(drawn)], WIDTH, height)
