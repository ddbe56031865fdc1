#!/usr/bin/env python3
"""Makes the seeds of the fuzz targets' corpora from files of the tree (their names begin with "seed-").

Everything else in tests/fuzz/corpus was found by the fuzzers from these (scripts/fuzz.sh --merge), or is an input that
once broke a target's promise (names beginning with "fault-").
"""

import json
import pathlib
import struct
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests/fuzz/corpus"
CUT = b"\n--8<--\n"
TEXT = ROOT / "tests/unit/text/data"
DATA = ROOT / "tests/unit/datasets/data"
MOST_BYTES = 16384


def put(target, name, *parts):
    content = CUT.join(part if isinstance(part, bytes) else part.encode() for part in parts)
    if len(content) > MOST_BYTES:
        raise SystemExit(f"{target}/{name}: {len(content)} bytes are too many for a seed")
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_bytes(content)


def read(path):
    path = ROOT / path
    return path.read_bytes() if path.exists() else b""


def weights():
    for path in sorted((ROOT / "tests/unit/weights/data").iterdir()):
        if path.suffix == ".safetensors":
            put("safetensors", path.stem, path.read_bytes())
        if path.suffix == ".bin":
            archive = path.read_bytes()
            put("pytorch_bin", path.stem, archive)
            if not zipfile.is_zipfile(path):
                continue
            put("zip", path.stem, archive)
            with zipfile.ZipFile(path) as members:
                for name in members.namelist():
                    if name.endswith("data.pkl"):
                        put("pickle", path.stem, members.read(name))
    header = json.dumps({"a": {"dtype": "F16", "shape": [2, 1], "data_offsets": [0, 4]},
                         "b": {"dtype": "BOOL", "shape": [], "data_offsets": [4, 5]},
                         "__metadata__": {"format": "pt"}}).encode()
    put("safetensors", "small", struct.pack("<Q", len(header)) + header + b"\0\1\2\3\1")
    put("checkpoint_index", "two-shards", json.dumps({"metadata": {"total_size": 3}, "weight_map": {
        "a": "part-1.safetensors", "b": "part-1.safetensors", "c": "part-2.safetensors"}}))


def tokenizers():
    kept = {"a", "b", "ab", "h", "e", "l", "o", "he", "ll", "<unk>", "<s>", "</s>", "\u0120", "\u0120h", "\u2581", "\u2581h"}
    for folder in sorted(TEXT.iterdir()):
        tokenizer = folder / "tokenizer.json"
        if tokenizer.exists():
            whole = json.loads(tokenizer.read_text())
            model = whole["model"]
            vocab = {token: i for token, i in model["vocab"].items() if token in kept or token.startswith("<0x0")}
            vocab.update({t["content"]: t["id"] for t in whole.get("added_tokens", []) if t["content"] in model["vocab"]})
            if model.get("unk_token"):
                vocab[model["unk_token"]] = model["vocab"][model["unk_token"]]
            pairs = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
            model["merges"] = [m for m, (left, right) in zip(model["merges"], pairs)
                               if left in vocab and right in vocab and left + right in vocab][:20]
            model["vocab"] = vocab
            put("tokenizer_json", folder.name, json.dumps(whole, ensure_ascii=False))
        extra = [read(folder / name) for name in ("tokenizer_config.json", "added_tokens.json", "special_tokens_map.json")]
        model = folder / "tokenizer.model"
        if model.exists():
            put("sentencepiece", folder.name, small_sentencepiece(model.read_bytes()), *extra)
        ranks = folder / "qwen.tiktoken"
        if ranks.exists():
            lines = ranks.read_bytes().splitlines()
            put("tiktoken", folder.name, b"\n".join(lines[:264]) + b"\n")
            put("tiktoken", folder.name + "-short", b"\n".join(lines[:20]) + b"\n")
        vocab = folder / "vocab.json"
        if vocab.exists():
            merges = (folder / "merges.txt").read_bytes().splitlines()[:12]
            tokens = json.loads(vocab.read_text())
            needed = {t for line in merges if not line.startswith(b"#") for t in line.decode().split(" ")}
            needed |= {line.decode().replace(" ", "") for line in merges if not line.startswith(b"#")}
            few = {t: i for t, i in tokens.items() if t in kept or t in needed or t.startswith("<|")}
            put("vocab_merges", folder.name, json.dumps(few, ensure_ascii=False), b"\n".join(merges) + b"\n", *extra)
    texts = ["Hello, world's  12 apples\n\n", " \u00e9\u4e2d\U0001f600 e\u0301 <image> </s><s>", "<|im_start|>user\nx<|im_end|>",
             "don't    STOP\t\r\n1234567", "\uff21\u2126\ufb01 \u0645\u0631\u062d\u0628\u0627 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35"]
    for i in range(10):
        for j, text in enumerate(texts):
            put("tokenizer_text", f"{i}-{j}", bytes([48 + i]) + text.encode())


def small_sentencepiece(model):
    """The first pieces and all that is not a piece: a ModelProto is a sequence of (tag, length, bytes)."""
    out, at, pieces = b"", 0, 0
    while at < len(model):
        begin = at
        tag, at = varint(model, at)
        length, at = varint(model, at)
        at += length
        if tag >> 3 == 1:
            pieces += 1
            if 30 < pieces < 262:
                continue
            if pieces > 330:
                continue
        out += model[begin:at]
    return out


def varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def configs():
    processors = {}
    for folder in sorted((ROOT / "tests/parity/data").rglob("config.json")):
        name = folder.parent.name
        files = [folder.parent / n for n in ("generation_config.json", "processor_config.json", "preprocessor_config.json")]
        put("model_config", name, folder.read_bytes(), *[read(f) for f in files])
        put("prompt_choice", name, folder.read_bytes(), b"", b"", b"")
        for file in files[1:]:
            if file.exists():
                processors[f"{name}-{file.stem}"] = file.read_bytes()
    for file in sorted((ROOT / "configs/models").glob("*.config.json")):
        put("model_config", file.name.removesuffix(".config.json"), file.read_bytes(), b"", b"", b"")
    for file in sorted((ROOT / "models").rglob("preprocessor_config.json")):
        processors[file.parent.name] = file.read_bytes()
    for name, text in processors.items():
        nested = json.loads(text).get("image_processor")
        put("image_processor", name, json.dumps(nested) if nested else text)
    for name, fields in {
        "clip": {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 24}, "do_convert_rgb": True,
                 "crop_size": {"height": 24, "width": 24}, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4],
                 "resample": 3, "rescale_factor": 0.00392156862745098, "do_center_crop": True, "do_normalize": True},
        "qwen2-vl": {"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 3136, "max_pixels": 50176,
                     "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2},
        "idefics3": {"image_processor_type": "Idefics3ImageProcessor", "do_image_splitting": True,
                     "max_image_size": {"longest_edge": 64}, "size": {"longest_edge": 256}},
        "next": {"image_processor_type": "LlavaNextImageProcessor", "size": {"shortest_edge": 32},
                 "crop_size": {"height": 32, "width": 32}, "image_grid_pinpoints": [[32, 64], [64, 32], [64, 64]]},
        "onevision": {"image_processor_type": "LlavaOnevisionImageProcessor", "size": {"height": 32, "width": 32},
                      "image_grid_pinpoints": [[32, 32], [64, 32], [64, 64]]},
    }.items():
        put("image_processor", name, json.dumps(fields))
    put("prompt_choice", "template", b'{"architectures": ["LlamaForCausalLM"]}',
        json.dumps({"chat_template": "{% for m in messages %}{{ m['content'] }}{% endfor %}"}),
        json.dumps({"chat_template": "{{ x }}"}), b"")
    put("prompt_choice", "jinja", b"{}", b"", b"", b"{% if messages[0]['role'] == 'system' %}{% endif %}")


def yamls():
    for file in sorted((ROOT / "configs/prompts").glob("*.yaml")):
        put("prompt_format", file.stem, file.read_bytes())
    for file in sorted((ROOT / "configs/strategies").glob("*.yaml")):
        put("strategy_yaml", file.stem, file.read_bytes())
    for folder in ("ablations", "paper", "stampvlm", "."):
        for file in sorted((ROOT / "configs" / folder).glob("*.yaml")):
            put("sweep_yaml", file.stem, file.read_bytes())
    for file in sorted((ROOT / "configs/bench").glob("*.yaml")):
        if file.stem != "shapes":
            put("bench_yaml", file.stem, file.read_bytes())
    for file in sorted((ROOT / "results/published").glob("*.yaml")):
        if file.stat().st_size < 6000:
            put("published_yaml", file.stem, file.read_bytes())


def data_sets():
    for i, file in enumerate(sorted(DATA.rglob("*.json")) + sorted(DATA.rglob("*.jsonl"))):
        content = file.read_bytes()
        name = f"{file.parent.name}-{file.stem}"
        for first in (b"@", b"a"):
            put("data_json", f"{name}-{first.decode()}", first[:1] + content[: MOST_BYTES - 1])
    for file in sorted(DATA.rglob("*.tsv")):
        put("data_tsv", file.stem, b"@" + file.read_bytes()[: MOST_BYTES - 1])
        put("data_tsv", file.stem + "-a", b"a" + file.read_bytes()[: MOST_BYTES - 1])
    put("data_tsv", "quoted", b'@index\tquestion\tanswer\tA\tB\thint\tcategory\n1\t"a ""b""\nc"\tA\tx\ty\tz\tq\n'
                              b"2\tWhat?\t\"['one', \\\"it's\\\"]\"\t\t\t\t\n")
    for file in sorted(DATA.rglob("*.parquet")):
        for name, first in (("items", 1), ("columns", 9 + 32 + 64), ("answers", 9 + 16 + 128)):
            put("parquet", f"{file.stem}-{name}", bytes([first]) + file.read_bytes())
    for file in sorted((DATA / "parquet/hostile").glob("apart-*.parquet")):
        put("parquet", f"{file.stem}-by-id", bytes([9 + 64 + 128]) + file.read_bytes())
    marked = {"image": ["a.png", "b.png"], "question": "Is <image 2> <image 1>?", "answer": "It is."}
    put("data_json", "markers", b"\x80" + json.dumps([marked, {**marked, "question": "<image 3><image>"}]).encode())
    story = (DATA / "text/story.txt").read_bytes()
    put("data_text", "story", b"@" + story[:2000])
    put("data_text", "lines", b"`" + story[:300].replace(b"\n", b"\r\n") + " \u4e2d\u6587\u3000x".encode())


def records():
    for folder in sorted((ROOT / "tests/fixtures").iterdir()):
        header = folder / "sweep.json"
        if header.exists():
            sweep = json.loads(header.read_text())
            sweep["config"].get("bootstrap", {})["iterations"] = 2
            for data in sweep["data"].values():
                data["samples"] = data["samples"][:2]
            lines = [line for line in (folder / "records.jsonl").read_text().splitlines()
                     if any(json.loads(line)["sample"] in data["samples"] for data in sweep["data"].values())]
            for i, line in enumerate(lines[:3]):
                put("record", f"{folder.name}-{i}", line)
            kept = "".join(line + "\n" for line in lines)
            samples = "".join(line + "\n" for line in (folder / "samples.jsonl").read_text().splitlines()[:2])
            head = json.dumps(sweep)
            put("record", f"{folder.name}-header", head)
            put("record", f"{folder.name}-sample", samples.splitlines()[0])
            if len(head) + len(kept) + len(samples) < MOST_BYTES - 100:
                put("sweep_folder", folder.name, head, kept, samples, "")
        bench = folder / "bench.json"
        if bench.exists():
            whole = json.loads(bench.read_text())
            whole["cells"] = whole["cells"][:3]
            put("bench_json", folder.name, json.dumps(whole))


    detail = {"model": "m", "data": "d", "sample": "s", "cells": ["c"], "prompt_tokens": 3, "image": [0, 2], "grid": [1, 2],
              "thumbnail": "", "importance": [[0.5, 1e-30, 3]], "kept": [[[[0, 2]]]]}
    put("record", "detail", json.dumps(detail))


def images():
    for file in sorted((ROOT / "tests/golden/image").iterdir()):
        if file.suffix != ".json" and file.stat().st_size <= 8192:
            put("image", file.name, file.read_bytes())
    # Of the many variants, those that code of this project reads itself.
    for file in sorted((ROOT / "tests/golden/pictures").iterdir()):
        of_ours = file.name.startswith(("rle", "masks", "cmyk", "ycck", "progressive")) or "palette" in file.name
        if of_ours:
            put("image", file.name, file.read_bytes())


def texts():
    put("text_metrics", "words", "The cat sat on the mat. It was happy.\nVery.", "A cat sat on mats;\nit was very happy")
    put("text_metrics", "same", "one two two three", "one two two three")
    put("text_metrics", "empty", "", "x")
    put("text_metrics", "scripts", "\u4e2d\u6587 caf\u00e9 running", "\u4e2d\u6587 cafe runs <n> I.B.M.")


def templates():
    golden = json.loads((ROOT / "tests/parity/data/templates/golden.jsonl").read_text(encoding="utf-8").split("\n")[0])
    cases = {case["name"]: json.dumps(case["variables"], ensure_ascii=False) for case in golden["cases"]}
    files = [*sorted((ROOT / "tests/parity/data/templates").glob("*.jinja")), ROOT / "models/stampvlm/chat_template.jinja"]
    for file in files:
        for name in ("pictures", "tool call, answered"):
            put("jinja_template", f"{file.parent.name}-{file.stem}-{name.split()[0]}", file.read_bytes(), cases[name])
    lines = (ROOT / "tests/unit/jinja/data/snippets.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
    variables = json.loads(lines[0])["variables"]
    for number, line in enumerate(lines[1:201]):
        source = json.loads(line)[0]
        read = {name: value for name, value in variables.items() if name in source}
        put("jinja_template", f"snippet-{number}", source, json.dumps(read, ensure_ascii=False))


for make in (weights, tokenizers, configs, yamls, data_sets, records, images, texts, templates):
    make()
for folder in sorted(CORPUS.iterdir()):
    files = list(folder.iterdir())
    print(f"{folder.name}: {len(files)} inputs, {sum(f.stat().st_size for f in files)} bytes")
