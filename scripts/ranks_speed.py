#!/usr/bin/env python3
"""How much faster two ranks are than one, each with one thread, on this machine.

    ~/.cache/elastikv/tools/bin/python scripts/ranks_speed.py [--config configs/quickstart.yaml] [--limit 8] [--rounds 3]

Runs the sweep with one rank, with two, and as two shards that know nothing of each other, in turns. The shards are what
the machine gives two processes: where two of its processors are threads of one core, or share their memory's bandwidth,
that is less than twice. Prints the seconds of the whole sweep, loading and tables included, and what one rank takes over
them, as medians over the rounds. The machine should be quiet.
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
ONE, TWO, SHARDS = "1 rank", "2 ranks", "2 shards"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def commands_of(kind, program, arguments, folder):
    """[(command, environment)] of the processes, which write into `folder`."""
    quiet = dict(os.environ, OMP_NUM_THREADS="1")
    sweep = [program, "sweep", *arguments, "--threads", "1", "--output"]
    if kind == SHARDS:
        return [([*sweep, str(folder / f"shard-{i}"), "--shard", f"{i}/2", "--distributed", "off"], quiet) for i in (1, 2)]
    world = 1 if kind == ONE else 2
    port = str(free_port())
    return [([*sweep, str(folder)],
             dict(quiet, WORLD_SIZE=str(world), LOCAL_WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=port,
                  RANK=str(rank), LOCAL_RANK=str(rank))) for rank in range(world)]


def seconds_of(kind, program, arguments, folder):
    shutil.rmtree(folder, ignore_errors=True)
    begin = time.monotonic()
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
                 for command, environment in commands_of(kind, program, arguments, folder)]
    codes = [process.wait() for process in processes]
    if any(codes):
        raise SystemExit(f"{kind}: a process failed: {codes}")
    return time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/elastikv"))
    parser.add_argument("--config", default="configs/quickstart.yaml")
    parser.add_argument("--limit", default="8")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    arguments = [options.config, "--limit", options.limit, "--set", "details.samples=0"]
    seconds = {ONE: [], TWO: [], SHARDS: []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(options.rounds):
            for kind, found in seconds.items():
                found.append(seconds_of(kind, options.program, arguments, pathlib.Path(folder) / kind.replace(" ", "-")))
                print(f"round {turn + 1} of {options.rounds}: {kind}: {found[-1]:.1f} s", flush=True)
    print(f"\n| processes of 1 thread | seconds, median of {options.rounds} | times as fast as 1 rank, median (lowest..highest) |"
          "\n| --- | --- | --- |")
    for kind, found in seconds.items():
        # A round's runs are minutes apart, so that their ratio is steadier than either time.
        ratios = [one / time for one, time in zip(seconds[ONE], found)]
        print(f"| {kind} | {statistics.median(found):.1f} | {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f}) |")
    against = statistics.median(shards / two for shards, two in zip(seconds[SHARDS], seconds[TWO]))
    print(f"\n2 ranks are {against:.3f} times as fast as 2 shards.")


if __name__ == "__main__":
    main()
