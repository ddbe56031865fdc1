#!/usr/bin/env python3
"""Times `elastikv sweep` against the number of samples and of cells, and fits the exponents.

    ~/.cache/elastikv/tools/bin/python scripts/sweep_cost.py --output results/sweep-cost

Perplexity only, on the default model: one series over samples with all cells, one over cells with the most samples.
Every point is a process of its own; rounds go through all points in turns. Times are the shared and the cells' own
seconds of the records (loading is left out), summed. Writes sweep-cost.json, .md, .png and .svg.
"""

import argparse
import json
import os
import pathlib
import sys

from elastikv_plots.base import Album, run
from elastikv_plots.sweep_times import spread_of, sweep_seconds

ROOT = pathlib.Path(__file__).resolve().parents[1]
STRATEGIES = ["full", "elastic", "h2o", "streaming-llm"]
BUDGETS = [f"0.{i}" for i in range(1, 10)]


def series_config(arguments, samples, budgets):
    return (f"models: {{path: {arguments.model}, label: stampvlm}}\n"
            f"data: {{path: {arguments.data}, name: scenes, turn: first, limit: {samples}}}\n"
            f"strategies: [{', '.join(STRATEGIES)}]\nbudgets: {{keep: [{', '.join(budgets)}]}}\n"
            "metrics: {text: [], agreement: false}\n")


def main():
    # Inside, so that a missing matplotlib is told in one line, before hours of sweeps.
    from elastikv_plots import looks
    from elastikv_plots.bench import draw_line, fitted_exponent, logarithmic_counts

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--samples", default="1,2,4,8", help="comma list, ascending (default: %(default)s)")
    parser.add_argument("--budgets", default="1,3,9", help="comma list of numbers of budgets, up to 9 (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="(default: all cores)")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models/stampvlm/assembled")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "datasets/detail-scenes/test/annotations.json")
    parser.add_argument("--elastikv", type=pathlib.Path, default=ROOT / "build/release/bin/elastikv")
    arguments = parser.parse_args()
    samples = [int(n) for n in arguments.samples.split(",")]
    budgets = [int(n) for n in arguments.budgets.split(",")]
    if not all(1 <= n <= len(BUDGETS) for n in budgets) or min(samples) < 1:
        parser.error("--samples needs numbers from 1, --budgets numbers from 1 to 9")
    points = sorted({(n, max(budgets)) for n in samples} | {(max(samples), n) for n in budgets})
    times, cells = {point: [] for point in points}, {}
    for turn in range(arguments.rounds):
        for i in range(len(points)):
            point = points[(i + turn) % len(points)]
            seconds, cells[point], _ = sweep_seconds(
                arguments.elastikv, series_config(arguments, point[0], BUDGETS[:point[1]]), arguments.threads)
            times[point].append(seconds)
            print(f"round {turn + 1} of {arguments.rounds}: {point[0]} samples, {cells[point]} cells: {seconds:.1f} s", file=sys.stderr)

    series = {"samples": [(p[0], spread_of(times[p])) for p in points if p[1] == max(budgets)],
              "cells": [(cells[p], spread_of(times[p])) for p in points if p[0] == max(samples)]}
    album = Album(arguments.output, ("png", "svg"))
    figure, panels = looks.panels("full", 1, 2, 2.8)
    lines = ["| against | number | seconds | quartiles |", "| --- | ---: | ---: | ---: |"]
    exponents = {}
    for number, (name, measured) in enumerate(series.items()):
        exponents[name] = fitted_exponent([(x, spread["median"]) for x, spread in measured])
        power = "" if exponents[name] is None else f"~ n^{exponents[name]:.2f}"
        axes = panels[0][number]
        draw_line(axes, (looks.COLOURS[number], looks.MARKERS[number], "-"), [(x, spread, 1) for x, spread in measured])
        seconds = [spread[end] for _, spread in measured for end in ("q1", "median", "q3")]
        looks.logarithmic(axes.yaxis, min(seconds), max(seconds))
        logarithmic_counts(axes, [x for x, _ in measured], inches=2.8)
        other = f"{cells[max(samples), max(budgets)]} cells" if name == "samples" else f"{max(samples)} samples"
        axes.set_title(f"{other}  {power}", loc="left")
        axes.set_xlabel(name)
        axes.set_ylabel("seconds of one sweep")
        looks.grid(axes)
        lines += [f"| {name} | {x} | {s['median']:.2f} | {s['q1']:.2f}..{s['q3']:.2f} |" for x, s in measured]
    text = "\n".join(lines) + "\n\n" + ", ".join(
        f"exponent over {name}: {value:.2f}" for name, value in exponents.items() if value is not None) + "\n"
    album.save("sweep-cost", figure)
    (arguments.output / "sweep-cost.md").write_text(text)
    (arguments.output / "sweep-cost.json").write_text(json.dumps(
        {"schema": "elastikv-sweep-cost-1", "threads": arguments.threads, "rounds": arguments.rounds, "exponents": exponents,
         "series": {name: [{"number": x, **spread} for x, spread in measured] for name, measured in series.items()}}, indent=1) + "\n")
    print(text, end="")


if __name__ == "__main__":
    run(main)
