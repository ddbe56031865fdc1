#!/usr/bin/env python3
"""How much faster two ranks are than one, each with one thread, on this machine.

    ~/.cache/elastikv/tools/bin/python scripts/ranks_speed.py [--config configs/quickstart.yaml] [--limit 8] [--rounds 3]

Runs the sweep with one rank and with two in turns and prints records per second, from when every rank has written once
(so that loading does not count) to the last record, and their ratio, as medians over the rounds. The machine should be
quiet.
"""

import argparse
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(program, arguments, world, folder):
    """Records per second."""
    shutil.rmtree(folder, ignore_errors=True)
    port = free_port()
    environment = dict(os.environ, OMP_NUM_THREADS="1", WORLD_SIZE=str(world), LOCAL_WORLD_SIZE=str(world),
                       MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    command = [program, "sweep", *arguments, "--output", str(folder)]
    ranks = [subprocess.Popen(command, env=dict(environment, RANK=str(rank), LOCAL_RANK=str(rank)),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT) for rank in range(world)]
    marks = []  # time and number of samples, as often as it changes
    while any(rank.poll() is None for rank in ranks):
        samples = sum(file.read_bytes().count(b"\n") for file in folder.glob("records*.jsonl")) if folder.exists() else 0
        if samples and (not marks or samples != marks[-1][1]):
            marks.append((time.monotonic(), samples))
        time.sleep(0.01)
    if any(rank.returncode for rank in ranks):
        raise SystemExit(f"a rank failed: {[rank.returncode for rank in ranks]}")
    # From when every rank has written once.
    begin = next(i for i, (_, lines) in enumerate(marks) if lines >= world * marks[0][1])
    seconds = marks[-1][0] - marks[begin][0]
    return (marks[-1][1] - marks[begin][1]) / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/elastikv"))
    parser.add_argument("--config", default="configs/quickstart.yaml")
    parser.add_argument("--limit", default="8")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    arguments = [options.config, "--limit", options.limit, "--set", "details.samples=0"]
    rates = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for world, found in rates.items():
                found.append(run(options.program, arguments, world, pathlib.Path(folder) / f"ranks-{world}"))
    medians = {world: statistics.median(found) for world, found in rates.items()}
    print(f"| ranks of 1 thread | records/s, median of {options.rounds} |\n| --- | --- |")
    for world, rate in medians.items():
        print(f"| {world} | {rate:.2f} |")
    print(f"\n2 ranks against 1: {medians[2] / medians[1]:.3f} times")


if __name__ == "__main__":
    main()
