#!/usr/bin/env python3
"""Makes a random tiny checkpoint of Qwen-VL-Chat, laid out as the published one, and what qwen_vl_reference.py computes
with it: token ids, pixel values, vision features, logits, greedy tokens and perplexity.

Writes into tests/parity/data/families (or --output), whose images make_family_golden.py makes:
  qwen_vl_chat/                     a checkpoint folder: config.json, qwen.tiktoken, two shards of weights
  qwen_vl_chat.golden.safetensors   what the reference makes of the images with it
  qwen_vl_chat.json                 versions, prompts, and what is no tensor

The shards are torch's, as the published ones are. seq_length is so short that the first cases pass it while they write,
and the others with their prompts.
"""

import argparse
import base64
import json
import shutil
import zlib
from pathlib import Path

import numpy as np
import torch
from golden_common import DATA, ROOT, save_tensors, versions, write_json
from PIL import Image
from qwen_vl_reference import QwenVl, Tokenizer, pixels

NAME = "qwen_vl_chat"
PACKAGES = ("numpy", "pillow", "safetensors", "tiktoken", "torch")
RANKS = ROOT / "tests" / "unit" / "text" / "data" / "qwen-tiktoken" / "qwen.tiktoken"
RANK_COUNT = 400
QUESTION = "What is in this picture?"
ANSWER = "A red circle above two blue squares, and 3 dots."
GREEDY_TOKENS = 32
CLOSELY = 3
PASSED_AFTER = 10  # tokens behind the prompt of the first cases, the trained length is reached


def ranks():
    """The first ranks of the tokenizer's test data, which stand for themselves: no token needs a later one."""
    lines = RANKS.read_text().splitlines()[:RANK_COUNT]
    return "\n".join(lines) + "\n", {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in lines}


def configuration(tokenizer, prompt_tokens):
    return {
        "architectures": ["QWenLMHeadModel"],
        "auto_map": {"AutoConfig": "configuration_qwen.QWenConfig", "AutoModelForCausalLM": "modeling_qwen.QWenLMHeadModel"},
        "attn_dropout_prob": 0.0, "bf16": True, "emb_dropout_prob": 0.0, "fp16": False, "fp32": False, "hidden_size": 256,
        "initializer_range": 0.02, "intermediate_size": 176, "kv_channels": 64, "layer_norm_epsilon": 1e-06,
        "max_position_embeddings": 2048, "model_type": "qwen", "no_bias": True, "num_attention_heads": 4,
        "num_hidden_layers": 2, "onnx_safe": None, "rotary_emb_base": 10000, "rotary_pct": 1.0,
        "scale_attn_weights": True, "seq_length": prompt_tokens + PASSED_AFTER, "tie_word_embeddings": False,
        "tokenizer_type": "QWenTokenizer", "torch_dtype": "bfloat16", "transformers_version": "4.31.0", "use_cache": True,
        "use_dynamic_ntk": True, "use_flash_attn": False, "use_logn_attn": True,
        "visual": {"heads": 2, "image_size": 84, "image_start_id": tokenizer.special["<img>"], "layers": 2,
                   "mlp_ratio": 2.4531, "output_dim": 256, "patch_size": 4, "width": 32},
        "vocab_size": (len(tokenizer) + 7) // 8 * 8}


def randomize(model, seed):
    """Random weights by numpy, so that they are the same everywhere, large enough that every bias and norm tells."""
    random = np.random.default_rng(seed)
    for name, parameter in sorted(model.named_parameters()):
        if name.endswith("pos_embed"):
            continue  # a table of sines
        values = random.standard_normal(tuple(parameter.shape))
        if ".ln_" in name:
            values = 0.2 * values + (1.0 if name.endswith("weight") else 0.0)
        elif name.endswith("bias"):
            values = 0.2 * values
        elif name.split(".")[-1] not in ("positional_embedding", "query") and ".wte." not in name:
            values = values * 1.5 / np.sqrt(int(np.prod(parameter.shape[1:])))
        parameter.copy_(torch.from_numpy(values.astype(np.float32)))


def save(model, folder):
    """Half the size in bf16; both sides load it as fp32."""
    tensors = {name: value.to(torch.bfloat16) for name, value in model.state_dict().items()}
    names = sorted(tensors)
    shards = [[n for n in names if ".visual." not in n], [n for n in names if ".visual." in n]]
    places = {}
    for number, shard in enumerate(shards, 1):
        file = f"pytorch_model-{number:05}-of-{len(shards):05}.bin"
        torch.save({name: tensors[name] for name in shard}, folder / file)
        places |= {name: file for name in shard}
    size = sum(value.numel() * value.element_size() for value in tensors.values())
    write_json(folder / "pytorch_model.bin.index.json", {"metadata": {"total_size": size}, "weight_map": places})
    model.load_state_dict({name: value.float() for name, value in tensors.items()})


class Maker:
    def __init__(self, model, tokenizer, answer):
        self.model, self.answer = model, answer
        self.tokenizer = tokenizer
        self.tensors, self.cases = {}, []

    def logits(self, ids, features, prompt_tokens):
        return self.model(ids, features, prompt_tokens)

    def add(self, name, question, files, closely):
        side = self.model.config["visual"]["image_size"]
        views = [pixels(Image.open(file), side) for file in files]
        features = [self.model.transformer.visual(view) for view in views]
        ids = self.tokenizer.prompt(question, len(files))
        case = {"name": name, "question": question, "pictures": [file.name for file in files]}
        self.cases.append(case)
        self.tensors[f"{name}.input_ids"] = torch.tensor(ids, dtype=torch.int32)
        if len(files) == 1:
            case["views"] = [1, *views[0].shape]
            case["pixels_crc"] = zlib.crc32(np.ascontiguousarray(views[0].numpy().astype("<f4")).tobytes())
            self.tensors[f"{name}.feature_sums"] = features[0].sum(1)
            if name == "0":  # large; sums do for the others
                self.tensors[f"{name}.features"] = features[0]
        self.tensors[f"{name}.last_logits"] = self.logits(ids, features, len(ids))[-1]
        if not closely:
            return
        forced = self.logits(ids + self.answer, features, len(ids))[len(ids) - 1 : -1].double()
        scores = torch.log_softmax(forced, -1)[torch.arange(len(self.answer)), torch.tensor(self.answer)]
        self.tensors[f"{name}.nll"] = -scores.float()
        written, margins = [], []
        for _ in range(GREEDY_TOKENS):
            best = self.logits(ids + written, features, len(ids))[-1].topk(2)
            written.append(int(best.indices[0]))
            margins.append(float(best.values[0] - best.values[1]))
        self.tensors[f"{name}.greedy_tokens"] = torch.tensor(written)
        self.tensors[f"{name}.greedy_margins"] = torch.tensor(margins)


def long_question(tokenizer, tokens):
    """Words until the prompt has at least so many tokens."""
    random = np.random.default_rng(7)
    words = "When the river rose in 1852 they moved every book, lamp and chair; nobody knew why it stopped".split()
    question = "Read this:"
    while len(tokenizer.prompt(question, 0)) < tokens:
        question += " " + " ".join(random.choice(words, 8))
    return question


@torch.no_grad()
def make(output):
    """Writes into `output`, which holds the images of make_family_golden.py; returns what was reached of NTK."""
    torch.set_num_threads(1)
    rank_text, rank_ids = ranks()
    tokenizer = Tokenizer(rank_ids)
    config = configuration(tokenizer, len(tokenizer.prompt(QUESTION, 1)))
    folder = output / NAME
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    write_json(folder / "config.json", config)
    (folder / "qwen.tiktoken").write_text(rank_text)
    # The published one names <|endoftext|> only; <|im_end|> ends a turn all the same.
    write_json(folder / "generation_config.json", {
        "chat_format": "chatml", "do_sample": True, "eos_token_id": tokenizer.special["<|endoftext|>"],
        "max_new_tokens": 512, "max_window_size": 6144, "pad_token_id": tokenizer.special["<|endoftext|>"], "top_k": 0,
        "top_p": 0.3, "transformers_version": "4.31.0"})
    write_json(folder / "tokenizer_config.json", {
        "auto_map": {"AutoTokenizer": ["tokenization_qwen.QWenTokenizer", None]}, "clean_up_tokenization_spaces": True,
        "model_max_length": 8192, "tokenizer_class": "QWenTokenizer"})
    model = QwenVl(config).eval()
    randomize(model, 700)
    save(model, folder)

    files = sorted((output / "pictures").glob("*.png"))
    maker = Maker(model, tokenizer, tokenizer.text(ANSWER))
    for index, file in enumerate(files):
        maker.add(str(index), QUESTION, [file], index < CLOSELY)
    maker.add("two", QUESTION, files[:2], closely=False)
    # Three times the trained length: it takes two doublings.
    maker.add("long", long_question(tokenizer, 3 * config["seq_length"]), [], closely=True)
    save_tensors(output / f"{NAME}.golden.safetensors", maker.tensors)
    write_json(output / f"{NAME}.json", {"versions": versions(*PACKAGES), "families": {
        NAME: {"prompt_format": "qwen-vl-chat", "answer": ANSWER, "answer_ids": maker.answer, "cases": maker.cases}}})
    alphas = {case["name"]: model.ntk_alpha(len(maker.tensors[f"{case['name']}.input_ids"])) for case in maker.cases}
    return {"seq_length": config["seq_length"], "alphas": alphas}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--output", type=Path, default=DATA / "families", help="default: tests/parity/data/families")
    output = parser.parse_args().output
    print(json.dumps(make(output)))


if __name__ == "__main__":
    main()
