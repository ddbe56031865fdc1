"""What scripts/plot.py and scripts/plot_bench.py draw with: records, intervals, looks and one module per kind of picture."""
