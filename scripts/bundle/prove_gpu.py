#!/usr/bin/env python3
"""What prove-gpu.sh makes of its parts' results. Python's standard library alone.

  prove_gpu.py page FOLDER        page.md and prove-gpu.json, of whatever parts there are
  prove_gpu.py same-tokens A B    whether two files of a sweep's records say the same tokens
  prove_gpu.py gaps TRACE.csv     the share of decode steps in which no kernel runs, of nsys' cuda_gpu_trace
"""

import csv
import datetime
import json
import pathlib
import re
import sys

GOALS = {"decode": 0.85, "budget": 0.90, "columns": 0.05, "gaps": 0.10}
LAST_LINES = 15
MOST_LISTED = 10
# LLaVA-1.5 7B's layers, and how many of the last steps of a trace are looked at: those before may be of a warm-up.
LAYERS, STEPS = 32, 16


def read_json(path):
    """The file's content, or None where it is not there or was cut off."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def read_lines(path):
    """Lines that are JSON objects, whatever else the file says."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except ValueError:
                pass  # the last line of a program that was stopped
    return found


def last_lines(path):
    try:
        return path.read_text(errors="replace").splitlines()[-LAST_LINES:]
    except OSError:
        return []


def percent(share):
    return f"{100 * share:.1f} %"


def time_of(seconds):
    return f"{seconds * 1e6:,.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:,.2f} ms"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join(["---"] * len(header)) + " |"]
    return lines + ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]


def tests_of(folder, part):
    """(tests that ran, skipped ones, failed ones by name) of a part's gtest file, or None."""
    report = read_json(folder / f"{part}.tests.json")
    if report is None:
        return None
    tests = [(f"{suite['name']}.{test['name']}", test) for suite in report["testsuites"] for test in suite["testsuite"]
             if test.get("status") == "RUN"]
    return {"ran": len(tests), "skipped": sum(test.get("result") == "SKIPPED" for _, test in tests),
            "failed": [name for name, test in tests if test.get("failures")],
            "furthest": {name.removeprefix("Families/GoldenFamilies.LogitsAndPerplexity/"): test["furthest"]
                         for name, test in tests if "furthest" in test}}


def benches_of(folder):
    """By part: the cells of its bench.json."""
    found = {}
    for path in sorted(folder.glob("bench-*/bench.json")):
        report = read_json(path)
        if report is not None:
            found[path.parent.name.removeprefix("bench-")] = report
    return found


def median_of(cell, key):
    spread = cell.get(key)
    return None if spread is None else spread["median"]


def goals_of(kernels, benches, gaps):
    """What the figures come to beside the goals: name, goal, lines of (where, figure, whether it is reached)."""
    decode = [(f"{line['shape']}", line["of_bandwidth"], line["of_bandwidth"] >= GOALS["decode"])
              for line in kernels if line.get("kernel") == "decode attention"]
    budget, columns = [], []
    for report in benches.values():
        cells = [cell for cell in report["cells"] if not cell.get("skipped") and cell.get("bound")]
        for cell in cells:
            where = f"{cell['model']}, batch {cell['batch']}"
            if cell["strategy"] != "elastic":
                continue
            # Of the rows of a batch together, as the prefill's time is.
            share = median_of(cell, "statistics_seconds") / median_of(cell, "prefill_seconds")
            columns.append((f"{where}, {cell['prompt_tokens']} tokens", share, share <= GOALS["columns"]))
            full = [one for one in cells if one["strategy"] == "full" and one["batch"] == cell["batch"]]
            if not full or cell["batch"] < 16:
                continue
            gained = median_of(full[0], "decode_step_seconds") / median_of(cell, "decode_step_seconds")
            possible = full[0]["bound"]["step_seconds"] / cell["bound"]["step_seconds"]
            budget.append((f"{where}: {gained:.2f} of {possible:.2f} times", gained / possible,
                           gained / possible >= GOALS["budget"]))
    idle = [] if gaps is None else [(f"{gaps['steps']} steps, batch 16", gaps["share"], gaps["share"] <= GOALS["gaps"])]
    return [("decode attention, share of the memory bandwidth", f"at least {percent(GOALS['decode'])}", decode),
            ("budget 0.2 against full from batch 16 on, share of the speed-up that the bound allows",
             f"at least {percent(GOALS['budget'])}", budget),
            ("column sums, beside a prefill", f"at most {percent(GOALS['columns'])}", columns),
            ("a step's gaps between kernels", f"at most {percent(GOALS['gaps'])}", idle)]


def page(folder):
    order = "device tests families sweep kernels 7b direct gaps memcheck racecheck initcheck 13b qwen".split()
    notes = [note for path in folder.glob("*.json")
             if isinstance(note := read_json(path), dict) and {"part", "state"} <= note.keys()]
    notes.sort(key=lambda note: (order.index(note["part"].split("-")[0]), note["part"]))
    for note in notes:
        note["last_lines"] = last_lines(folder / f"{note['part']}.log")
    lines_of_kernels = read_lines(folder / "kernels.log")
    device = next((line for line in lines_of_kernels if "device" in line), None)
    kernels = [line for line in lines_of_kernels if "kernel" in line]
    benches = benches_of(folder)
    gaps = read_json(folder / "gaps.share.json")
    tests = {part: found for part in ("tests", "families") if (found := tests_of(folder, part)) is not None}
    goals = goals_of(kernels, benches, gaps)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")

    text = ["# A GPU proved", "", "This page answers what `prove-gpu.sh` found on one machine.", "",
            f"Made {now} on {device['device'] if device else 'a device that did not tell its name'}."]
    text += ["", "## Parts", ""]
    text += table(["part", "state", "seconds", "limit", "what"],
                  [(note["part"], "**ran past its limit**" if note["state"] == "out of time" else
                    note["state"] if note["state"] in ("passed", "left out") else f"**{note['state']}**",
                    note["seconds"], note["limit"], f"`{note['what']}`" if note["limit"] else note["what"])
                   for note in notes])
    for note in notes:
        if note["state"] in ("failed", "out of time", "cut off"):
            text += ["", f"The last lines of {note['part']}:", "", "```", *note["last_lines"], "```"]
    shown = next((note for note in notes if note["part"] == "device"), None)
    if shown:
        text += ["", "## Device", "", "```", *shown["last_lines"], "```"]

    text += ["", "## Goals", ""]
    rows = []
    for name, goal, figures in goals:
        rows += [(name, goal, where, percent(figure), "yes" if reached else "**no**")
                 for where, figure, reached in figures] or [(name, goal, "not measured", "", "")]
    text += table(["what", "goal", "where", "measured", "reached"], rows)

    for part, found in tests.items():
        text += ["", f"## {'Tests' if part == 'tests' else 'Families against golden data'}", "",
                 f"{found['ran']} tests, {found['skipped']} skipped, {len(found['failed'])} failed."]
        text += [f"- failed: `{name}`" for name in found["failed"]]
        if found["furthest"]:
            text += ["", *table(["family and dtype", "furthest from transformers' fp32"], found["furthest"].items())]

    if device:
        text += ["", "## Kernels", "",
                 f"A copy moves {device['copied_bytes_per_second'] / 1e9:,.0f} GB/s, a product of {device['product']:,} "
                 f"rows and columns in bf16 does {device['product_operations_per_second'] / 1e12:,.1f} TFLOP/s. Times "
                 "are medians of single calls, and without the host's part unless they say otherwise.", ""]
        text += table(["kernel", "shape", "time", "of the bandwidth", "of the matrix units"],
                      [(line["kernel"] + (", host included" if line["with_host"] else ""), line["shape"],
                        time_of(line["seconds"]), percent(line["of_bandwidth"]) if "of_bandwidth" in line else "",
                        percent(line["of_matrix_rate"]) if "of_matrix_rate" in line else "") for line in kernels])

    if benches:
        text += ["", "## Decoding beside the bound", "",
                 "Random weights in bf16; `docs/bench.md` says what is measured.", ""]
        rows = []
        for report in benches.values():
            for cell in report["cells"]:
                labels = [cell["model"], cell["strategy"], cell["budget"], cell["batch"],
                          f"{cell['prompt_tokens']}+{cell['new_tokens']}"]
                if cell.get("skipped") or not cell.get("bound"):
                    rows.append([*labels, "", "", "", cell.get("skipped") or "not run", "", ""])
                    continue
                step, bound = median_of(cell, "decode_step_seconds"), cell["bound"]["step_seconds"]
                rows.append([*labels, f"{median_of(cell, 'prefill_tokens_per_second'):,.0f}", time_of(step),
                             time_of(bound), f"{step / bound:.2f}",
                             f"{median_of(cell, 'throughput_tokens_per_second'):,.0f}",
                             f"{cell['memory_bytes']['peak'] / 2**30:.1f}"])
        text += table(["model", "strategy", "budget", "batch", "tokens", "prefill tok/s", "step", "bound", "x bound",
                       "throughput tok/s", "peak GiB"], rows)

    write(folder / "page.md", "\n".join(text) + "\n")
    write(folder / "prove-gpu.json", json.dumps(
        {"schema": "elastikv-prove-gpu-1", "made": now, "device": device, "parts": notes, "tests": tests,
         "kernels": kernels, "bench": benches, "gaps": gaps,
         "goals": [{"what": name, "goal": goal, "figures": [
             {"where": where, "figure": figure, "reached": reached} for where, figure, reached in figures]}
                   for name, goal, figures in goals]}, indent=1) + "\n")
    return 0


def write(path, text):
    """At once: whoever looks, or a run that is cut off, finds the file before or this one."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.replace(path)


def same_tokens(first, second):
    def tokens(path):
        return {(line["cell"], line["sample"]): line for line in read_lines(pathlib.Path(path)) if "cell" in line}

    one, other = tokens(first), tokens(second)
    if not one:
        print(f"{first} has no records")
        return 1
    differing = [place for place in sorted(one.keys() | other.keys())
                 if place not in one or place not in other or one[place].get("status") != "ok"
                 or other[place].get("status") != "ok" or one[place].get("token_ids") != other[place].get("token_ids")]
    for place in differing[:MOST_LISTED]:
        here, there = (f"{found.get(place, {}).get('status', 'not there')}, {found.get(place, {}).get('token_ids')}"
                       for found in (one, other))
        print(f"{', '.join(place)}: {here}; on the device {there}")
    written = sum(len(line.get("token_ids", ())) for line in one.values())
    print(f"{len(one) - len(differing)} of {len(one)} answers have the same tokens; {written} tokens in all")
    return 1 if differing else 0


def gaps(trace):
    with open(trace, newline="") as file:
        rows = [(int(row["Start (ns)"]), int(row["Duration (ns)"]), row["Name"]) for row in csv.DictReader(file)]
    rows.sort()
    # Nothing but decode steps calls this kernel, once in every layer.
    attending = [i for i, (_, _, name) in enumerate(rows) if re.search(r"\battend_split\b", name)]
    if len(attending) <= LAYERS * STEPS:
        print(f"error: {trace} has {len(attending)} calls of decode attention, {LAYERS * STEPS + 1} are needed",
              file=sys.stderr)
        return 1
    attending = attending[-LAYERS * STEPS - 1:]
    begin, end = rows[attending[0]][0], rows[attending[-1]][0]
    busy, until = 0, begin
    for start, duration, _ in rows[attending[0]:attending[-1]]:
        busy += max(0, min(start + duration, end) - max(start, until))
        until = max(until, start + duration)
    print(json.dumps({"share": 1 - busy / (end - begin), "seconds": (end - begin) * 1e-9, "steps": STEPS}))
    return 0


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "page":
        return page(pathlib.Path(arguments[1]))
    if len(arguments) == 3 and arguments[0] == "same-tokens":
        return same_tokens(*arguments[1:])
    if len(arguments) == 2 and arguments[0] == "gaps":
        return gaps(arguments[1])
    print(__doc__.strip(), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
