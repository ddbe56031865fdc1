#!/usr/bin/env python3
"""Times a sweep of cache compression done with transformers the way released research code does it.

    ~/.cache/elastikv/oracle/bin/python scripts/peers/sweep_peer.py --output results/sweep-peer --samples 4

Every cell (strategy and budget) runs by itself, as one script call per cell would: for each sample
the image is encoded and the prompt prefilled again, eager attention returns its matrices
(output_attentions), and the expected answer is fed token by token through a DynamicCache whose
tensors are rebuilt at each eviction. Loading the model is not counted. The strategies are
implementations of this file's own, written from the papers: full, streaming-llm, h2o and elastic, with
the definitions of ElastiKV's presets of these names, so that the perplexities can be compared: they
say that both programs did the same work (the full cache must agree to 1e-3).

Unless --no-elastikv is given, `elastikv sweep` runs over the same samples and cells: together, as it
always does, and with --one-by-one also cell by cell and token by token (`cells: one-by-one`,
`one_pass: false`). Loading the model is not counted there either. --rounds repeats all of it in turns;
the table gives medians.

Needs scripts/setup.sh oracle, a release build and the assembled default model.
"""

import argparse
import csv
import datetime
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoProcessor, DynamicCache, LlavaForConditionalGeneration

ROOT = Path(__file__).resolve().parents[2]


def allowed(budget, tokens_seen):
    """Slots that a budget leaves of the tokens seen so far."""
    return min(max(1, math.floor(budget * tokens_seen + 1e-9)), tokens_seen)


def take(tensor, index):
    """Slots of [1, heads, slots, dim] by index, [slots] or [heads, slots]."""
    if index.dim() == 1:
        return tensor[:, :, index]
    return tensor.gather(2, index[None, :, :, None].expand(1, -1, -1, tensor.shape[-1]))


class Full:
    """Keeps everything."""

    def __init__(self, model, budget):
        self.config, self.budget, self.seen = model.config.text_config, budget, 0

    def compress(self, cache, attentions):
        self.seen = cache.get_seq_length()

    def step(self, cache, attentions):
        self.seen += 1

    @staticmethod
    def rows_by_kv_head(attention, kv_heads):
        """[1, query heads, queries, slots] averaged over each KV head's query heads."""
        heads, queries, slots = attention.shape[1:]
        return attention.float().reshape(kv_heads, heads // kv_heads, queries, slots).mean(1)


class StreamingLlm(Full):
    """Four sinks and the most recent entries, positions counted within the cache: only distances matter
    to rotary embeddings, so the few sink keys are turned on by what has been evicted behind them."""

    SINKS = 4

    def __init__(self, model, budget):
        super().__init__(model, budget)
        self.frequencies = model.model.language_model.rotary_emb.inv_freq.float()

    def drop(self, cache, count):
        angles = self.frequencies * count
        cos, sin = torch.cos(angles).repeat(2), torch.sin(angles).repeat(2)
        for layer in cache.layers:
            sinks = layer.keys[:, :, :self.SINKS]
            half = sinks.shape[-1] // 2
            turned = torch.cat((-sinks[..., half:], sinks[..., :half]), -1)
            rotated = (sinks * cos + turned * sin).to(layer.keys.dtype)
            layer.keys = torch.cat((rotated, layer.keys[:, :, self.SINKS + count:]), 2)
            layer.values = torch.cat((layer.values[:, :, :self.SINKS], layer.values[:, :, self.SINKS + count:]), 2)

    def fit(self, cache):
        over = cache.get_seq_length() - allowed(self.budget, self.seen)
        if over > 0:
            self.drop(cache, over)

    def compress(self, cache, attentions):
        super().compress(cache, attentions)
        self.fit(cache)

    def step(self, cache, attentions):
        super().step(cache, attentions)
        self.fit(cache)


class H2o(Full):
    """Per KV head half of the slots for the largest accumulated attention, half for the most recent."""

    def recent(self, slots):
        return max(1, slots // 2)

    def keep(self, slots):
        """Drops the lowest scores outside the recent half of `slots`, per layer and KV head."""
        for layer, scores in self.scores.items():
            length = scores.shape[1]
            free = length - self.recent(slots)
            best = scores[:, :free].sort(dim=1, descending=True, stable=True).indices[:, :slots - self.recent(slots)]
            recent = torch.arange(free, length).expand(scores.shape[0], -1)
            index = torch.cat((best.sort(1).values, recent), 1)
            self.scores[layer] = scores.gather(1, index)
            layer.keys, layer.values = take(layer.keys, index), take(layer.values, index)

    def compress(self, cache, attentions):
        super().compress(cache, attentions)
        kv_heads = self.config.num_key_value_heads
        self.scores = {layer: self.rows_by_kv_head(attention, kv_heads).sum(1)
                       for layer, attention in zip(cache.layers, attentions)}
        if allowed(self.budget, self.seen) < self.seen:
            self.keep(allowed(self.budget, self.seen))

    def step(self, cache, attentions):
        super().step(cache, attentions)
        for layer, attention in zip(cache.layers, attentions):
            row = self.rows_by_kv_head(attention, self.config.num_key_value_heads)[:, 0]
            row[:, :-1] += self.scores[layer]
            self.scores[layer] = row
        if cache.get_seq_length() > allowed(self.budget, self.seen):
            self.keep(allowed(self.budget, self.seen))


class Elastic(Full):
    """The prompt's largest column sums per layer stay, the rest is averaged into the nearest of them;
    then the entry at a fixed index goes whenever there is one too many."""

    def compress(self, cache, attentions):
        super().compress(cache, attentions)
        tokens, slots = self.seen, allowed(self.budget, self.seen)
        self.kept = slots
        self.index = slots // 2 if slots - 25 < 1 else slots - 25
        self.index = max(self.index, min(1, slots - 1))
        if slots >= tokens:
            return
        for layer, attention in zip(cache.layers, attentions):
            sums = attention.float().mean(1)[0].sum(0)
            inner = sums[1:tokens - 1].sort(dim=0, descending=True, stable=True).indices[:slots - 2] + 1
            anchors = inner.sort().values
            kept = torch.cat((torch.tensor([0]), anchors, torch.tensor([tokens - 1])))
            dropped = torch.ones(tokens, dtype=torch.bool)
            dropped[kept] = False
            sources = dropped.nonzero()[:, 0]
            group = torch.zeros(0, dtype=torch.long)
            if len(anchors):
                # Of two equally near anchors argmin takes the first.
                group = (sources[:, None] - anchors[None]).abs().argmin(1) + 1
            for name in ("keys", "values"):
                whole = getattr(layer, name)
                merged = take(whole, kept).float()
                if len(group):
                    merged.index_add_(2, group, whole[:, :, sources].float())
                    count = torch.ones(len(kept)).index_add_(0, group, torch.ones(len(group)))
                    merged /= count[:, None]
                setattr(layer, name, merged.to(whole.dtype))

    def step(self, cache, attentions):
        super().step(cache, attentions)
        over = cache.get_seq_length() - allowed(self.budget, self.seen)
        if over <= 0:
            return
        first = min(self.index, cache.get_seq_length() - over)
        for layer in cache.layers:
            for name in ("keys", "values"):
                whole = getattr(layer, name)
                setattr(layer, name, torch.cat((whole[:, :, :first], whole[:, :, first + over:]), 2))


STRATEGIES = {"full": Full, "streaming-llm": StreamingLlm, "h2o": H2o, "elastic": Elastic}


def read_samples(folder, count):
    """Question, image file and expected answer of the first turn of each scene."""
    samples = []
    for scene in json.loads((folder / "annotations.json").read_text())[:count]:
        question, answer = (turn["value"] for turn in scene["conversations"][:2])
        samples.append((question.removeprefix("<image>\n"), folder / scene["image"], answer))
    return samples


@torch.inference_mode()
def score(model, processor, sample, strategy):
    """Negative log likelihoods of the answer's tokens: the first from the uncompressed prompt."""
    question, file, answer = sample
    content = [{"type": "image"}, {"type": "text", "text": question}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    with Image.open(file) as image:
        inputs = processor(images=image.convert("RGB"), text=prompt, return_tensors="pt")
    ids = processor.tokenizer(answer, add_special_tokens=False, return_tensors="pt").input_ids[0]
    cache = DynamicCache(config=model.config.text_config)
    output = model(input_ids=inputs["input_ids"], pixel_values=inputs["pixel_values"].to(model.dtype), past_key_values=cache,
                   use_cache=True, output_attentions=True)
    tokens = inputs["input_ids"].shape[1]
    nll = [-output.logits[0, -1].double().log_softmax(-1)[ids[0]].item()]
    strategy.compress(cache, output.attentions)
    for k in range(1, len(ids)):
        output = model(input_ids=ids[None, k - 1:k], past_key_values=cache, use_cache=True, output_attentions=True,
                       position_ids=torch.tensor([[tokens + k - 1]]))
        nll.append(-output.logits[0, -1].double().log_softmax(-1)[ids[k]].item())
        strategy.step(cache, output.attentions)
    return nll


def sweep_file(folder, arguments, strategies, budgets, one_by_one):
    """A sweep of ElastiKV over the same samples and cells."""
    path = folder / "sweep.yaml"
    path.write_text(
        f"name: sweep-peer\nmodels: {{path: {arguments.model}, label: stampvlm, dtype: {arguments.dtype}}}\n"
        f"data: {{path: {arguments.data / 'annotations.json'}, name: scenes, turn: first, limit: {arguments.samples}}}\n"
        f"strategies: [{', '.join(strategies)}]\n" + (f"budgets: {{keep: [{', '.join(map(str, budgets))}]}}\n" if budgets else "")
        + f"metrics: {{text: [], agreement: false, perplexity: {{one_pass: {str(not one_by_one).lower()}}}}}\n"
        + ("cells: one-by-one\n" if one_by_one else "") + f"output: {folder / 'out'}\n")
    return path


def run_elastikv(arguments, strategies, budgets, one_by_one=False):
    """Seconds of a sweep's work, without loading, and {(strategy, budget): perplexity}."""
    with tempfile.TemporaryDirectory() as temporary:
        path = sweep_file(Path(temporary), arguments, strategies, budgets, one_by_one)
        done = subprocess.run([arguments.elastikv, "sweep", path], capture_output=True, text=True, check=False,
                              env={**os.environ, "OMP_NUM_THREADS": str(arguments.threads)})
        if done.returncode != 0:
            sys.exit(f"sweep_peer.py: elastikv sweep failed: {done.stderr}")
        with open(Path(temporary) / "out/cells.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        # Means per sample: what the cells share, once, and each cell's compression.
        with open(Path(temporary) / "out/speed.csv", newline="") as file:
            speed = list(csv.DictReader(file))
        shared = sum(float(speed[0][key]) for key in ("image", "prefill", "statistics", "scoring (all cells)"))
        seconds = arguments.samples * (shared + sum(float(row["compression"]) for row in speed))
    return seconds, {(row["strategy"], row["budget"]): float(row["ppl"]) for row in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for sweep-peer.md and sweep-peer.json")
    parser.add_argument("--samples", type=int, default=4, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--strategies", default=",".join(STRATEGIES), help="comma list (default: %(default)s)")
    parser.add_argument("--budgets", default="0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9", help="comma list (default: %(default)s)")
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32", help="of both programs (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="(default: all cores)")
    parser.add_argument("--model", type=Path, default=ROOT / "models/stampvlm/assembled")
    parser.add_argument("--data", type=Path, default=ROOT / "datasets/detail-scenes/test")
    parser.add_argument("--elastikv", type=Path, default=ROOT / "build/release/bin/elastikv")
    parser.add_argument("--no-elastikv", action="store_true", help="time transformers only")
    parser.add_argument("--one-by-one", action="store_true", help="also run elastikv cell by cell")
    arguments = parser.parse_args()
    strategies = arguments.strategies.split(",")
    if unknown := [name for name in strategies if name not in STRATEGIES]:
        parser.error(f"--strategies: {unknown[0]!r} is none of {', '.join(STRATEGIES)}")
    budgets = arguments.budgets.split(",")
    cells = [(name, budget) for name in strategies for budget in (["1"] if name == "full" else budgets)]
    arguments.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)

    needed = budgets if any(name != "full" for name in strategies) else []
    elastikv = {"together_seconds": [], "one_by_one_seconds": []}
    processor = AutoProcessor.from_pretrained(arguments.model)
    model = LlavaForConditionalGeneration.from_pretrained(
        arguments.model, dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[arguments.dtype], attn_implementation="eager").eval()
    samples = read_samples(arguments.data, arguments.samples)
    score(model, processor, samples[0], Full(model, 1.0))  # warm-up
    results = {cell: {"strategy": cell[0], "budget": cell[1], "seconds": []} for cell in cells}
    totals = []
    for turn in range(arguments.rounds):
        for (name, budget), result in results.items():
            start = time.perf_counter()
            nll = [value for sample in samples
                   for value in score(model, processor, sample, STRATEGIES[name](model, float(budget)))]
            result["seconds"].append(time.perf_counter() - start)
            result |= {"ppl": math.exp(sum(nll) / len(nll)), "tokens": len(nll)}
        totals.append(sum(result["seconds"][-1] for result in results.values()))
        print(f"round {turn + 1}: transformers {totals[-1]:.1f} s", file=sys.stderr)
        if arguments.no_elastikv:
            continue
        seconds, ours = run_elastikv(arguments, strategies, needed)
        elastikv["together_seconds"].append(seconds)
        for cell, result in results.items():
            result["elastikv_ppl"] = ours[cell]
        print(f"round {turn + 1}: elastikv {seconds:.1f} s", file=sys.stderr)
        if arguments.one_by_one:
            elastikv["one_by_one_seconds"].append(run_elastikv(arguments, strategies, needed, one_by_one=True)[0])
            print(f"round {turn + 1}: elastikv one by one {elastikv['one_by_one_seconds'][-1]:.1f} s", file=sys.stderr)

    results = list(results.values())
    total = statistics.median(totals)
    lines = ["| strategy | budget | seconds | perplexity | ElastiKV's |", "| --- | ---: | ---: | ---: | ---: |"]
    lines += [f"| {r['strategy']} | {r['budget']} | {statistics.median(r['seconds']):.2f} | {r['ppl']:.4f} | "
              + (f"{r['elastikv_ppl']:.4f}" if "elastikv_ppl" in r else "-") + " |" for r in results]
    text = "\n".join(lines) + (f"\n\n{len(samples)} samples, {len(cells)} cells, {arguments.dtype}, {arguments.threads} threads, medians of "
                               f"{arguments.rounds} rounds. transformers: {total:.1f} s")
    if elastikv["together_seconds"]:
        together = statistics.median(elastikv["together_seconds"])
        text += f"; elastikv sweep: {together:.1f} s ({total / together:.1f} times as fast)"
    if elastikv["one_by_one_seconds"]:
        alone = statistics.median(elastikv["one_by_one_seconds"])
        text += f"; elastikv, one cell after the other, token by token: {alone:.1f} s ({alone / together:.1f} times as long)"
    text += ".\n"
    record = {"schema": "elastikv-sweep-peer-2", "samples": len(samples), "threads": arguments.threads, "dtype": arguments.dtype,
              "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "transformers_seconds": totals, "elastikv": elastikv, "cells": results}
    (arguments.output / "sweep-peer.md").write_text(text)
    (arguments.output / "sweep-peer.json").write_text(json.dumps(record, indent=1) + "\n")
    print(text, end="")
    for r in results:
        if arguments.dtype == "fp32" and r["strategy"] == "full" and "elastikv_ppl" in r and abs(r["ppl"] - r["elastikv_ppl"]) > 1e-3:
            sys.exit("sweep_peer.py: the full cache's perplexities differ by more than 1e-3: not the same work")


if __name__ == "__main__":
    main()
