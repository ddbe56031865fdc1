"""Runs `elastikv sweep` in a folder of its own and adds up what its records say of time."""

import json
import os
import pathlib
import statistics
import subprocess
import tempfile

from .base import PlotError


def sweep_seconds(elastikv, config, threads):
    """Seconds of all work on all samples of a sweep (loading is left out), and its numbers of cells and samples.

    config: the YAML text without `output`.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        (folder / "sweep.yaml").write_text(f"{config}output: {folder / 'out'}\n")
        done = subprocess.run([elastikv, "sweep", folder / "sweep.yaml"], capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": str(threads)}, check=False)
        if done.returncode != 0:
            raise PlotError(f"elastikv sweep failed: {done.stderr.strip()}")
        shared, own, cells = {}, 0.0, set()
        for line in (folder / "out/records.jsonl").read_text().splitlines():
            record = json.loads(line)
            shared[record["sample"]] = sum(record["shared_seconds"].values())
            own += sum(record["seconds"].values())
            cells.add(record["cell"])
        return sum(shared.values()) + own, len(cells), len(shared)


def spread_of(values):
    if len(values) == 1:
        return {"median": values[0], "q1": values[0], "q3": values[0], "count": 1}
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "q1": low, "q3": high, "count": len(values)}
