"""Output folders made by hand, for the tests of the pictures."""

import base64
import io
import json
import random

STRATEGIES = ("full", "elastic", "h2o-released", "snapkv")
BUDGETS = (0.1, 0.2, 0.5)
KEPT_LAYERS, GRID, PROMPT = 6, 4, 24


def header(models=("stampvlm",), data=("scenes",), strategies=STRATEGIES, budgets=None, samples=5, text=("rouge-l-pltrdy",),
           exclude=(), **changes):
    """sweep.json; a strategy is a name, or (name, preset, set)."""
    listed = [s if isinstance(s, tuple) else (s, s, {}) for s in strategies]
    config = {
        "name": "by-hand",
        "models": [{"label": label, "dtype": "fp32", "device": "cpu", "path": label} for label in models],
        "data": [{"name": name, "path": f"{name}.json"} for name in data],
        "strategies": [{"name": name, "preset": preset, "set": overrides} for name, preset, overrides in listed],
        "budgets": budgets or {"keep": list(BUDGETS), "growth": ["generation"]},
        "metrics": {"perplexity": {"enabled": True, "score_last_token": True}, "text": list(text), "reference": "full-cache",
                    "agreement": True},
        "generation": {"max_new_tokens": 128}, "bootstrap": {"iterations": 200, "seed": 12345},
    }
    if exclude:
        config["matrix"] = {"exclude": list(exclude)}
    whole = {"format": "elastikv-sweep-2", "name": "by-hand", "config": config,
             "data": {name: {"content": f"hash of {name}", "samples": [f"s{i}" for i in range(samples)]} for name in data},
             "engines": {f"{label}-fp32": {"weights": f"hash of {label}", "tokenizer": "t"} for label in models}}
    for key, value in changes.items():
        whole[key] = value
    return whole


def cells_of(head):
    """(cell, strategy, budget) of all cells; the full cache has no budget. The hidden reference is the first without one."""
    config = head["config"]
    budgets = config["budgets"]
    texts = [(f"{keep:g}" + ("p" if growth == "prompt" else ""), keep) for growth in budgets.get("growth", [])
             for keep in budgets.get("keep", [])]
    texts += [(f"{tokens}t", tokens / 100) for tokens in budgets.get("keep_tokens", [])]
    found = []
    for model in config["models"]:
        for data in config["data"]:
            place = f"{model['label']}-{model['dtype']}/{data['name']}"
            if not any(s["preset"] == "full" for s in config["strategies"]):
                found.append((f"{place}/(full)", "(full)", None))
            for strategy in config["strategies"]:
                if strategy["preset"] == "full":
                    found.append((f"{place}/{strategy['name']}", strategy["name"], None))
                else:
                    found += [(f"{place}/{strategy['name']}/{text}", strategy["name"], keep) for text, keep in texts]
    return found


def record(cell, sample, keep, worse, text=("rouge-l-pltrdy",)):
    """A record whose numbers follow from its names; `worse` sets strategies apart."""
    draw = random.Random(f"{cell} {sample}")
    lost = 0.0 if keep is None else worse * (1 - keep) + 0.1 * draw.random()
    tokens = 40 + draw.randrange(20)
    entry = {"cell": cell, "sample": sample, "status": "ok", "prompt_tokens": PROMPT, "image_tokens": GRID * GRID,
             "nll_sum": tokens * (0.5 + lost), "scored_tokens": tokens,
             "scores": {name: {"precision": 0.5, "recall": 0.5, "f": max(0.0, 1 - lost), "defined": True} for name in text},
             "cache_bytes_prefill": 2**20 * (4 * (keep or 1)), "cache_bytes_end": 2**20 * (6 * (keep or 1) + worse)}
    if keep is not None:
        entry.update(agreement={"match_rate": max(0.0, 0.9 - lost)}, mean_kl=lost)
    return entry


def all_records(head):
    names = list(dict.fromkeys(name for _, name, _ in cells_of(head)))
    return [record(cell, sample, keep, 0.5 + 0.4 * names.index(name), tuple(head["config"]["metrics"]["text"]))
            for data in head["data"] for sample in head["data"][data]["samples"]
            for cell, name, keep in cells_of(head) if cell.split("/")[1] == data]


def failed(cell, sample, status):
    return {"cell": cell, "sample": sample, "status": status, "error": "because"}


def write(folder, head, records, details=(), torn=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sweep.json").write_text(json.dumps(head))
    (folder / "records.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in records) + torn)
    if details:
        (folder / "details.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in details))
    return folder


def thumbnail():
    """A small PNG of four colours."""
    import numpy as np
    from PIL import Image
    pixels = np.zeros((32, 32, 3), dtype=np.uint8)
    pixels[:16, :16], pixels[:16, 16:], pixels[16:, :16], pixels[16:, 16:] = (200, 30, 30), (30, 160, 30), (30, 30, 200), (230, 200, 40)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="PNG")
    return base64.b64encode(data.getvalue()).decode()


def detail(head, sample="s0", **changes):
    """A line of details.jsonl: 4 tokens before the picture, a grid of 4 x 4, 4 after it."""
    draw = random.Random(sample)
    cells = [(cell, keep) for cell, _, keep in cells_of(head)]
    kept = []
    for number, (_, keep) in enumerate(cells):
        count = 0 if keep is None else max(1, round(keep * PROMPT))
        kept.append([] if keep is None else
                    [[sorted(random.Random(f"{number} {layer} {group}").sample(range(PROMPT), count)) for group in range(2)]
                     for layer in range(KEPT_LAYERS)])
    model, data = cells[0][0].split("/")[:2]
    return {"model": model, "data": data, "sample": sample, "cells": [cell for cell, _ in cells], "prompt_tokens": PROMPT,
            "image": [4, 4 + GRID * GRID], "grid": [GRID, GRID], "thumbnail": thumbnail(),
            "importance": [[round(10 * draw.random() ** 3 / (1 + position), 4) for position in range(PROMPT)]
                           for _ in range(KEPT_LAYERS)],
            "kept": kept, **changes}
