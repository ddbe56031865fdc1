#!/usr/bin/env python3
"""Times a sweep of questions with many cells beside the full cache alone.

    ~/.cache/elastikv/tools/bin/python scripts/question_cost.py --output results/timing/questions

36 cells (the full cache, seven strategies at five budgets) share the image's encoding and the prefill of every question,
and their answers are short: what a cell more costs is what this measures. Both sweeps run in turns, each a process of its
own; times are the shared and the cells' own seconds of the records (loading is left out). Writes question-cost.json and
.md.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys

from elastikv_plots.base import run
from elastikv_plots.sweep_times import spread_of, sweep_seconds

ROOT = pathlib.Path(__file__).resolve().parents[1]
OTHERS = "elastic, elastic-plus, h2o, snapkv, streaming-llm, random, stride"
SWEEPS = {"full": "[full]", "all": f"[full, {OTHERS}]"}
MEASURES = {"answers": "false", "answers and perplexity": "true"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--samples", type=int, default=16, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="(default: all cores)")
    parser.add_argument("--dtype", default="bf16", help="(default: %(default)s)")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models/stampvlm/assembled")
    parser.add_argument("--task", default="detail-scenes", help="(default: %(default)s)")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "datasets/detail-scenes/test/questions.jsonl")
    parser.add_argument("--elastikv", type=pathlib.Path, default=ROOT / "build/release/bin/elastikv")
    arguments = parser.parse_args()
    if arguments.samples < 1 or arguments.rounds < 1:
        parser.error("--samples and --rounds need numbers from 1")

    def config(strategies, perplexity):
        return (f"models: {{path: {arguments.model}, label: model, dtype: {arguments.dtype}}}\n"
                f"data: {{task: {arguments.task}, path: {arguments.data}, name: questions, limit: {arguments.samples}}}\n"
                f"strategies: {strategies}\nbudgets: {{keep: [0.1, 0.2, 0.3, 0.5, 0.7]}}\n"
                f"metrics: {{perplexity: {perplexity}, agreement: false}}\n")

    points = [(measure, sweep) for measure in MEASURES for sweep in SWEEPS]
    times, cells = {point: [] for point in points}, {}
    for turn in range(arguments.rounds):
        for point in points[turn % len(points):] + points[:turn % len(points)]:
            seconds, cells[point], samples = sweep_seconds(
                arguments.elastikv, config(SWEEPS[point[1]], MEASURES[point[0]]), arguments.threads)
            times[point].append(seconds / samples)
            print(f"round {turn + 1} of {arguments.rounds}: {point[0]}, {cells[point]} cells: {times[point][-1]:.2f} s a sample",
                  file=sys.stderr)

    rows = []
    for measure in MEASURES:
        # A round's two sweeps ran within minutes of each other, so that their ratio is steadier than either time.
        ratios = [all_cells / alone for all_cells, alone in zip(times[measure, "all"], times[measure, "full"])]
        rows.append({"measures": measure, "cells": cells[measure, "all"], "full_seconds": spread_of(times[measure, "full"]),
                     "all_seconds": spread_of(times[measure, "all"]), "ratio": statistics.median(ratios),
                     "ratio_lowest": min(ratios), "ratio_highest": max(ratios)})
    lines = ["| measures | cells | the full cache alone, s a sample | all cells, s a sample | ratio (lowest..highest round) |",
             "| --- | ---: | ---: | ---: | ---: |"]
    lines += [f"| {row['measures']} | {row['cells']} | {row['full_seconds']['median']:.2f} | {row['all_seconds']['median']:.2f} | "
              f"{row['ratio']:.2f} ({row['ratio_lowest']:.2f}..{row['ratio_highest']:.2f}) |" for row in rows]
    text = "\n".join(lines) + "\n"
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "question-cost.md").write_text(text)
    (arguments.output / "question-cost.json").write_text(json.dumps(
        {"schema": "elastikv-question-cost-1", "threads": arguments.threads, "rounds": arguments.rounds, "samples": arguments.samples,
         "dtype": arguments.dtype, "rows": rows}, indent=1) + "\n")
    print(text, end="")


if __name__ == "__main__":
    run(main)
