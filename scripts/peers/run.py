#!/usr/bin/env python3
"""Compares ElastiKV with transformers and llama.cpp: prefill and decode speed on the same weights.

    python3 scripts/peers/run.py --output results/peers

Every measure is a process of its own that loads, warms up and measures once; rounds go through all
measures in turns, never two at once, each round beginning with another one. The table has medians and
quartiles over the rounds, and each figure's ratio to ElastiKV's. In the first round the fp32 greedy
tokens of all programs are compared: they must be equal, else the programs do not do the same work.

Needs scripts/setup.sh oracle peers, a release build, and the text-only default model:
    ~/.cache/elastikv/tools/bin/python scripts/stampvlm/assemble.py --text-only models/smollm2/assembled
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("ELASTIKV_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "elastikv")


class Measure:
    """One line of the table: a program at a precision and a batch."""

    def __init__(self, system, precision, batch):
        self.system, self.precision, self.batch = system, precision, batch
        self.results = []

    @property
    def name(self):
        return f"{self.system} {self.precision} batch {self.batch}"

    def command(self, arguments, work):
        tokens, steps = arguments.prompt_tokens, arguments.steps
        if self.system == "elastikv":
            return [arguments.elastikv, "bench", work / "elastikv.yaml", "--json", "-", "--runs", "1", "--dtype",
                    self.precision, "--set", f"batch={self.batch}", "--set", f"lengths={tokens}+{steps + 1}"]
        if self.system == "llama.cpp":
            return [CACHE / "peers/bin/python", PEERS / "llama_cpp_peer.py", work / "prompts.json",
                    work / f"{self.precision}.gguf", "--steps", steps, "--threads", arguments.threads,
                    "--cache", "fp32" if self.precision == "fp32" else "fp16"]
        return [CACHE / "oracle/bin/python", PEERS / "transformers_peer.py", work / "prompts.json", "--model",
                arguments.model, "--attention", self.system.removeprefix("transformers-"), "--dtype", self.precision,
                "--batch", self.batch, "--steps", steps, "--threads", arguments.threads]

    def run(self, arguments, work):
        answer = json.loads(call(self.command(arguments, work), arguments.threads))
        prompt_tokens = self.batch * arguments.prompt_tokens
        if self.system == "elastikv":
            cell = answer["cells"][0]
            result = {"prefill": cell["prefill_tokens_per_second"]["median"],
                      "decode": cell["decode_tokens_per_second"]["median"], "bound": cell["bound"]}
        else:
            result = {"prefill": prompt_tokens / answer["prefill_seconds"],
                      "decode": self.batch * arguments.steps / answer["decode_seconds"], "tokens": answer["tokens"]}
        self.results.append(result)
        return result

    def spread(self, figure):
        values = sorted(r[figure] for r in self.results)
        if len(values) == 1:
            return {"median": values[0], "q1": values[0], "q3": values[0], "count": 1}
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
        return {"median": middle, "q1": low, "q3": high, "count": len(values)}


def call(command, threads):
    """Standard output of a command; its errors are shown when it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false",
                   "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        sys.exit(f"run.py: {' '.join(str(part) for part in command)}\n{done.stderr}")
    return done.stdout


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(": ", 1)[1]
    return platform.processor()


def check_tokens(measures, arguments, work):
    """Error unless all programs continue the prompt with the same tokens in fp32."""
    prompt = json.loads((work / "prompts.json").read_text())[0]
    answer = json.loads(call([arguments.elastikv, "generate", "--model", arguments.model, "--prompt-ids",
                              ",".join(map(str, prompt)), "--max-new-tokens", arguments.steps + 1, "--json"],
                             arguments.threads))
    ours = answer["token_ids"]
    for measure in measures:
        if measure.precision != "fp32" or "tokens" not in measure.results[0]:
            continue
        theirs = measure.results[0]["tokens"][:len(ours)]
        if theirs != ours:
            first = next(i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b)
            sys.exit(f"run.py: {measure.name} continues with other tokens than ElastiKV from token {first} on")
        print(f"{measure.name}: {len(ours)} greedy tokens equal ElastiKV's", file=sys.stderr)


def table(measures):
    ours = {(m.precision, m.batch): m for m in measures if m.system == "elastikv"}
    lines = ["| precision | batch | program | prefill tok/s | quartiles | of ElastiKV's | decode tok/s | quartiles | of ElastiKV's |",
             "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for measure in sorted(measures, key=lambda m: (m.precision != "fp32", m.batch)):
        cells = [measure.precision, str(measure.batch), measure.system]
        reference = ours.get((measure.precision, measure.batch))
        for figure in ("prefill", "decode"):
            spread = measure.spread(figure)
            ratio = f"{spread['median'] / reference.spread(figure)['median']:.2f}" if reference else "-"
            cells += [f"{spread['median']:.1f}", f"{spread['q1']:.1f}..{spread['q3']:.1f}", ratio]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for peers.md and peers.json")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--prompt-tokens", type=int, default=512, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=64, help="decode steps (default: %(default)s)")
    parser.add_argument("--batch", default="1,16", help="comma list; llama.cpp runs batch 1 only (default: %(default)s)")
    parser.add_argument("--precisions", default="fp32,bf16", help="comma list (default: %(default)s)")
    parser.add_argument("--programs", default="elastikv,llama.cpp,transformers-sdpa,transformers-eager",
                        help="comma list (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every program (default: all cores)")
    parser.add_argument("--model", type=Path, default=ROOT / "models/smollm2/assembled")
    parser.add_argument("--elastikv", type=Path, default=ROOT / "build/release/bin/elastikv")
    parser.add_argument("--work", type=Path, help="folder for prompts and GGUF files, kept (default: a temporary one)")
    arguments = parser.parse_args()
    known = {"elastikv", "llama.cpp", "transformers-sdpa", "transformers-eager"}
    programs = arguments.programs.split(",")
    if unknown := set(programs) - known:
        parser.error(f"--programs: {sorted(unknown)[0]!r} is none of {', '.join(sorted(known))}")
    measures = [Measure(program, precision, batch)
                for precision in arguments.precisions.split(",")
                for batch in map(int, arguments.batch.split(","))
                for program in programs if program != "llama.cpp" or batch == 1]
    arguments.output.mkdir(parents=True, exist_ok=True)

    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        (work / "elastikv.yaml").write_text(
            f"name: peers\nmodels: {{path: {arguments.model}}}\nlengths: {arguments.prompt_tokens}+{arguments.steps + 1}\n"
            f"threads: {arguments.threads}\n")
        call([CACHE / "oracle/bin/python", PEERS / "prompt.py", work / "prompts.json", "--model", arguments.model,
              "--tokens", arguments.prompt_tokens, "--rows", max(m.batch for m in measures)], arguments.threads)
        if "llama.cpp" in programs and not (work / "bf16.gguf").exists():
            call([CACHE / "tools/bin/python", PEERS / "make_gguf.py", arguments.model, work], arguments.threads)
        started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        for turn in range(arguments.rounds):
            for i in range(len(measures)):
                measure = measures[(i + turn) % len(measures)]
                begin = time.perf_counter()
                result = measure.run(arguments, work)
                print(f"round {turn + 1} of {arguments.rounds}: {measure.name}: prefill {result['prefill']:.1f}, decode "
                      f"{result['decode']:.1f} tokens/s ({time.perf_counter() - begin:.1f} s)", file=sys.stderr)
            if turn == 0:
                check_tokens(measures, arguments, work)

    text = table(measures)
    note = (f"\n{arguments.prompt_tokens} prompt tokens, {arguments.steps} decode steps, {arguments.threads} threads, "
            f"{arguments.rounds} rounds in turns; {processor()}; {started[:10]}.\n")
    (arguments.output / "peers.md").write_text("# ElastiKV beside other programs\n\n" + text + note)
    record = {"schema": "elastikv-peers-1", "started": started, "cpu": processor(), "threads": arguments.threads,
              "prompt_tokens": arguments.prompt_tokens, "steps": arguments.steps, "rounds": arguments.rounds,
              "measures": [{"program": m.system, "precision": m.precision, "batch": m.batch,
                            "prefill_tokens_per_second": m.spread("prefill"),
                            "decode_tokens_per_second": m.spread("decode"),
                            "rounds": [{k: v for k, v in r.items() if k != "tokens"} for r in m.results]} for m in measures]}
    (arguments.output / "peers.json").write_text(json.dumps(record, indent=1) + "\n")
    print(text + note, end="")


if __name__ == "__main__":
    main()
