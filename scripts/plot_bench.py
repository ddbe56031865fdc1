#!/usr/bin/env python3
"""Draws what `elastikv bench` measured: one picture per question that its cells can answer.

    ~/.cache/elastikv/tools/bin/python scripts/plot_bench.py results/bench/decode-scaling [more folders or bench.json files]

- decode: milliseconds per decode step against kept slots, with the bound of the memory's bandwidth
- batch-throughput, batch-memory: decode tokens per second and cache (and peak) memory against the batch
- cost-*: prefill, statistics and compression seconds against prompt tokens, decode seconds against new tokens, all
  seconds against rows; logarithmic, the fitted exponent in the legend

Figures of several files go into the same pictures. Points are medians, bars quartiles.
"""

import argparse
import json
import math
import pathlib
import sys

# Okabe and Ito's palette, as in plot.py.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D", "#882255"]
MARKERS = "osD^vP*X"
SCHEMA = "elastikv-bench-1"


class PlotError(Exception):
    pass


def read_cells(paths):
    """The cells of all files that were run, each with its model's name."""
    cells = []
    for path in paths:
        file = path / "bench.json" if path.is_dir() else path
        try:
            bench = json.loads(file.read_text())
        except OSError as error:
            raise PlotError(f"{file}: {error.strerror}") from error
        except json.JSONDecodeError as error:
            raise PlotError(f"{file}:{error.lineno}: no JSON: {error.msg}") from error
        if bench.get("schema") != SCHEMA:
            raise PlotError(f"{file}: schema is {bench.get('schema')!r}, {SCHEMA!r} is needed")
        cells += [cell for cell in bench["cells"] if "prefill_seconds" in cell]
    if not cells:
        raise PlotError("no cell was run")
    return cells


def model_of(cell):
    device = "" if cell["device"] == "cpu" else f", {cell['device']}"
    return f"{cell['model']} {cell['dtype']}{device}"


def line_of(cell, with_budget=True):
    """The name of the line that a cell belongs to."""
    budget = f" {cell['budget']}" if with_budget and cell["preset"] != "full" else ""
    return f"{model_of(cell)}: {cell['strategy']}{budget}"


def grouped(cells, key):
    groups = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return groups


def fixed(*fields):
    """Whether all cells agree in these fields; lines of a picture must differ in one thing only."""
    return lambda cell: tuple(cell[field] for field in fields)


def largest_group(cells, fields, varying):
    """Of the cells that agree in `fields` those in which `varying` takes most values."""
    groups = grouped(cells, fixed(*fields)).values()
    return max(groups, key=lambda group: len({varying(cell) for cell in group}))


def fitted_exponent(points):
    """Slope of a least-squares line through the logarithms; None below three points."""
    if len(points) < 3:
        return None
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys)) / spread if spread else None


def draw_line(axes, number, points, label):
    """points: [(x, {median, q1, q3}, factor)]."""
    points = sorted(points, key=lambda p: p[0])
    x = [p[0] for p in points]
    y = [p[1]["median"] * p[2] for p in points]
    low = [(p[1]["median"] - p[1]["q1"]) * p[2] for p in points]
    high = [(p[1]["q3"] - p[1]["median"]) * p[2] for p in points]
    colour = COLOURS[number % len(COLOURS)]
    axes.errorbar(x, y, yerr=[low, high], color=colour, marker=MARKERS[number % len(MARKERS)], markersize=4.5,
                  linewidth=1.3, capsize=2, label=label)
    return colour


def finish(axes, title, xlabel, ylabel):
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(True, linewidth=0.5, alpha=0.35)
    axes.spines[["top", "right"]].set_visible(False)
    # Sorted, so that a line's bound stands below it.
    handles = sorted(zip(*axes.get_legend_handles_labels()), key=lambda pair: pair[1])
    axes.legend(*zip(*handles), loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8.5)


def plain_ticks(axes, ticker, values, base=2):
    axes.set_xscale("log", base=base)
    axes.set_xticks(sorted(set(values)), [f"{v:g}" for v in sorted(set(values))])
    axes.xaxis.set_minor_locator(ticker.NullLocator())


def draw_decode(cells, plt, ticker):
    """Decode time against kept slots; None when all cells keep the same number."""
    cells = [c for c in cells if c["decode_step_seconds"]]
    if not cells:
        return None
    slots = lambda cell: (cell["kept_slots"]["after_prompt"] + cell["kept_slots"]["at_end"]) / 2  # noqa: E731
    cells = largest_group(cells, ("batch", "new_tokens"), slots)
    if len({slots(cell) for cell in cells}) < 3:
        return None
    figure, axes = plt.subplots(figsize=(7.6, 4.2), layout="constrained")
    # The full cache is one more point of each model's line rather than a line of its own.
    lines = grouped(cells, lambda cell: line_of(cell, with_budget=False))
    number = 0
    for model, of_model in grouped(cells, model_of).items():
        for name, points in lines.items():
            if not name.startswith(f"{model}:"):
                continue
            draw_line(axes, number, [(slots(c), c["decode_step_seconds"], 1e3) for c in points], name)
            number += 1
        bounds = sorted((slots(c), c["bound"]["step_seconds"] * 1e3) for c in of_model)
        axes.plot(*zip(*bounds), color="black", linestyle=(0, (4, 2)) if model.endswith("fp32") else (0, (1, 2)),
                  linewidth=1.1, label=f"{model}: the bandwidth's bound", zorder=1)
    # A quartile far out, of a moment when the machine was busy, must not press the medians together.
    highest = max(c["decode_step_seconds"]["median"] for c in cells) * 1e3
    axes.set_ylim(0, min(axes.get_ylim()[1], 1.6 * highest))
    axes.set_xlim(left=0)
    finish(axes, f"batch {cells[0]['batch']}, {cells[0]['new_tokens'] - 1} steps per run", "slots kept per layer, mean over the steps",
           "ms per decode step")
    return figure


def draw_batch(cells, plt, ticker, memory):
    """Throughput or memory against the batch; None with fewer than two batches."""
    if not memory:
        cells = [c for c in cells if c["decode_tokens_per_second"]]
    if not cells:
        return None
    cells = largest_group(cells, ("prompt_tokens", "new_tokens"), lambda cell: cell["batch"])
    batches = {cell["batch"] for cell in cells}
    if len(batches) < 2:
        return None
    figure, axes = plt.subplots(figsize=(7.6, 4.2), layout="constrained")
    for number, (name, points) in enumerate(grouped(cells, line_of).items()):
        points.sort(key=lambda cell: cell["batch"])
        x = [c["batch"] for c in points]
        colour = COLOURS[number % len(COLOURS)]
        if memory:
            marker = MARKERS[number % len(MARKERS)]
            axes.plot(x, [c["cache_bytes"]["at_end"] / 2**20 for c in points], color=colour, marker=marker,
                      markersize=4.5, linewidth=1.3, label=f"{name}: cache")
            grown = [(c["memory_bytes"]["peak"] - c["memory_bytes"]["before"]) / 2**20 for c in points]
            axes.plot(x, grown, color=colour, linestyle=(0, (4, 2)), linewidth=1.1, label=f"{name}: peak above weights")
        else:
            draw_line(axes, number, [(c["batch"], c["decode_tokens_per_second"], 1) for c in points], name)
            axes.plot(x, [c["batch"] / c["bound"]["step_seconds"] for c in points], color=colour,
                      linestyle=(0, (4, 2)), linewidth=1.1, label=f"{name}, bound")
    plain_ticks(axes, ticker, batches)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    first = cells[0]
    finish(axes, f"{first['prompt_tokens']} prompt and {first['new_tokens']} new tokens per row", "batch (rows)",
           "MiB" if memory else "decode tokens per second, all rows")
    return figure


# Name of a picture, what varies, what must be equal, and the figures drawn against it.
COSTS = (
    ("cost-prompt", "prompt_tokens", ("batch", "new_tokens"), (("prefill", "prefill_seconds"), ("statistics", "statistics_seconds"),
                                                              ("compression", "compression_seconds"))),
    ("cost-decode", "new_tokens", ("batch", "prompt_tokens"), (("decode", None),)),
    ("cost-batch", "batch", ("prompt_tokens", "new_tokens"), (("everything", "total_seconds"),)),
)


def draw_cost(cells, varying, fields, figures, plt, ticker):
    """Seconds against one quantity on logarithmic axes; None with fewer than three values of it."""
    cells = largest_group(cells, fields, lambda cell: cell[varying])
    values = {cell[varying] for cell in cells}
    if len(values) < 3:
        return None
    figure, axes = plt.subplots(figsize=(8.0, 4.4), layout="constrained")
    number = 0
    for name, points in grouped(cells, line_of).items():
        for what, field in figures:
            if field is None:
                drawn = [(c[varying], c["decode_step_seconds"], c["new_tokens"] - 1) for c in points if c["decode_step_seconds"]]
            else:
                drawn = [(c[varying], c[field], 1) for c in points]
            # Of a strategy that asks for nothing the time is that of reading a clock.
            if not drawn or max(spread["median"] * factor for _, spread, factor in drawn) < 5e-4:
                continue
            exponent = fitted_exponent([(x, spread["median"] * factor) for x, spread, factor in drawn])
            power = "" if exponent is None else f"  ~ n^{exponent:.2f}"
            draw_line(axes, number, drawn, f"{name}, {what}{power}")
            number += 1
    if number == 0:
        plt.close(figure)
        return None
    axes.set_yscale("log")
    plain_ticks(axes, ticker, values)
    others = ", ".join(f"{cells[0][field]} {field.replace('_', ' ')}" if field != "batch" else f"batch {cells[0][field]}" for field in fields)
    finish(axes, others, varying.replace("_", " "), "seconds")
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=pathlib.Path, nargs="+", help="output folders of elastikv bench, or JSON files")
    parser.add_argument("--output", type=pathlib.Path, help="folder for the pictures (default: plots beside the first)")
    parser.add_argument("--formats", default="png,svg", help="comma list of png, svg, pdf (default: %(default)s)")
    parser.add_argument("--strategies", help="comma list of the strategies to draw (default: all)")
    parser.add_argument("--dtypes", help="comma list of the precisions to draw (default: all)")
    arguments = parser.parse_args()
    formats = arguments.formats.split(",")
    if unknown := sorted(set(formats) - {"png", "svg", "pdf"}):
        raise PlotError(f"--formats: {unknown[0]!r} is not one of png, svg, pdf")
    try:
        import matplotlib
    except ImportError as error:
        raise PlotError("matplotlib is missing; install it with: python3 -m pip install matplotlib") from error
    matplotlib.use("Agg")
    # The same figures give the same bytes.
    matplotlib.rcParams.update({"svg.hashsalt": "elastikv", "svg.fonttype": "none", "font.size": 9,
                                "savefig.dpi": 150, "axes.axisbelow": True})
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    cells = read_cells(arguments.paths)
    for option, field in (("strategies", "strategy"), ("dtypes", "dtype")):
        if wanted := getattr(arguments, option):
            known = sorted({cell[field] for cell in cells})
            for name in wanted.split(","):
                if name not in known:
                    raise PlotError(f"--{option}: no {field} {name!r} was measured; known: {', '.join(known)}")
            cells = [cell for cell in cells if cell[field] in wanted.split(",")]
    first = arguments.paths[0]
    output = arguments.output or (first if first.is_dir() else first.parent) / "plots"
    output.mkdir(parents=True, exist_ok=True)
    pictures = {"decode": draw_decode(cells, plt, ticker),
                "batch-throughput": draw_batch(cells, plt, ticker, memory=False),
                "batch-memory": draw_batch(cells, plt, ticker, memory=True)}
    for name, varying, fields, figures in COSTS:
        pictures[name] = draw_cost(cells, varying, fields, figures, plt, ticker)
    if not any(pictures.values()):
        raise PlotError("nothing to draw: kept slots, batch, prompt and new tokens hardly vary in these cells")
    for name, figure in pictures.items():
        if figure is None:
            continue
        for kind in formats:
            file = output / f"{name}.{kind}"
            date = {"pdf": "CreationDate", "svg": "Date"}.get(kind)
            figure.savefig(file, metadata={date: None} if date else {"Software": None})
            print(file)
        plt.close(figure)


if __name__ == "__main__":
    try:
        main()
    except PlotError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
