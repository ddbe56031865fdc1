#!/usr/bin/env python3
"""How much faster two ranks are than one, each with one thread, on this machine.

    ~/.cache/elastikv/tools/bin/python scripts/ranks_speed.py [--config configs/quickstart.yaml] [--limit 12] [--rounds 5]

Runs the sweep with one rank, with two, and as two shards that know nothing of each other, in turns. The shards are what
the machine gives two processes: where two of its processors are threads of one core, or share their memory's bandwidth,
that is less than twice. Prints records per second, from when every process has written once (so that loading does not
count) until the first one has ended, as medians over the rounds. The machine should be quiet.
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
    sweep = [program, "sweep", *arguments, "--output"]
    if kind == SHARDS:
        return [([*sweep, str(folder / f"shard-{i}"), "--shard", f"{i}/2", "--distributed", "off"], quiet) for i in (1, 2)]
    world = 1 if kind == ONE else 2
    port = str(free_port())
    return [([*sweep, str(folder)],
             dict(quiet, WORLD_SIZE=str(world), LOCAL_WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=port,
                  RANK=str(rank), LOCAL_RANK=str(rank))) for rank in range(world)]


def rate_of(kind, program, arguments, folder):
    """Records per second."""
    shutil.rmtree(folder, ignore_errors=True)
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
                 for command, environment in commands_of(kind, program, arguments, folder)]
    marks = []  # (time, lines by file), as often as they change
    while all(process.poll() is None for process in processes):
        lines = {file: file.read_bytes().count(b"\n") for file in folder.glob("**/records*.jsonl")}
        if not marks or lines != marks[-1][1]:
            marks.append((time.monotonic(), lines))
        time.sleep(0.01)
    for process in processes:
        process.wait()
    if any(process.returncode for process in processes):
        raise SystemExit(f"{kind}: a process failed: {[process.returncode for process in processes]}")

    def written(lines):
        return sum(1 for count in lines.values() if count > 0)

    begin = next(i for i, (_, lines) in enumerate(marks) if written(lines) >= len(processes))
    first, last = marks[begin], marks[-1]
    return (sum(last[1].values()) - sum(first[1].values())) / (last[0] - first[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/elastikv"))
    parser.add_argument("--config", default="configs/quickstart.yaml")
    parser.add_argument("--limit", default="12")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    arguments = [options.config, "--limit", options.limit, "--set", "details.samples=0"]
    rates = {ONE: [], TWO: [], SHARDS: []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(options.rounds):
            for kind, found in rates.items():
                found.append(rate_of(kind, options.program, arguments, pathlib.Path(folder) / kind.replace(" ", "-")))
                print(f"round {turn + 1} of {options.rounds}: {kind}: {found[-1]:.2f} records/s", flush=True)
    print(f"\n| processes of 1 thread | records/s, median of {options.rounds} | against 1 rank, median of the rounds |"
          "\n| --- | --- | --- |")
    for kind, found in rates.items():
        # A round's runs are minutes apart, so that their ratio is steadier than either rate.
        ratio = statistics.median(rate / one for rate, one in zip(found, rates[ONE]))
        print(f"| {kind} | {statistics.median(found):.2f} | {ratio:.3f} |")
    of_shards = statistics.median(two / shards for two, shards in zip(rates[TWO], rates[SHARDS]))
    print(f"\n2 ranks against 2 shards: {of_shards:.3f}")


if __name__ == "__main__":
    main()
