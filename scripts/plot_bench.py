#!/usr/bin/env python3
"""Draws what `elastikv bench` measured: one picture per question that its cells can answer (docs/plots.md).

    ~/.cache/elastikv/tools/bin/python scripts/plot_bench.py results/bench/decode-scaling [more folders or bench.json files]

- decode: milliseconds per decode step against kept slots, with the bound of bandwidth and arithmetic
- batch-throughput: decode tokens per second against the batch, with the bound
- batch-run-throughput: new tokens per second of everything, as papers count it; published points with --published
- batch-memory: cache and peak memory against the batch, with what did not fit
- cost-*: prefill, statistics and compression seconds against prompt tokens, decode seconds against new tokens, all
  seconds against rows; logarithmic, the fitted exponent in the legend

Figures of several files go into the same pictures. Points are medians, bars quartiles.
"""

from elastikv_plots.base import run


def main():
    from elastikv_plots import bench  # inside, so that a missing matplotlib is told in one line
    bench.main(__doc__)


if __name__ == "__main__":
    run(main)
