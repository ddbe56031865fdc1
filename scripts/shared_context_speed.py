#!/usr/bin/env python3
"""Times ten questions about one image in 36 cells beside the full cache alone and beside asking one by one.

    ~/.cache/elastikv/tools/bin/python scripts/shared_context_speed.py --output results/timing/shared-context

The sweep is configs/stampvlm/shared-context.yaml: the image is encoded, its prompt prefilled and every cell's cache
compressed once, before the questions. Three sweeps run in turns, each a process of its own: all cells, all cells asked one
by one (share_prefix: false) and the full cache alone; times are the shared and the cells' own seconds of the records
(loading is left out). Writes shared-context-speed.json and .md.
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
SWEEPS = {
    "the full cache alone": "strategies: [full]\nbudgets: {}\n",
    "all cells": "",
    "all cells, one by one": "share_prefix: false\n",
}
ALONE, TOGETHER, ONE_BY_ONE = SWEEPS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="(default: all cores)")
    parser.add_argument("--dtype", default="bf16", help="(default: %(default)s)")
    parser.add_argument("--perplexity", action="store_true", help="score the answers, too")
    parser.add_argument("--config", type=pathlib.Path, default=ROOT / "configs/stampvlm/shared-context.yaml")
    parser.add_argument("--elastikv", type=pathlib.Path, default=ROOT / "build/release/bin/elastikv")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds needs a number from 1")

    def config(sweep):
        metrics = f"metrics: {{perplexity: {str(arguments.perplexity).lower()}, text: [exact-match, loyalty], agreement: false}}\n"
        model = f"models: {{path: models/stampvlm/assembled, label: stampvlm, dtype: {arguments.dtype}}}\n"
        return f"extends: {arguments.config.resolve()}\n{model}{metrics}{SWEEPS[sweep]}"

    sweeps = list(SWEEPS)
    times, cells = {sweep: [] for sweep in sweeps}, {}
    for turn in range(arguments.rounds):
        for sweep in sweeps[turn % len(sweeps):] + sweeps[:turn % len(sweeps)]:
            seconds, cells[sweep], samples = sweep_seconds(arguments.elastikv, config(sweep), arguments.threads)
            times[sweep].append(seconds)
            print(f"round {turn + 1} of {arguments.rounds}: {sweep}, {cells[sweep]} cells: {seconds:.2f} s", file=sys.stderr)

    rows = []
    for sweep in sweeps:
        # A round's sweeps ran within minutes of each other, so that their ratio is steadier than either time.
        ratios = [one / alone for one, alone in zip(times[sweep], times[ALONE])]
        rows.append({"sweep": sweep, "cells": cells[sweep], "seconds": spread_of(times[sweep]),
                     "ratio": statistics.median(ratios), "ratio_lowest": min(ratios), "ratio_highest": max(ratios)})
    saved = statistics.median(apart / together for apart, together in zip(times[ONE_BY_ONE], times[TOGETHER]))
    lines = [f"| {samples} questions about one image | cells | seconds | of the full cache's (lowest..highest round) |",
             "| --- | ---: | ---: | ---: |"]
    lines += [f"| {row['sweep']} | {row['cells']} | {row['seconds']['median']:.2f} | "
              f"{row['ratio']:.2f} ({row['ratio_lowest']:.2f}..{row['ratio_highest']:.2f}) |" for row in rows]
    text = "\n".join(lines) + f"\n\nAsked together {saved:.2f} times as fast as one by one.\n"
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "shared-context-speed.md").write_text(text)
    (arguments.output / "shared-context-speed.json").write_text(json.dumps(
        {"schema": "elastikv-shared-context-speed-1", "threads": arguments.threads, "rounds": arguments.rounds,
         "samples": samples, "dtype": arguments.dtype, "perplexity": arguments.perplexity, "rows": rows,
         "one_by_one_over_together": saved}, indent=1) + "\n")
    print(text, end="")


if __name__ == "__main__":
    run(main)
