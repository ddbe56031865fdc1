#!/usr/bin/env python3
"""Makes the golden data of kvpress_test.cc: what kvpress 0.5.4 keeps of prompts, in fp32 on the CPU.

Writes into tests/parity/data (or --output):
  kvpress.json          the cases: model, press, how ElastiKV states it, slots asked for
  kvpress.safetensors   prompts, and for each case a bit per layer, KV head and token: 1 is kept

Needs requirements-kvpress.txt (kvpress wants an older transformers than the other golden data), the
random LLaMAs of make_parity_golden.py and SmolLM2 assembled in models/smollm2/assembled.
"""

import argparse
import json
from importlib.metadata import version
from pathlib import Path

import kvpress
import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import AutoTokenizer, DynamicCache, LlamaForCausalLM

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).resolve().parent / "data"
TEXT = ROOT / "datasets/alice/alice.txt"
WINDOW, KERNEL = 16, 5
RATIOS = (0.3, 0.7)  # removed

SNAPKV = [f"importance.rows={WINDOW}", f"selection.recent={WINDOW}"]
# name: (press of a ratio, attention implementation, ElastiKV preset, overrides)
PRESSES = {
    "snapkv": (
        lambda ratio: kvpress.SnapKVPress(ratio, window_size=WINDOW, kernel_size=KERNEL),
        "sdpa",
        "snapkv",
        SNAPKV,
    ),
    # kvpress protects the last token.
    "tova": (lambda ratio: kvpress.TOVAPress(ratio), "sdpa", "tova", ["selection.recent=1"]),
    # kvpress compresses the first layers too.
    "knorm": (lambda ratio: kvpress.KnormPress(ratio), "sdpa", "knorm", ["allocation=uniform"]),
    "keydiff": (lambda ratio: kvpress.KeyDiffPress(ratio), "sdpa", "keydiff", []),
    "expected_attention": (
        lambda ratio: kvpress.ExpectedAttentionPress(ratio),
        "sdpa",
        "expected-attention",
        [],
    ),
    # Layers get kvpress's own number of slots, which is not the paper's.
    "pyramidkv": (
        lambda ratio: kvpress.PyramidKVPress(ratio, window_size=WINDOW, kernel_size=KERNEL),
        "sdpa",
        "pyramidkv",
        [*SNAPKV, "allocation=uniform"],
    ),
    # kvpress takes the safeguard for a floor.
    "adakv_snapkv": (
        lambda ratio: kvpress.AdaKVPress(
            kvpress.SnapKVPress(ratio, window_size=WINDOW, kernel_size=KERNEL), 0.2
        ),
        "sdpa",
        "adakv",
        [*SNAPKV, "heads.rule=floor"],
    ),
    # Scores per observer and no recent half.
    "observed_attention": (
        lambda ratio: kvpress.ObservedAttentionPress(ratio),
        "eager",
        "h2o",
        ["importance.reduce=mean", "selection={kind: top, sinks: 0, recent: 0}"],
    ),
}


def watched(press, kept):
    """The press, noting down which entries of each layer it keeps: {layer: bool [kv_heads, tokens]}."""
    compress = press.compress

    def noting(module, hidden_states, keys, values, attentions, kwargs):
        new_keys, new_values = compress(module, hidden_states, keys, values, attentions, kwargs)
        pruned = getattr(module, "masked_key_indices", None)
        mask = torch.zeros(keys.shape[1:3], dtype=torch.bool)
        if pruned is not None:
            mask[:] = True
            mask[pruned[1], pruned[2]] = False
        else:
            # Which of the old keys each new one is: found by equality, whatever picked it.
            same = (new_keys[0].unsqueeze(2) == keys[0].unsqueeze(1)).all(-1)
            assert bool((same.sum(-1) == 1).all()), "keys are not told apart"
            mask.scatter_(1, same.to(torch.int64).argmax(-1), True)
        kept[module.layer_idx] = mask
        return new_keys, new_values

    press.compress = noting
    return press


def slots_of(mask):
    """[layers]: how many entries each head keeps; heads of a layer differ only where they compete."""
    slots = mask.sum(-1).float().mean(-1)
    assert bool((slots == slots.round()).all())
    return [int(count) for count in slots]


def kept_of(press, model, ids):
    """bool [layers, kv_heads, tokens] of what the press keeps of a prompt."""
    kept = {}
    with torch.no_grad(), watched(press, kept)(model):
        model(ids, past_key_values=DynamicCache())
    return torch.stack([kept[layer] for layer in sorted(kept)])


def prompts():
    generator = np.random.default_rng(17)
    for name in ("tiny_llama_a", "tiny_llama_b"):
        config = json.loads((DATA / name / "config.json").read_text())
        # No token twice: two equal ones have equally long keys in the first layer, up to rounding.
        ids = generator.permutation(config["vocab_size"])[:80]
        yield name, f"tests/parity/data/{name}", ids
    folder = "models/smollm2/assembled"
    text = TEXT.read_text(encoding="utf-8")
    ids = AutoTokenizer.from_pretrained(ROOT / folder)(text[:4000])["input_ids"][:400]
    yield "smollm2", folder, np.array(ids)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=DATA)
    output = parser.parse_args().output
    torch.manual_seed(0)
    torch.set_num_threads(1)
    tensors, cases = {}, []
    for name, folder, ids in prompts():
        tensors[f"{name}.ids"] = ids.astype(np.int64)
        for press_name, (make, attention, preset, overrides) in PRESSES.items():
            model = LlamaForCausalLM.from_pretrained(
                ROOT / folder, dtype=torch.float32, attn_implementation=attention
            ).eval()
            for ratio in RATIOS:
                mask = kept_of(make(ratio), model, torch.tensor(ids)[None])
                case = f"{name}.{press_name}.{ratio}"
                tensors[case] = np.packbits(mask.numpy(), axis=-1)
                cases.append(
                    {
                        "name": case,
                        "model": folder,
                        "prompt": f"{name}.ids",
                        "preset": preset,
                        "overrides": overrides,
                        "slots": slots_of(mask),
                    }
                )
                print(case, cases[-1]["slots"][:6])
    output.mkdir(parents=True, exist_ok=True)
    save_file(tensors, output / "kvpress.safetensors")
    versions = {p: version(p) for p in ("kvpress", "torch", "transformers")}
    text = json.dumps({"versions": versions, "cases": cases}, indent=1)
    (output / "kvpress.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
