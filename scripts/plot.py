#!/usr/bin/env python3
"""Draws a sweep's results against the KV budget, from its records.

    scripts/plot.py results/quickstart

Reads records.jsonl and sweep.json in the output folder and writes, for every model and data set, ppl, one picture per
text metric, match_rate and mean_kl, each as PNG and SVG. Bars are 95 % bootstrap intervals over samples, with the same
resampled indices for every strategy; they are drawn with other random numbers than the tables', so that the last digits
may differ. Needs matplotlib and numpy, nothing else.
"""

import argparse
import json
import math
import pathlib
import sys

import numpy as np

# Okabe and Ito's palette (safe for colour-blind readers; its yellow is too pale for lines) and, where it ends, greys;
# markers and line styles differ as well, so that a black-and-white print can be read.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D", "#999999", "#882255", "#117733"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*", "<", ">"]
MARKER_SIZES = {"P": 6.0, "X": 6.0, "*": 8.0}  # the others are full enough at 4.5
FAR = 6.0  # times the smallest value, in pictures with a row per strategy
# A strategy keeps its look from one picture to the next and across sweeps.
LOOKS = {
    "elastic": (0, "-"), "elastic-released": (0, "--"),
    "h2o": (1, "-"), "h2o-released": (1, "--"),
    "streaming-llm": (2, "-"), "local-released": (2, "--"),
    "random": (7, "-"), "stride": (3, "-"),
}


class PlotError(Exception):
    """Something the user can mend."""


def read_sweep(folder):
    """The header and the records of an output folder; of several records of a (cell, sample) the last counts."""
    try:
        header = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
        lines = (folder / "records.jsonl").read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as error:
        raise PlotError(f"{folder}: holds no sweep ({error.filename} is missing)") from error
    records = {}
    for number, line in enumerate(lines, start=1):
        if number == len(lines):
            break  # what follows the last line end was torn by a killed process
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise PlotError(f"{folder}/records.jsonl:{number}: not valid JSON") from error
        records[record["cell"], record["sample"]] = record
    return header, records


def budgets_of(config):
    """Budget texts as cell names have them, with their place on the horizontal axis and whether that is in tokens."""
    budgets = config.get("budgets", {})
    listed = []
    for growth in budgets.get("growth", []):
        for keep in budgets.get("keep", []):
            text = json.dumps(keep)
            if float(keep) == int(keep):
                text = str(int(keep))
            listed.append((text + ("p" if growth == "prompt" else ""), float(keep), growth))
    for tokens in budgets.get("keep_tokens", []):
        listed.append((f"{tokens}t", float(tokens), "tokens"))
    return listed


class Group:
    """The records of one model and data set."""

    def __init__(self, header, records, model, data):
        config = header["config"]
        self.name = f"{model} on {data}"
        self.file_name = f"{model}-{data}"
        self.records = records
        self.prefix = f"{model}/{data}"
        self.strategies = [s for s in config["strategies"] if s["preset"] != "full"]
        full = [s["name"] for s in config["strategies"] if s["preset"] == "full"]
        self.full = f"{self.prefix}/{full[0] if full else '(full)'}"
        self.budgets = budgets_of(config)
        cells = [self.full] + [self.cell(s["name"], b[0]) for s in self.strategies for b in self.budgets]
        # Only samples that every cell has been given, as in the tables.
        self.samples = [s for s in header["data"][data]["samples"] if all((c, s) in records for c in cells)]
        bootstrap = config["bootstrap"]
        generator = np.random.default_rng(bootstrap["seed"])
        count = len(self.samples)
        self.indices = generator.integers(0, max(count, 1), (bootstrap["iterations"], count))

    def cell(self, strategy, budget):
        return f"{self.prefix}/{strategy}/{budget}"

    def values(self, cell, read):
        """One row per sample, or None when a sample failed or lacks the value: no mean over survivors."""
        rows = []
        for sample in self.samples:
            record = self.records.get((cell, sample))
            value = None if record is None or record["status"] != "ok" else read(record)
            if value is None:
                return None
            rows.append(value)
        return np.array(rows, dtype=float) if rows else None

    def estimate(self, cell, measure):
        """Value, low, high; None when there is none."""
        rows = self.values(cell, measure.read)
        if rows is None:
            return None
        value = measure.combine(rows)
        if not math.isfinite(value):
            return None
        if len(rows) < 2:
            return value, value, value
        replicates = measure.combine(rows[self.indices], axis=1)
        low, high = np.nanpercentile(replicates, [2.5, 97.5])
        return value, low, high


class Measure:
    """What a picture shows: how to read it from a record and how to combine samples."""

    def __init__(self, name, label, read, combine, has_full=True, log_from=None, top=None):
        self.name, self.label, self.read, self.combine = name, label, read, combine
        self.has_full, self.log_from, self.top = has_full, log_from, top


def combine_perplexity(rows, axis=0):
    """[..., samples, (nll, tokens)] to exp of the ratio of sums."""
    sums = rows.sum(axis=axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.exp(sums[..., 0] / sums[..., 1])


def combine_mean(rows, axis=0):
    return rows.mean(axis=axis)


def metric_title(name):
    """"ROUGE-L (pltrdy)" for rouge-l-pltrdy, "ROUGE-Lsum (Google, stemmed)" for rougeLsum-stem."""
    if name.startswith("rouge-"):
        return f"ROUGE-{name.split('-')[1].upper()} (pltrdy)"
    base, _, stem = name.removeprefix("rouge").partition("-")
    return f"ROUGE-{base} (Google{', stemmed' if stem else ''})"


def measures_of(config):
    measures = []
    metrics = config["metrics"]
    if metrics["perplexity"]["enabled"]:
        measures.append(Measure("ppl", "Perplexity of the expected answers",
                                lambda r: (r["nll_sum"], r["scored_tokens"]), combine_perplexity, log_from=4.0))
    reference = "the full cache's text" if metrics["reference"] == "full-cache" else "the answers"
    for name in metrics["text"]:
        measures.append(Measure(name, f"{metric_title(name)} F against {reference}",
                                lambda r, name=name: r.get("scores", {}).get(name, {}).get("f"), combine_mean,
                                has_full=metrics["reference"] != "full-cache", top=1.0))
    if metrics["agreement"]:
        measures.append(Measure("match_rate", "Tokens equal to the full cache's (share)",
                                lambda r: r.get("agreement", {}).get("match_rate"), combine_mean, has_full=False,
                                top=1.0))
        measures.append(Measure("mean_kl", "KL divergence from the full cache (nats per token)",
                                lambda r: r.get("mean_kl"), combine_mean, has_full=False, log_from=10.0))
    return measures


def look_of(label, preset, position):
    """Colour, marker and line style of a strategy."""
    index, style = LOOKS.get(label) or LOOKS.get(preset) or (position % len(COLOURS), "-")
    marker = MARKERS[position % len(MARKERS)]
    return COLOURS[index], marker, style


def short_ticks(value, _):
    return f"{value:g}"


def draw(group, measure, growth, plt, ticker):
    """One picture, or None when no cell has the measure."""
    budgets = [b for b in group.budgets if b[2] == growth]
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    drawn = []
    # Strategies stand side by side around their budget, so that intervals do not cover each other.
    positions = [b[1] for b in budgets]
    gap = min((b - a for a, b in zip(sorted(positions), sorted(positions)[1:])), default=0.1)
    logarithmic_x = growth == "tokens"
    shift = 0.0 if logarithmic_x else gap * 0.045
    for position, strategy in enumerate(group.strategies):
        points = []
        offset = (position - (len(group.strategies) - 1) / 2) * shift
        for text, place, _ in budgets:
            estimate = group.estimate(group.cell(strategy["name"], text), measure)
            if estimate is not None:
                points.append((place + offset, *estimate))
        if not points:
            continue
        x, value, low, high = np.array(points).T
        colour, marker, style = look_of(strategy["name"], strategy["preset"], position)
        # A percentile interval need not hold the value itself.
        bars = np.vstack([np.maximum(value - low, 0), np.maximum(high - value, 0)])
        axes.errorbar(x, value, yerr=bars, color=colour, marker=marker, linestyle=style, linewidth=1.3,
                      markersize=MARKER_SIZES.get(marker, 4.5), markeredgecolor="white", markeredgewidth=0.5,
                      elinewidth=0.8, capsize=1.8, capthick=0.8, label=strategy["name"])
        drawn.append((value, low, high))
    if not drawn:
        plt.close(figure)
        return None
    full = group.estimate(group.full, measure) if measure.has_full else None
    if full is not None:
        axes.axhline(full[0], color="black", linestyle=(0, (4, 2)), linewidth=1.1, label="full cache", zorder=1)
        if full[2] > full[1]:
            axes.axhspan(full[1], full[2], color="black", alpha=0.08, linewidth=0)

    everything = np.concatenate([np.concatenate([v, lo, hi]) for v, lo, hi in drawn])
    if full is not None:
        everything = np.append(everything, full[0])
    positive = everything.min() > 0
    if measure.log_from and positive and everything.max() / everything.min() > measure.log_from:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(ticker.LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=12))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(short_ticks))
        axes.yaxis.set_minor_locator(ticker.NullLocator())
    elif measure.top is not None:
        axes.set_ylim(max(0.0, min(0.0, everything.min())), measure.top * 1.03)
    if logarithmic_x:
        axes.set_xscale("log", base=2)
        axes.set_xlabel("KV budget (entries kept per layer)")
    else:
        of_prompt = " of the prompt" if growth == "prompt" else ""
        axes.set_xlabel(f"KV budget (fraction kept{of_prompt})")
    axes.set_xticks(positions, [f"{p:g}" for p in positions])
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.set_ylabel(measure.label)
    axes.set_title(f"{group.name}, {len(group.samples)} samples", fontsize=10, loc="left")
    axes.grid(True, axis="y", linewidth=0.5, alpha=0.35)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8.5, handlelength=2.8)
    return figure


def draw_rows(group, measure, growth, plt, ticker):
    """One row per strategy and one panel per budget, for sweeps of many strategies; None when no cell has the measure."""
    budgets = [b for b in group.budgets if b[2] == growth]
    names = [s["name"] for s in group.strategies if s["preset"] != "full"]
    estimates = {(n, b[0]): group.estimate(group.cell(n, b[0]), measure) for n in names for b in budgets}
    names = [n for n in names if any(estimates[n, b[0]] for b in budgets)]
    if not names:
        return None
    full = group.estimate(group.full, measure) if measure.has_full else None
    width = 1.6 + 0.075 * max(len(n) for n in names) + 2.1 * len(budgets)
    figure, panels = plt.subplots(1, len(budgets), figsize=(width, 1.1 + 0.21 * len(names)), sharey=True,
                                  layout="constrained", squeeze=False)
    for axes, (text, place, _) in zip(panels[0], budgets):
        found = [e for e in (estimates[n, text] for n in names) if e]
        everything = [x for e in found for x in e] + ([full[0]] if full else [])
        # What lies far outside would press all others together: an arrow with its number stands for it.
        edge = min(everything) * FAR if measure.log_from and min(everything) > 0 else math.inf
        for row, name in enumerate(names):
            if (estimate := estimates[name, text]) is None:
                continue
            value, low, high = estimate
            if value > edge:
                axes.plot(edge, row, color=COLOURS[1], marker=">", markersize=5, clip_on=False)
                axes.annotate(f"{value:.3g}", (edge, row), xytext=(-6, 0), textcoords="offset points", ha="right",
                              va="center", fontsize=7.5)
                continue
            axes.errorbar(value, row, xerr=[[max(value - low, 0)], [max(min(high, edge) - value, 0)]],
                          color=COLOURS[0], marker="o", markersize=4, elinewidth=1.0, capsize=2)
        if full is not None:
            axes.axvline(full[0], color="black", linestyle=(0, (4, 2)), linewidth=1.1, zorder=1)
        shown = [min(x, edge) for x in everything]
        if measure.log_from and min(shown) > 0 and max(shown) / min(shown) > measure.log_from:
            axes.set_xscale("log")
            axes.set_xlim(min(shown) * 0.95, max(shown) * 1.05)
            axes.xaxis.set_major_locator(ticker.FixedLocator([1, 1.5, 2, 3, 5, 7, 10]))
            axes.xaxis.set_major_formatter(ticker.FuncFormatter(short_ticks))
            axes.xaxis.set_minor_locator(ticker.NullLocator())
        unit = "entries per layer" if growth == "tokens" else "kept"
        axes.set_title(f"{place:g} {unit}", fontsize=9)
        axes.grid(True, axis="both", linewidth=0.5, alpha=0.35)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0][0].set_yticks(range(len(names)), names)
    panels[0][0].set_ylim(len(names) - 0.4, -0.6)
    figure.supxlabel(f"{measure.label}; dashed: full cache" if full else measure.label, fontsize=9)
    figure.suptitle(f"{group.name}, {len(group.samples)} samples", fontsize=10, x=0.01, ha="left")
    return figure


def main():
    parser = argparse.ArgumentParser(description="Draw a sweep's results against the KV budget.")
    parser.add_argument("folder", type=pathlib.Path, help="the sweep's output folder")
    parser.add_argument("--output", type=pathlib.Path, help="folder for the pictures (default: FOLDER/plots)")
    parser.add_argument("--formats", default="png,svg", help="comma list of png, svg, pdf (default: %(default)s)")
    parser.add_argument("--style", choices=["auto", "lines", "rows"], default="auto",
                        help="lines over the budget, or a row per strategy (default: rows for more than 10 strategies)")
    parser.add_argument("--strategies", help="comma list of the strategies to draw (default: all)")
    arguments = parser.parse_args()
    formats = arguments.formats.split(",")
    unknown = sorted(set(formats) - {"png", "svg", "pdf"})
    if unknown:
        raise PlotError(f"--formats: {unknown[0]!r} is not one of png, svg, pdf")
    try:
        import matplotlib
    except ImportError as error:
        raise PlotError("matplotlib is missing; install it with: python3 -m pip install matplotlib") from error
    matplotlib.use("Agg")
    # The same records give the same bytes.
    matplotlib.rcParams.update({"svg.hashsalt": "elastikv", "svg.fonttype": "none", "font.size": 9,
                                "savefig.dpi": 150, "axes.axisbelow": True})
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    header, records = read_sweep(arguments.folder)
    config = header["config"]
    if arguments.strategies:
        wanted = arguments.strategies.split(",")
        known = [s["name"] for s in config["strategies"]]
        for name in wanted:
            if name not in known:
                raise PlotError(f"--strategies: no strategy {name!r} in this sweep; known: {', '.join(known)}")
        config["strategies"] = [s for s in config["strategies"] if s["name"] in wanted or s["preset"] == "full"]
    output = arguments.output or arguments.folder / "plots"
    output.mkdir(parents=True, exist_ok=True)
    groups = [Group(header, records, f"{model['label']}-{model['dtype']}", data["name"])
              for model in config["models"] for data in config["data"]]
    written = 0
    for group in groups:
        if not group.samples:
            print(f"{group.name}: no sample is complete yet", file=sys.stderr)
            continue
        for measure in measures_of(config):
            for growth in dict.fromkeys(b[2] for b in group.budgets):
                many = len(group.strategies) > len(COLOURS)
                rows = arguments.style == "rows" or (arguments.style == "auto" and many)
                figure = (draw_rows if rows else draw)(group, measure, growth, plt, ticker)
                if figure is None:
                    continue
                parts = [measure.name]
                if len(groups) > 1:
                    parts.append(group.file_name)
                if growth != "generation":
                    parts.append(growth)
                for kind in formats:
                    file = output / ("-".join(parts) + "." + kind)
                    date = {"pdf": "CreationDate", "svg": "Date"}.get(kind)
                    software = {"Software": None} if kind == "png" else {}
                    figure.savefig(file, metadata={date: None} if date else software)
                    print(file)
                    written += 1
                plt.close(figure)
    if written == 0:
        raise PlotError(f"{arguments.folder}: nothing to draw")


if __name__ == "__main__":
    try:
        main()
    except PlotError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
