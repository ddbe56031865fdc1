"""Folders of tables made by hand, for the tests of the pictures."""

import base64
import csv
import io
import json
import random

STRATEGIES = ("full", "elastic", "h2o-released", "snapkv")
BUDGETS = (0.1, 0.2, 0.5)
KEPT_LAYERS, GRID, PROMPT = 6, 4, 24


def sweep(models=("stampvlm",), data=("scenes",), strategies=STRATEGIES, budgets=None, samples=5, planned=None,
          text=("rouge-l-pltrdy",), reference="full-cache"):
    """What a sweep was about; a strategy is a name, or (name, preset, settings). Without "full" the full cache is hidden."""
    listed = [s if isinstance(s, tuple) else (s, s, {}) for s in strategies]
    if not any(preset == "full" for _, preset, _ in listed):
        listed.insert(0, ("(full)", "full", {}))
    return {"models": models, "data": data, "strategies": listed, "budgets": budgets or {"keep": list(BUDGETS)}, "samples": samples,
            "planned": samples if planned is None else planned, "text": text, "reference": reference}


def budgets_of(about):
    """(text, fraction)"""
    budgets = about["budgets"]
    found = [(f"{keep:g}" + ("p" if growth == "prompt" else ""), keep) for growth in budgets.get("growth", ["generation"])
             for keep in budgets.get("keep", [])]
    return found + [(f"{tokens}t", tokens / 100) for tokens in budgets.get("keep_tokens", [])]


def measures_of(about):
    """The rows of measures.csv."""
    def row(name, label, value, low, high, reference="full-cache", summary="no", most="", log_from=""):
        return {"measure": name, "label": label, "reference": reference, "summary": summary, "most": most, "log_from": log_from,
                "value": value, "low": low, "high": high}
    rows = [row("ppl", "Perplexity of the answers", "ppl", "ppl_low", "ppl_high", "dataset", "yes", log_from="4")]
    rows += [row(name, f"{name} F against the full cache", name, f"{name}_low", f"{name}_high", about["reference"], "yes", "1")
             for name in about["text"]]
    rows.append(row("match_rate", "Tokens equal to the full cache's (share)", "match_rate", "match_low", "match_high", most="1"))
    rows.append(row("mean_kl", "KL from the full cache (nats per token)", "kl", "kl_low", "kl_high", log_from="10"))
    return [{"model": f"{model}-fp32", "data": data, **row} for model in about["models"] for data in about["data"] for row in rows]


def cells_of(about):
    """The rows of cells.csv; their numbers follow from their names, and strategies lie apart."""
    rows = []
    for model in about["models"]:
        for data in about["data"]:
            for number, (name, preset, settings) in enumerate(about["strategies"]):
                for text, keep in [("1", None)] if preset == "full" else budgets_of(about):
                    identity = "/".join([f"{model}-fp32", data, name] + ([] if keep is None else [text]))
                    rows.append({"cell": identity, "model": f"{model}-fp32", "data": data, "strategy": name, "preset": preset,
                                 "budget": text, "samples": about["samples"], "planned_samples": about["planned"],
                                 "settings": json.dumps(settings) if settings else "", "hidden": "yes" if name == "(full)" else "no",
                                 **numbers(about, identity, keep, 0.5 + 0.4 * number)})
    return rows


def numbers(about, identity, keep, worse):
    if not about["samples"]:
        return {}
    lost = 0.0 if keep is None else worse * (1 - keep) + 0.1 * random.Random(identity).random()
    values = {"ppl": 2**(1 + lost), **{name: max(0.0, 1 - lost) for name in about["text"]}}
    if keep is not None:
        values.update(match_rate=max(0.0, 0.9 - lost), kl=lost)
    found = {}
    for name, value in values.items():
        ends = "match" if name == "match_rate" else name
        found.update({name: value, f"{ends}_low": 0.9 * value, f"{ends}_high": 1.05 * value})
    return {**found, "cache_bytes_prefill": 2**20 * 4 * (keep or 1), "cache_bytes_end": 2**20 * (6 * (keep or 1) + worse)}


def tasks_of(about, metric):
    """The rows of tasks.csv where `metric` is every data set's own: values, then their relative average."""
    values = {tuple(row["cell"].split("/")): row for row in cells_of(about) if row["hidden"] == "no" and metric in row}
    rows = []
    for model in dict.fromkeys(place[0] for place in values):
        for cell in dict.fromkeys(place[2:] for place in values if place[0] == model):
            found = [(data, values[model, data, *cell]) for data in about["data"] if (model, data, *cell) in values]
            row = {"model": model, "strategy": cell[0], "budget": found[0][1]["budget"]}
            rows += [{**row, "task": data, "metric": metric, "value": known[metric], "low": known[f"{metric}_low"],
                      "high": known[f"{metric}_high"]} for data, known in found]
            if len(found) == len(about["data"]) > 1:
                share = sum(known[metric] for _, known in found) / len(found)
                rows.append({**row, "task": "(all)", "metric": "relative-average", "value": share, "low": share - 0.05,
                             "high": share + 0.04})
    return rows


def without_numbers(row):
    """A cell that failed."""
    return {key: value for key, value in row.items() if not isinstance(value, float)}


def write_table(file, rows, columns=()):
    columns = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))
    with open(file, "w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write(folder, about, cells=None, details=(), torn="", tasks=()):
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "cells.csv", cells_of(about) if cells is None else cells)
    write_table(folder / "measures.csv", measures_of(about))
    if tasks:
        write_table(folder / "tasks.csv", tasks)
    if details:
        (folder / "details.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in details) + torn)
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


def detail(about, sample="s0", **changes):
    """A line of details.jsonl: 4 tokens before the image, a grid of 4 x 4, 4 after it."""
    draw = random.Random(sample)
    cells = [(row["cell"], None if row["preset"] == "full" else dict(budgets_of(about))[row["budget"]]) for row in cells_of(about)]
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
