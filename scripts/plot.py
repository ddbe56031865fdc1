#!/usr/bin/env python3
"""Draws a sweep's results, from its output folder alone (docs/plots.md shows every kind of picture).

    ~/.cache/elastikv/tools/bin/python scripts/plot.py results/quickstart [more folders, joined]

- budget: perplexity, each text metric and the agreement with the full cache against the KV budget; published points with
  --published
- bytes: perplexity and text metrics against the size of the cache
- fixed-point: perplexity against the place of the fixed point, where strategies differ in it
- importance, kept: where attention goes in single samples and which entries the strategies keep

Of several models and data sets there is a picture each and, of budgets, one of all. Intervals are 95 % bootstrap intervals
over samples, the same numbers as in `elastikv report`.
"""

from elastikv_plots.base import run


def main():
    from elastikv_plots import sweep_pictures  # inside, so that a missing matplotlib is told in one line
    sweep_pictures.main(__doc__)


if __name__ == "__main__":
    run(main)
