#!/usr/bin/env python3
"""Times transformers on prompts of token ids: one prefill, then greedy decode steps with a DynamicCache.

    ~/.cache/elastikv/oracle/bin/python scripts/peers/transformers_peer.py PROMPTS.json \\
        --attention sdpa --dtype bf16 --batch 1

With --random, MODEL needs no more than a config.json: time depends on shapes, not on what weights have learnt.
Prints one line of JSON: seconds of the prefill and of all steps, and the tokens of row 0.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache

ROOT = Path(__file__).resolve().parents[2]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@torch.inference_mode()
def run(model, ids, steps):
    cache = DynamicCache(config=model.config)
    start = time.perf_counter()
    output = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    tokens = output.logits[:, -1].argmax(-1, keepdim=True)
    prefilled = time.perf_counter()
    row = [int(tokens[0])]
    for _ in range(steps):
        output = model(input_ids=tokens, past_key_values=cache, use_cache=True)
        tokens = output.logits[:, -1].argmax(-1, keepdim=True)
        row.append(int(tokens[0]))
    return {"prefill_seconds": prefilled - start, "decode_seconds": time.perf_counter() - prefilled, "tokens": row}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path, help="JSON list of rows of ids (prompt.py)")
    parser.add_argument("--model", type=Path, default=ROOT / "models/smollm2/assembled")
    parser.add_argument("--random", action="store_true", help="random weights of MODEL's shape; reads its config.json alone")
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="sdpa")
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="fp32")
    parser.add_argument("--batch", type=int, default=1, help="rows of the file to run together")
    parser.add_argument("--steps", type=int, default=64, help="decode steps after the prefill")
    parser.add_argument("--threads", type=int, help="default: torch's")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    rows = json.loads(arguments.prompts.read_text())[:arguments.batch]
    if len(rows) < arguments.batch:
        parser.error(f"{arguments.prompts} has {len(rows)} rows, --batch asks for {arguments.batch}")
    options = {"dtype": DTYPES[arguments.dtype], "attn_implementation": arguments.attention}
    if arguments.random:
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(arguments.model), **options)
    else:
        model = AutoModelForCausalLM.from_pretrained(arguments.model, **options)
    model.eval()
    ids = torch.tensor(rows)
    run(model, ids, steps=min(8, arguments.steps))  # warm-up
    print(json.dumps(run(model, ids, arguments.steps)))


if __name__ == "__main__":
    main()
