"""What `elastikv bench` measured, as pictures, and the command of scripts/plot_bench.py."""

import argparse
import json
import math
import pathlib
import re

from matplotlib.lines import Line2D

from . import looks
from .base import Album, PlotError, comma_list, formats_of
from .published import Published, matches

SCHEMA = "elastikv-bench-1"
MIB = 2.0**20


class Bench:
    """The cells of several files: those that were run, those that did not fit, and the models with their devices."""

    def __init__(self, paths):
        self.cells, self.skipped, self.models = [], [], {}
        for path in paths:
            file = path / "bench.json" if path.is_dir() else path
            try:
                bench = json.loads(file.read_text(encoding="utf-8"))
            except OSError as error:
                raise PlotError(f"{file}: {error.strerror}") from error
            except (json.JSONDecodeError, UnicodeDecodeError) as error:
                place = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
                raise PlotError(f"{file}{place}: no JSON: {getattr(error, 'msg', error)}") from error
            schema = bench.get("schema") if isinstance(bench, dict) else None
            if schema != SCHEMA:
                raise PlotError(f"{file}: schema is {schema!r}, {SCHEMA!r} is needed")
            self.cells += [cell for cell in bench["cells"] if "prefill_seconds" in cell]
            self.skipped += [cell for cell in bench["cells"] if cell.get("skipped")]
            self.models.update({(m["label"], m["dtype"], m["device"]): m for m in bench.get("models", [])})
        if not self.cells:
            raise PlotError(f"{', '.join(str(path) for path in paths)}: no cell was run")

    def choose(self, option, field, wanted):
        known = sorted({cell[field] for cell in self.cells})
        chosen = comma_list(option, wanted, known, f"{field} that was measured")
        self.cells = [cell for cell in self.cells if cell[field] in chosen]
        self.skipped = [cell for cell in self.skipped if cell[field] in chosen]

    def device_name(self, cell):
        model = self.models.get((cell["model"], cell["dtype"], cell["device"]), {})
        return model.get("device_name", cell["device"])


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


def line_looks(cells, name_of=line_of):
    """A look per line; the first model's lines have their strategies' own."""
    return looks.looks_of(list(dict.fromkeys((name_of(cell), cell["preset"]) for cell in cells)))


def draw_line(axes, look, points):
    """points: [(x, {median, q1, q3}, factor)]; bars are quartiles."""
    points = sorted(points, key=lambda p: p[0])
    x = [p[0] for p in points]
    y = [p[1]["median"] * p[2] for p in points]
    low = [(p[1]["median"] - p[1]["q1"]) * p[2] for p in points]
    high = [(p[1]["q3"] - p[1]["median"]) * p[2] for p in points]
    colour, marker, dashes = look
    axes.errorbar(x, y, yerr=[low, high], color=colour, marker=marker, linestyle=dashes, elinewidth=0.8, capsize=1.8,
                  markersize=looks.marker_size(marker), markeredgecolor="white", markeredgewidth=0.4)


def handle(label, look):
    colour, marker, dashes = look
    return Line2D([], [], color=colour, marker=marker, linestyle=dashes, markersize=looks.marker_size(marker),
                  markeredgecolor="white", markeredgewidth=0.4, label=label)


def logarithmic_counts(axes, values, inches):
    """A horizontal axis of counts, on a logarithmic scale with the counts themselves as ticks."""
    axes.set_xscale("log", base=2)
    looks.listed_ticks(axes.xaxis, values, inches)


BOUND = (0, (1.2, 1.2))


def draw_bound(axes, x, y, look):
    """A dotted line beside a line, told by small markers of the same kind where colours are not seen."""
    axes.plot(x, y, color=look[0], linestyle=BOUND, linewidth=1.0, marker=look[1], markersize=2.5)


def bound_handle(label="dotted: bound of bandwidth and arithmetic"):
    return Line2D([], [], color=looks.GREY, linestyle=BOUND, linewidth=1.0, label=label)


def draw_decode(bench, arguments):
    """Decode time against kept slots; None when all cells keep the same number."""
    cells = [c for c in bench.cells if c["decode_step_seconds"]]
    if not cells:
        return None
    slots = lambda cell: (cell["kept_slots"]["after_prompt"] + cell["kept_slots"]["at_end"]) / 2  # noqa: E731
    cells = largest_group(cells, ("batch", "new_tokens"), slots)
    if len({slots(cell) for cell in cells}) < 3:
        return None
    figure, panels = looks.panels(arguments.width, 1, 1, 3.0 if arguments.width == "full" else 2.4)
    axes = panels[0][0]
    # The full cache is one more point of each model's line rather than a line of its own.
    name_of = lambda cell: line_of(cell, with_budget=False)  # noqa: E731
    own = line_looks(cells, name_of)
    for name, points in grouped(cells, name_of).items():
        draw_line(axes, own[name], [(slots(c), c["decode_step_seconds"], 1e3) for c in points])
    handles = [handle(name, look) for name, look in own.items()]
    for number, (model, of_model) in enumerate(grouped(cells, model_of).items()):
        bounds = sorted((slots(c), c["bound"]["step_seconds"] * 1e3) for c in of_model)
        dashes = looks.DASHES[1:][number % 3]
        axes.plot(*zip(*bounds), color="black", linestyle=dashes, linewidth=1.0, zorder=1)
        handles.append(Line2D([], [], color="black", linestyle=dashes, linewidth=1.0, label=f"{model}: bound of the machine"))
    # A quartile far out, of a moment when the machine was busy, must not press the medians together.
    highest = max(c["decode_step_seconds"]["median"] for c in cells) * 1e3
    axes.set_ylim(0, min(axes.get_ylim()[1], 1.6 * highest))
    axes.set_xlim(left=0)
    axes.set_xlabel("slots kept per layer, mean over the steps")
    axes.set_ylabel("ms per decode step")
    looks.grid(axes)
    steps = cells[0]["new_tokens"] - 1
    looks.heading(figure, f"batch {cells[0]['batch']}, {steps} step{'' if steps == 1 else 's'} per run", arguments.width)
    looks.legend(figure, arguments.width, handles)
    return figure


def lengths_of(cell):
    return f"{cell['prompt_tokens']}+{cell['new_tokens']}"


def batch_panels(cells, arguments, measured):
    """The cells by their lengths, those alone in which the batch varies, and a panel for each; None when it never does."""
    by_lengths = {lengths: of for lengths, of in grouped([c for c in cells if measured(c)], lengths_of).items()
                  if len({cell["batch"] for cell in of}) > 1}
    if not by_lengths:
        return None
    across = min(len(by_lengths), 3 if arguments.width == "full" else 1)
    down = -(-len(by_lengths) // across)
    figure, panels = looks.panels(arguments.width, down, across, 2.8 if arguments.width == "full" else 2.4)
    for axes in panels.flat[len(by_lengths):]:
        axes.set_axis_off()
    return by_lengths, figure, panels, looks.WIDTHS[arguments.width] * 0.8 / across


def finish_batch(axes, lengths, cells, inches, values, ylabel):
    prompt, new = lengths.split("+")
    axes.set_title(f"{prompt} prompt and {new} new tokens per row", loc="left")
    logarithmic_counts(axes, [cell["batch"] for cell in cells], inches)
    looks.logarithmic(axes.yaxis, min(values), max(values))
    axes.set_xlabel("batch (rows)")
    axes.set_ylabel(ylabel)
    looks.grid(axes)


THROUGHPUTS = {"decode": ("decode_tokens_per_second", "decode tokens per second, all rows"),
               "run": ("throughput_tokens_per_second", "new tokens per second of the whole run")}


def draw_throughput(bench, arguments, what, published):
    """Tokens per second against the batch, beside what the machine's bandwidth and arithmetic allow; None with fewer than two batches."""
    field, label = THROUGHPUTS[what]
    found = batch_panels(bench.cells, arguments, lambda cell: cell.get(field))
    if found is None:
        return None
    by_lengths, figure, panels, inches = found
    cells = [cell for of in by_lengths.values() for cell in of]
    own = line_looks(cells)
    rows = {}
    for axes, (lengths, of_lengths) in zip(panels.flat, by_lengths.items()):
        values = []
        for name, points in grouped(of_lengths, line_of).items():
            points.sort(key=lambda cell: cell["batch"])
            draw_line(axes, own[name], [(c["batch"], c[field], 1) for c in points])
            bound = [c["batch"] / c["bound"]["step_seconds"] for c in points]
            draw_bound(axes, [c["batch"] for c in points], bound, own[name])
            values += bound + [c[field][end] for c in points for end in ("median", "q1", "q3")]
        for point in published.points(of_lengths, lengths) if published else []:
            colour, marker, _ = own.get(point.line, (looks.GREY, "o", "-"))
            axes.plot(point.batch, point.value, linestyle="none", marker=marker, markersize=looks.marker_size(marker) + 1.5,
                      markerfacecolor="none", markeredgecolor=colour, markeredgewidth=1.0, zorder=3)
            values.append(point.value)
            rows[point.label] = (colour, marker)
        finish_batch(axes, lengths, of_lengths, inches, values, label)
    handles = [handle(name, look) for name, look in own.items()]
    handles.append(bound_handle() if what == "decode" else bound_handle("dotted: bound of the machine, decoding alone"))
    handles += [Line2D([], [], linestyle="none", marker=marker, markerfacecolor="none", markeredgecolor=colour,
                       markeredgewidth=1.0, markersize=looks.marker_size(marker) + 1.5, label=f"{row}, published")
                for row, (colour, marker) in rows.items()]
    note = f"Hollow: published, measured on {published.device} ({published.citation})" if rows else ""
    looks.legend(figure, arguments.width, handles, note=note)
    return figure


def draw_memory(bench, arguments):
    """Memory against the batch, with what did not fit; None with fewer than two batches."""
    found = batch_panels(bench.cells, arguments, lambda cell: True)
    if found is None:
        return None
    by_lengths, figure, panels, inches = found
    own = line_looks([cell for of in by_lengths.values() for cell in of])
    any_skipped, at_hand = False, None
    for axes, (lengths, of_lengths) in zip(panels.flat, by_lengths.items()):
        values, batches = [], list(of_lengths)
        for name, points in grouped(of_lengths, line_of).items():
            points.sort(key=lambda cell: cell["batch"])
            x = [c["batch"] for c in points]
            colour, marker, dashes = own[name]
            cache = [c["cache_bytes"]["at_end"] / MIB for c in points]
            # Of a run in memory that is held already nothing is added; a logarithmic axis has no 0.
            peak = [max(c["memory_bytes"]["peak"] - c["memory_bytes"]["before"], c["cache_bytes"]["at_end"]) / MIB for c in points]
            axes.plot(x, cache, color=colour, marker=marker, linestyle=dashes, markersize=looks.marker_size(marker),
                      markeredgecolor="white", markeredgewidth=0.4)
            draw_bound(axes, x, peak, own[name])
            values += cache + peak
            left_out = [c for c in bench.skipped if line_of(c) == name and lengths_of(c) == lengths]
            for cell in left_out:
                needed = cell["needed_bytes"]["caches"] / MIB
                axes.plot(cell["batch"], needed, linestyle="none", marker="x", color=colour, markersize=5)
                values.append(needed)
                any_skipped = True
            batches += left_out
        models = [m for m in (bench.models.get((c["model"], c["dtype"], c["device"])) for c in of_lengths) if m]
        free = min((m["available_bytes"] / MIB for m in models if m.get("available_bytes")), default=None)
        if free is not None and free < 8 * max(values):
            axes.axhline(free, color="black", linestyle=looks.DASHED, linewidth=1.0)
            values.append(free)
            at_hand = True
        finish_batch(axes, lengths, batches, inches, values, "MiB")
    handles = [handle(name, look) for name, look in own.items()]
    handles.append(bound_handle("dotted: peak above the weights; drawn through: keys and values at the end"))
    if any_skipped:
        handles.append(Line2D([], [], linestyle="none", marker="x", color=looks.GREY, markersize=5,
                              label="did not fit: what its caches need"))
    if at_hand:
        handles.append(Line2D([], [], color="black", linestyle=looks.DASHED, linewidth=1.0, label="memory at hand"))
    looks.legend(figure, arguments.width, handles)
    return figure


# Name of a picture, what varies, what must be equal, and the figures drawn against it.
COSTS = (
    ("cost-prompt", "prompt_tokens", ("batch", "new_tokens"), (("prefill", "prefill_seconds"), ("statistics", "statistics_seconds"),
                                                              ("compression", "compression_seconds"))),
    ("cost-decode", "new_tokens", ("batch", "prompt_tokens"), (("decode", None),)),
    ("cost-batch", "batch", ("prompt_tokens", "new_tokens"), (("everything", "total_seconds"),)),
)


def draw_cost(bench, arguments, varying, fields, figures):
    """Seconds against one quantity on logarithmic axes; None with fewer than three values of it."""
    cells = largest_group(bench.cells, fields, lambda cell: cell[varying])
    values = {cell[varying] for cell in cells}
    if len(values) < 3:
        return None
    lines = []
    for name, points in grouped(cells, line_of).items():
        for what, field in figures:
            if field is None:
                drawn = [(c[varying], c["decode_step_seconds"], c["new_tokens"] - 1) for c in points if c["decode_step_seconds"]]
            else:
                drawn = [(c[varying], c[field], 1) for c in points]
            # Of a strategy that asks for nothing the time is that of reading a clock.
            if drawn and max(spread["median"] * factor for _, spread, factor in drawn) >= 5e-4:
                exponent = fitted_exponent([(x, spread["median"] * factor) for x, spread, factor in drawn])
                power = "" if exponent is None else f" ~\u00a0n^{exponent:.2f}"
                lines.append((f"{name}, {what}{power}", drawn))
    if not lines:
        return None
    figure, panels = looks.panels(arguments.width, 1, 1, 3.0 if arguments.width == "full" else 2.4)
    axes = panels[0][0]
    own = looks.looks_of([(name, "") for name, _ in lines])
    seconds = []
    for name, drawn in lines:
        draw_line(axes, own[name], drawn)
        seconds += [spread[end] * factor for _, spread, factor in drawn for end in ("median", "q1", "q3")]
    looks.logarithmic(axes.yaxis, min(seconds), max(seconds))
    logarithmic_counts(axes, values, looks.WIDTHS[arguments.width] * 0.8)
    axes.set_xlabel(varying.replace("_", " "))
    axes.set_ylabel("seconds")
    looks.grid(axes, "both")
    equal = [f"batch {cells[0][field]}" if field == "batch" else f"{cells[0][field]} {field.replace('_', ' ')}" for field in fields]
    looks.heading(figure, ", ".join(equal), arguments.width)
    looks.legend(figure, arguments.width, [handle(name, own[name]) for name, _ in lines])
    return figure


class PublishedPoint:
    def __init__(self, batch, value, line, label):
        self.batch, self.value, self.line, self.label = batch, value, line, label


class PublishedSpeeds(Published):
    """Published throughputs of whole runs, for runs of the same model, lengths and device."""

    def __init__(self, name, bench, any_device):
        super().__init__(name, "bench")
        cells = [cell for cell in bench.cells if self.model_for(cell)]
        if not cells:
            raise PlotError(f"--published {name}: is about {' and '.join(self.models)}; measured here: "
                            f"{', '.join(sorted({cell['model'] for cell in bench.cells}))}")
        if not any(self.values_for(cell, lengths_of(cell)) for cell in cells):
            lengths = sorted({value.lengths for value in self.values})
            raise PlotError(f"--published {name}: has values at {', '.join(lengths)} tokens; measured here: "
                            f"{', '.join(sorted({lengths_of(cell) for cell in cells}))}")
        self.device = str(self.protocol.get("device", "unknown"))
        ours = sorted({bench.device_name(cell) for cell in cells})
        if not any_device and not all(self.same_device(name_) for name_ in ours):
            what = "does not say on which device" if self.device == "unknown" else f"was measured on {self.device}"
            raise PlotError(f"--published {name}: {what}; these cells on {', '.join(ours)}; --any-device draws it all the same")

    def same_device(self, name):
        """Whether the names of devices ("one A100") are those of ours ("NVIDIA A100-SXM4-80GB")."""
        models = re.findall(r"\b[A-Za-z]+\d+\w*", self.device)
        return bool(models) and all(re.search(rf"\b{re.escape(model)}\b", name, re.IGNORECASE) for model in models)

    def model_for(self, cell):
        labels = cell["model"], f"{cell['model']}-{cell['dtype']}"
        return next((name for name, patterns in self.models.items() if matches(patterns, *labels)), None)

    def values_for(self, cell, lengths):
        """The throughputs, by published row, batch and budget; latencies where no throughput is printed."""
        model, found = self.model_for(cell), {}
        for measure in ("latency", "throughput"):
            for value in self.values:
                if (value.model, value.lengths, value.measure) == (model, lengths, measure):
                    number = value.value if measure == "throughput" else value.batch * cell["new_tokens"] / value.value
                    found[value.strategy, value.batch, value.budget] = number
        return found

    def points(self, cells, lengths):
        points = {}
        for cell in cells:
            model = self.model_for(cell)
            for (strategy, batch, budget), number in (self.values_for(cell, lengths) if model else {}).items():
                shown = "" if budget == 1 else f" {budget:g}"
                label = f"{strategy}{shown}, {model}"
                line = next((line_of(c) for pattern in self.candidates(strategy) for c in cells
                             if matches([pattern], c["strategy"]) and float(c["budget"]) == budget
                             and self.model_for(c) == model), None)
                points[label, batch] = PublishedPoint(batch, number, line, label)
        return list(points.values())


def parse(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=pathlib.Path, nargs="+", help="output folders of elastikv bench, or JSON files")
    parser.add_argument("--output", type=pathlib.Path, help="folder for the pictures (default: plots beside the first)")
    parser.add_argument("--formats", default="png,svg", help="comma list of png, svg, pdf (default: %(default)s)")
    parser.add_argument("--width", choices=sorted(looks.WIDTHS), default="full",
                        help="of the page (7 inches) or of one of two columns (3.4 inches)")
    parser.add_argument("--strategies", help="comma list of the strategies to draw (default: all)")
    parser.add_argument("--dtypes", help="comma list of the precisions to draw (default: all)")
    parser.add_argument("--published", metavar="NAME",
                        help="also the points of results/published/NAME.yaml (or of a file), where model and device are the same")
    parser.add_argument("--any-device", action="store_true", help="draw published points although they are another device's")
    return parser.parse_args()


def main(description):
    arguments = parse(description)
    formats = formats_of(arguments.formats)
    if arguments.any_device and not arguments.published:
        raise PlotError("--any-device is about the values of --published NAME, which is missing")
    bench = Bench(arguments.paths)
    if arguments.strategies:
        bench.choose("strategies", "strategy", arguments.strategies)
    if arguments.dtypes:
        bench.choose("dtypes", "dtype", arguments.dtypes)
    published = PublishedSpeeds(arguments.published, bench, arguments.any_device) if arguments.published else None
    first = arguments.paths[0]
    album = Album(arguments.output or (first if first.is_dir() else first.parent) / "plots", formats)
    album.save("decode", draw_decode(bench, arguments))
    album.save("batch-throughput", draw_throughput(bench, arguments, "decode", None))
    album.save("batch-run-throughput", draw_throughput(bench, arguments, "run", published))
    album.save("batch-memory", draw_memory(bench, arguments))
    for name, varying, fields, figures in COSTS:
        album.save(name, draw_cost(bench, arguments, varying, fields, figures))
    if not album.names:
        raise PlotError("nothing to draw: kept slots, batch, prompt and new tokens hardly vary in these cells")
