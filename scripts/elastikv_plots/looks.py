"""How pictures look: two widths of print, and colours, markers and dashes that tell lines apart without colour, too."""

import itertools
import json
import math
import pathlib
import textwrap

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend comes first)
from matplotlib import ticker  # noqa: E402

# Inches: one column of a two-column page, and the whole page. Fonts are sizes in print; none is below 7 points.
WIDTHS = {"column": 3.4, "full": 7.0}
TEXT, SMALL = 8.0, 7.0
LETTER = 0.055  # inches that a letter of the small size takes, with some to spare
matplotlib.rcParams.update({
    "svg.hashsalt": "elastikv", "svg.fonttype": "none", "figure.dpi": 220, "savefig.dpi": 220, "text.parse_math": False,
    "font.size": TEXT, "axes.titlesize": TEXT, "axes.labelsize": TEXT, "xtick.labelsize": SMALL, "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL, "figure.titlesize": TEXT, "legend.frameon": False, "legend.handlelength": 2.8,
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.2, "lines.markersize": 4.5,
    "grid.linewidth": 0.4, "grid.alpha": 0.35, "hatch.linewidth": 0.5,
})

# The palette and the strategies' places in it: the file that the report's page is drawn from, too.
LOOKS = json.loads((pathlib.Path(__file__).resolve().parents[2] / "configs" / "looks.json").read_text(encoding="utf-8"))
COLOURS = LOOKS["colours"]
BLUE, VERMILION, _, _, _, SKY = COLOURS[:6]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*", "<", ">"]  # one per colour, as on the page
DASHES = ["-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.3, 1.2, 1.3))]
DASHED = (0, (4, 2))
MARKER_SIZES = {"P": 5.5, "X": 5.5, "*": 7.0, "D": 4.0}
GREY = "#6E6E6E"


def look_at(colour, turn=0):
    """(colour, marker, dashes) of a place in the palette. On every further turn through it lines have other dashes and markers, so
    that they can be told apart in grey, too."""
    marker = MARKERS[(colour + len(MARKERS) // 2 * turn + turn // len(DASHES)) % len(MARKERS)]
    return COLOURS[colour], marker, DASHES[turn % len(DASHES)]


# A strategy keeps its look from one picture to the next and across sweeps; released code has the colour of what it was released for.
KNOWN = {"full": ("#000000", "d", "-"),
         **{name: look_at(colour, int(name in LOOKS["dashed"])) for name, colour in LOOKS["strategies"].items()}}


def looks_of(strategies):
    """(colour, marker, dashes) by name, no two alike; `strategies` are (name, preset) in the order of the legend."""
    looks = {name: KNOWN[name] for name, _ in strategies if name in KNOWN}
    taken = {colour for colour, _, _ in looks.values()}
    spare = (look_at(colour, turn) for turn in itertools.count() for colour in range(len(COLOURS))
             if turn > 0 or COLOURS[colour] not in taken)
    for name, preset in strategies:
        if name in looks:
            continue
        own = KNOWN.get(preset)
        if own is None or own in looks.values():
            own = next(look for look in spare if look not in looks.values())
        looks[name] = own
    return {name: looks[name] for name, _ in strategies}


def marker_size(marker):
    return MARKER_SIZES.get(marker, 4.5)


def panels(width, rows, columns, height, **options):
    """A figure of rows x columns axes with its width and each row's height in inches."""
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTHS[width], height * rows), layout="constrained",
                                squeeze=False, **options)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    return figure, axes


def heading(figure, text, width):
    """The title of the whole picture, at its left edge; makes the figure higher by it."""
    title = textwrap.fill(text, 52 if width == "column" else 108, break_on_hyphens=False)
    figure.set_figheight(figure.get_figheight() + 0.15 * (title.count("\n") + 1))
    figure.suptitle(title, x=0.01, ha="left")


def two_lines(label):
    """A label of an upright axis: in two lines about equally long, where it is long."""
    if len(label) <= 28:
        return label
    gaps = [place for place, letter in enumerate(label) if letter == " "]
    place = min(gaps, key=lambda gap: abs(gap - len(label) / 2), default=0)
    return f"{label[:place]}\n{label[place + 1:]}" if gaps else label


def wrapped(text, inches):
    """Text in lines that fit."""
    return textwrap.fill(text, max(12, int(inches / LETTER)), break_on_hyphens=False)


def legend(figure, width, handles, beside=False, note=""):
    """The legend of a picture, below it or, where there is room, beside it, with a note above its entries; makes the figure
    higher by what it needs below."""
    if not handles:
        return
    def entries(room):
        """Labels and note in lines of a width."""
        title = {"title": wrapped(note, room + 0.5), "title_fontsize": SMALL, "alignment": "left"} if note else {}
        return [wrapped(handle.get_label(), min(room, 2.6)) for handle in handles], title

    labels, title = entries(1.9)
    lines = sum(label.count("\n") + 1.35 for label in labels) + (title["title"].count("\n") + 1 if note else 0)
    if beside and 0.117 * lines < figure.get_figheight():
        figure.legend(handles, labels, loc="outside right center", **title)
        return
    labels, title = entries(WIDTHS[width] - 0.7)
    widest = max(len(line) for label in labels for line in label.split("\n")) * 0.05 + 0.47  # a handle and gaps
    columns = max(1, min(len(labels), int(WIDTHS[width] / widest)))
    rows = math.ceil(len(labels) / columns)
    lines = sum(max((labels[i].count("\n") + 1 for i in range(row, len(labels), rows)), default=1) for row in range(rows))
    lines += title["title"].count("\n") + 1 if note else 0
    figure.set_figheight(figure.get_figheight() + 0.14 * lines + 0.1)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, columnspacing=1.2, labelspacing=0.3,
                  borderaxespad=0.1, **title)


def plain(value, _=None):
    return f"{value:g}"


def logarithmic(axis, low, high):
    """A logarithmic axis with plain numbers; `axis` is axes.xaxis or axes.yaxis."""
    axis._set_axes_scale("log")
    decades = math.log10(high / low)
    subs = (1.0, 2.0, 5.0) if decades < 1.7 else (1.0, 3.0) if decades < 3 else (1.0,)
    axis.set_major_locator(ticker.LogLocator(base=10, subs=subs, numticks=15))
    if decades < 0.25:
        axis.set_major_locator(ticker.MaxNLocator(4))
    elif decades < 0.5:
        axis.set_major_locator(ticker.FixedLocator([m * 10.0**e for e in range(-9, 10) for m in (1, 1.5, 2, 3, 4, 5, 7)]))
    axis.set_major_formatter(ticker.FuncFormatter(plain))
    axis.set_minor_locator(ticker.NullLocator())


def listed_ticks(axis, values, inches):
    """Ticks at values that were measured, as many as there is room for."""
    values = sorted(set(values))
    if not values:
        return
    longest = max(len(plain(v)) for v in values)
    step = max(1, math.ceil(len(values) * (0.07 * longest + 0.08) / max(inches, 0.3)))
    chosen = values[::-1][::step][::-1]
    axis.set_major_locator(ticker.FixedLocator(chosen))
    axis.set_major_formatter(ticker.FuncFormatter(plain))
    axis.set_minor_locator(ticker.NullLocator())


def share_axis(axes, top, lowest):
    axes.set_ylim(min(0.0, lowest), top * 1.03)


def grid(axes, which="y"):
    axes.grid(True, axis=which)


def interval_bars(value, low, high):
    """Lengths below and above; a percentile interval need not hold the value itself."""
    return [max(value - low, 0.0)], [max(high - value, 0.0)]
