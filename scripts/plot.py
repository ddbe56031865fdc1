#!/usr/bin/env python3
"""Draws a sweep's results from the tables in its folder, cells.csv and measures.csv (docs/plots.md shows every kind of picture).

    ~/.cache/elastikv/tools/bin/python scripts/plot.py results/quickstart

- budget: each measure (perplexity, text metrics, agreement with the full cache) against the KV budget; published points with
  --published
- tasks: of each model with several benchmarks (tasks.csv) the mean share of the full cache's scores against the KV budget, and each
  benchmark in its own metric
- bytes: perplexity and text metrics against the size of the cache
- needle: how often a needle is found by depth and length, a map per strategy (categories.csv)
- turns: each measure by turn of conversations that go on (turns.csv)
- fixed-point: perplexity against the place of the fixed point, where strategies differ in it
- importance, kept: where attention goes in single samples and which entries the strategies keep (details.jsonl)

Of several models and data sets there is a picture each and, of budgets, one of all. Every number, and every 95 % interval, is that of
`elastikv report`, which also joins runs.
"""

from elastikv_plots.base import run


def main():
    from elastikv_plots import sweep_pictures  # inside, so that a missing matplotlib is told in one line
    sweep_pictures.main(__doc__)


if __name__ == "__main__":
    run(main)
