#!/usr/bin/env python3
"""Makes the golden data of compress_at_test.cc: greedy answers to questions that come after a cache was cut.

The random LLaVAs of make_parity_golden.py, whose prompt is prefilled up to the end of its picture, by transformers in fp32
on the CPU. The cache object is then cut by hand, and several questions are asked one after the other, each as one chunk,
then token by token, with nothing evicted. What is kept is chosen here, not by ElastiKV:

  full           everything
  h2o            by KV head: the recent half, and those with most attention of the picture's prefill
  elastic-evict  by layer: the first, the last, and those with most attention
  streaming-llm  four sinks and the most recent; positions are ranks, so the keys are turned to theirs
  random         drawn by KV head

Writes tests/parity/data/compress_at.json.
"""

import torch
from golden_common import DATA, load_tensors, versions, write_json
from transformers import DynamicCache, LlavaForConditionalGeneration

MODELS = ("tiny_llava_a", "tiny_llava_b")
BUDGETS = (0.3, 0.6)
NEW_TOKENS = 12
QUESTIONS = ((5, 11, 23), (40, 3, 61, 17, 29, 8), (70,))


def rotated(x, positions, theta):
    """x: [heads, tokens, head_dim], turned by so many positions."""
    half = x.shape[-1] // 2
    frequencies = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = positions.double()[:, None] * frequencies[None]
    cos, sin = angles.cos().repeat(1, 2).float(), angles.sin().repeat(1, 2).float()
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


def top(scores, count, sinks, recent):
    """The first `sinks`, the last `recent`, and those with the highest scores among the rest; ascending."""
    tokens = scores.shape[-1]
    fixed = list(range(sinks)) + list(range(tokens - recent, tokens))
    rest = [n for n in range(sinks, tokens - recent)]
    order = sorted(rest, key=lambda n: (-float(scores[n]), n))
    return sorted(fixed + order[: count - len(fixed)])


def choices(attentions, kv_heads, slots):
    """{strategy: [layers][kv_heads][kept]} from the attention of a prefill, [1, heads, tokens, tokens] by layer."""
    generator = torch.Generator().manual_seed(29)
    kept = {name: [] for name in ("full", "h2o", "elastic-evict", "streaming-llm", "random")}
    for attention in attentions:
        sums = attention[0].sum(1)  # [heads, tokens]
        heads, tokens = sums.shape
        by_kv_head = sums.view(kv_heads, heads // kv_heads, tokens).mean(1)
        recent = max(1, slots // 2)
        kept["full"].append([list(range(tokens))] * kv_heads)
        kept["h2o"].append([top(row, slots, 0, recent) for row in by_kv_head])
        kept["elastic-evict"].append([top(sums.mean(0), slots, 1, 1)] * kv_heads)
        sinks = list(range(4)) + list(range(tokens - (slots - 4), tokens))
        kept["streaming-llm"].append([sinks] * kv_heads)
        kept["random"].append(
            [
                sorted(torch.randperm(tokens, generator=generator)[:slots].tolist())
                for _ in range(kv_heads)
            ]
        )
    return kept


def cut(cache, kept, theta, ranks):
    """A copy of the cache with the kept entries alone; `ranks`: their keys turned to their ranks."""
    smaller = DynamicCache()
    for layer, of_heads in enumerate(kept):
        keys, values = cache.layers[layer].keys[0], cache.layers[layer].values[0]
        new_keys, new_values = [], []
        for head, indices in enumerate(of_heads):
            at = torch.tensor(indices)
            key = keys[head][at]
            if ranks:
                key = rotated(key[None], torch.arange(len(indices)) - at, theta)[0]
            new_keys.append(key)
            new_values.append(values[head][at])
        smaller.update(torch.stack(new_keys)[None], torch.stack(new_values)[None], layer)
    return smaller


def answer(model, cache, question, position):
    """Greedy tokens after a question whose first token stands at `position`."""
    ids = torch.tensor(question)[None]
    tokens, margins = [], []
    for _ in range(NEW_TOKENS):
        positions = torch.arange(position, position + ids.shape[1])[None]
        logits = model(input_ids=ids, past_key_values=cache, position_ids=positions).logits[0, -1]
        best = logits.topk(2).values
        margins.append(float(best[0] - best[1]))
        tokens.append(int(logits.argmax()))
        position += ids.shape[1]
        ids = torch.tensor([[tokens[-1]]])
    return tokens, min(margins)


def cases_of(name):
    golden = load_tensors(DATA / f"{name}.golden.safetensors")
    model = LlavaForConditionalGeneration.from_pretrained(
        DATA / name, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    text = model.config.text_config
    theta = text.rope_parameters["rope_theta"]
    ids = torch.from_numpy(golden["input_ids"])
    end = int((ids == model.config.image_token_id).nonzero().max()) + 1
    cache = DynamicCache()
    prefill = model(
        input_ids=ids[None, :end],
        pixel_values=torch.from_numpy(golden["pixel_values"])[None],
        past_key_values=cache,
        output_attentions=True,
    )
    for budget in BUDGETS:
        slots = int(budget * end + 1e-9)
        for strategy, kept in choices(prefill.attentions, text.num_key_value_heads, slots).items():
            if strategy == "full" and budget != BUDGETS[0]:
                continue
            ranks = strategy == "streaming-llm"
            answers, margin = [], float("inf")
            for question in QUESTIONS:
                position = slots if ranks else end
                tokens, least = answer(model, cut(cache, kept, theta, ranks), question, position)
                answers.append(tokens)
                margin = min(margin, least)
            yield {
                "name": f"{name}.{strategy}" + ("" if strategy == "full" else f".{budget}"),
                "model": name,
                "prefilled": end,
                "strategy": strategy,
                "slots": end if strategy == "full" else slots,
                "kept": kept,
                "questions": [list(question) for question in QUESTIONS],
                "answers": answers,
                "least_margin": round(margin, 6),
            }


@torch.no_grad()
def make():
    cases = [case for name in MODELS for case in cases_of(name)]
    return {"versions": versions("torch", "transformers"), "cases": cases}


if __name__ == "__main__":
    write_json(DATA / "compress_at.json", make())
