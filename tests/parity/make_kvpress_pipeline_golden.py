#!/usr/bin/env python3
"""Makes the golden answers of compress_at_test.cc: what kvpress 0.5.4 keeps of a context, and its text-generation
pipeline answers to several questions about it, in fp32 on the CPU.

The context alone is compressed; every question, with the rest of the template and an answer's beginning behind it, goes
through the compressed cache, and 12 tokens follow greedily. Ten presses at two ratios, on the random LLaMAs of
make_parity_golden.py, the random Qwen2 of make_family_golden.py (contexts and questions are ids) and SmolLM2, where
models/smollm2/assembled is there (a text, by the pipeline's own tokenization).

Writes into tests/parity/data (or --output), or with --check says whether that is what is there:
  kvpress_pipeline.json          the cases: model, press, how ElastiKV states it, slots by layer, questions, answers
  kvpress_pipeline.safetensors   contexts, and for each case a bit per layer, KV head and token: 1 is kept

Needs requirements-kvpress.txt.
"""

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import kvpress
import numpy as np
import torch
from kvpress.pipeline import KVPressTextGenerationPipeline
from make_kvpress_golden import DATA, PRESSES, ROOT, TEXT, slots_of, watched
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

RATIOS = (0.3, 0.7)  # removed
NEW_TOKENS = 12
CONTEXT_TOKENS = 80
# Of a model that is no random one.
QUESTIONS = ("Who is Alice talking to?", "What happens next?")
CONTEXT_CHARACTERS = 500
FEWER_NEW_TOKENS = 6
ANSWER_PREFIX = "The answer is"

# Beside those whose kept sets kvpress_test.cc holds.
MORE = {
    "streaming_llm": (
        lambda ratio: kvpress.StreamingLLMPress(ratio, n_sink=4),
        "sdpa",
        "streaming-llm",
        ["positions=original", "generation=none"],
    ),
    "adakv_expected_attention": (
        lambda ratio: kvpress.AdaKVPress(kvpress.ExpectedAttentionPress(ratio), 0.2),
        "sdpa",
        "expected-attention",
        ["heads={kind: adaptive, safeguard: 0.2, rule: floor}"],
    ),
    "adakv_knorm": (
        lambda ratio: kvpress.AdaKVPress(kvpress.KnormPress(ratio), 0.2),
        "sdpa",
        "knorm",
        ["allocation=uniform", "generation=none", "heads={kind: adaptive, safeguard: 0.2, rule: floor}"],
    ),
}
# Its layers keep different numbers of entries, and the pipeline masks a question of several tokens by the first layer's.
LEFT_OUT = ("pyramidkv",)


class IdsTokenizer:
    """Gives the pipeline answers as ids."""

    model_max_length = 1 << 20

    @staticmethod
    def decode(ids, **_):
        return [int(token) for token in ids]


def pipeline_of(model):
    pipeline = KVPressTextGenerationPipeline.__new__(KVPressTextGenerationPipeline)
    pipeline.model = model
    pipeline.tokenizer = IdsTokenizer()
    return pipeline


def answers_of(model, press, context, questions, tokens):
    """[answer] to questions about one compressed context; null for one that kvpress cannot ask."""
    together = {
        "context_ids": torch.tensor(context)[None],
        "questions_ids": [torch.tensor(question)[None] for question in questions],
    }
    with torch.no_grad():
        try:
            answers = pipeline_of(model)._forward(together, max_new_tokens=tokens, press=press)
            return [json.loads(answer) for answer in answers]
        except ValueError as error:
            # Heads of different lengths are faked by keys that no query attends to. With heads as small as the random
            # models' there is not always one for all tokens of a question.
            if "fake keys" not in str(error):
                raise
            if len(questions) == 1:
                return [None]
            return [answers_of(model, press, context, [question], tokens)[0] for question in questions]


def inputs():
    """(name, folder, context ids, [question ids], tokens of an answer)"""
    generator = np.random.default_rng(23)
    for name, folder in (
        ("tiny_llama_a", "tests/parity/data/tiny_llama_a"),
        ("tiny_llama_b", "tests/parity/data/tiny_llama_b"),
        ("tiny_qwen2", "tests/parity/data/families/qwen2"),
    ):
        vocabulary = json.loads((ROOT / folder / "config.json").read_text())["vocab_size"]
        # No token twice: two equal ones have equally long keys in the first layer, up to rounding.
        context = generator.permutation(vocabulary)[:CONTEXT_TOKENS]
        questions = [generator.integers(0, vocabulary, size).tolist() for size in (5, 1, 9)]
        yield name, folder, context.tolist(), questions, NEW_TOKENS
    folder = "models/smollm2/assembled"
    if not (ROOT / folder).is_dir():
        return
    tokenizer = AutoTokenizer.from_pretrained(ROOT / folder)
    made = KVPressTextGenerationPipeline.preprocess(
        SimpleNamespace(tokenizer=tokenizer),
        TEXT.read_text(encoding="utf-8")[:CONTEXT_CHARACTERS],
        list(QUESTIONS),
        ANSWER_PREFIX,
        tokenizer.model_max_length,
    )
    questions = [question[0].tolist() for question in made["questions_ids"]]
    yield "smollm2", folder, made["context_ids"][0].tolist(), questions, FEWER_NEW_TOKENS


def make():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    tensors, cases = {}, []
    for name, folder, context, questions, new_tokens in inputs():
        tensors[f"{name}.context"] = np.array(context, dtype=np.int64)
        models = {}
        for press_name, (make_press, attention, preset, overrides) in {**PRESSES, **MORE}.items():
            if press_name in LEFT_OUT:
                continue
            if attention not in models:
                models[attention] = AutoModelForCausalLM.from_pretrained(
                    ROOT / folder, dtype=torch.float32, attn_implementation=attention
                ).eval()
                models[attention].generation_config.eos_token_id = [-1]  # answers of one length
            model = models[attention]
            for ratio in RATIOS:
                kept = {}
                answers = answers_of(
                    model, watched(make_press(ratio), kept), context, questions, new_tokens
                )
                mask = torch.stack([kept[layer] for layer in sorted(kept)])
                case = f"{name}.{press_name}.{ratio}"
                tensors[case] = np.packbits(mask.numpy(), axis=-1)
                cases.append(
                    {
                        "name": case,
                        "model": folder,
                        "context": f"{name}.context",
                        "preset": preset,
                        "overrides": overrides,
                        "slots": slots_of(mask),
                        "questions": questions,
                        "answers": answers,
                    }
                )
                print(case, cases[-1]["slots"][:6], flush=True)
    return tensors, cases


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=DATA)
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 where something differs")
    options = parser.parse_args()
    tensors, cases = make()
    names = ("kvpress_pipeline.json", "kvpress_pipeline.safetensors")
    if options.check:
        there = {case["name"]: case for case in json.loads((DATA / names[0]).read_text())["cases"]}
        bits = load_file(DATA / names[1])
        differing = [case["name"] for case in cases if there.get(case["name"]) != case]
        differing += [key for key, value in tensors.items() if not np.array_equal(bits.get(key), value)]
        for name in differing:
            print(f"{name} differs")
        return 1 if differing else 0
    options.output.mkdir(parents=True, exist_ok=True)
    save_file(tensors, options.output / names[1])
    versions = {package: version(package) for package in ("kvpress", "torch", "transformers")}
    text = json.dumps({"versions": versions, "cases": cases}, indent=1)
    (options.output / names[0]).write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
