#!/usr/bin/env python3
"""Measures what an assembled StampVLM sees: greedy answers on a split of detail scenes.

Prints the shares of objects named, placed, sized and numbered in the descriptions, of questions
answered right by kind, and the perplexity of the true descriptions; --output writes all answers and
figures as JSON. Each answer is given to its question alone, after the picture. A picture's tokens
are read once and its questions are answered in one batch, which changes nothing but the time.

Needs requirements.txt.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoTokenizer, DynamicCache, LlavaForConditionalGeneration

sys.path.insert(0, str(Path(__file__).resolve().parent))
from assemble import ROOT  # noqa: E402
from detail_figures import DetailFigures, print_shares  # noqa: E402
from detail_scenes import DATA  # noqa: E402

LONGEST = {"description": 320, "answer": 40}  # tokens
DESCRIPTIONS_AT_ONCE = 20


class Model:
    def __init__(self, folder, dtype):
        self._model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=dtype).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._end = self._tokenizer.convert_tokens_to_ids("<|im_end|>")
        processor = json.loads((folder / "preprocessor_config.json").read_text())
        self._mean, self._std = (
            np.array(processor[key], dtype=np.float32) for key in ("image_mean", "image_std")
        )
        config = self._model.config
        self._image = [config.image_token_index] * config.image_seq_length

    def _ids(self, text):
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def _prompt(self, question):
        """Ids before and after the picture's."""
        content = [{"type": "image"}, {"type": "text", "text": question}]
        text = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        before, after = text.split("<image>")
        return self._ids(before), self._ids(after)

    @torch.no_grad()
    def look(self, path):
        """[(keys, values) of each layer] of a picture and what stands before it."""
        with Image.open(path) as picture:
            values = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255
        pixels = torch.from_numpy(((values - self._mean) / self._std).transpose(2, 0, 1)[None])
        ids = torch.tensor([self._prompt("")[0] + self._image])
        output = self._model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=pixels.to(self._model.dtype),
            use_cache=True,
            logits_to_keep=1,
        )
        return [(layer.keys, layer.values) for layer in output.past_key_values.layers]

    def _after(self, prefixes, texts):
        """A cache of one row per text, and the texts' ids, mask and positions, padded on the left.

        prefixes: what `look` returned, one for all texts or one for each.
        """
        cache = DynamicCache(
            ddp_cache_data=[
                tuple(
                    torch.cat([prefix[layer][which] for prefix in prefixes]).expand(
                        len(texts), -1, -1, -1
                    )
                    for which in (0, 1)
                )
                for layer in range(len(prefixes[0]))
            ]
        )
        longest, before = max(map(len, texts)), cache.get_seq_length()
        ids = torch.tensor([[self._end] * (longest - len(text)) + text for text in texts])
        mask = torch.ones(len(texts), before + longest, dtype=torch.int64)
        for row, text in enumerate(texts):
            mask[row, before : before + longest - len(text)] = 0
        positions = (mask.cumsum(-1) - 1)[:, before:]
        return cache, ids, mask, positions

    @torch.no_grad()
    def answer(self, prefixes, questions, longest):
        """Greedy answers, stripped of the end token."""
        cache, ids, mask, positions = self._after(
            prefixes, [self._prompt(question)[1] for question in questions]
        )
        answers = [[] for _ in questions]
        running = torch.ones(len(questions), dtype=torch.bool)
        for _ in range(longest):
            output = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            chosen = output.logits[:, -1].argmax(-1)
            running &= chosen != self._end
            if not running.any():
                break
            for row in running.nonzero().flatten().tolist():
                answers[row].append(int(chosen[row]))
            ids = chosen[:, None]
            mask = torch.cat([mask, torch.ones_like(ids)], -1)
            positions = positions[:, -1:] + 1
        return [self._tokenizer.decode(answer) for answer in answers]

    @torch.no_grad()
    def log_likelihood(self, prefix, question, answer):
        """The sum over an answer's tokens, its end included, and how many they are."""
        asked, answered = self._prompt(question)[1], self._ids(f"{answer}<|im_end|>")
        cache, ids, mask, positions = self._after([prefix], [asked + answered])
        output = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        scores = output.logits[0, len(asked) - 1 : -1].float().log_softmax(-1)
        chosen = scores.gather(-1, torch.tensor(answered)[:, None])
        return chosen.sum().item(), len(answered)


def evaluate(model, split, count):
    """Answers and figures of the first `count` scenes of a split."""
    annotations = json.loads((split / "annotations.json").read_text())[:count]
    figures, likelihood, tokens, results = DetailFigures(), 0.0, 0, []
    for first in range(0, len(annotations), DESCRIPTIONS_AT_ONCE):
        scenes = annotations[first : first + DESCRIPTIONS_AT_ONCE]
        prefixes = [model.look(split / scene["image"]) for scene in scenes]
        asked = [
            [turn["value"].removeprefix("<image>\n") for turn in scene["conversations"]]
            for scene in scenes
        ]
        requests = [turns[0] for turns in asked]
        descriptions = model.answer(prefixes, requests, LONGEST["description"])
        for scene, prefix, turns, description in zip(scenes, prefixes, asked, descriptions):
            part = model.log_likelihood(prefix, turns[0], turns[1])
            likelihood, tokens = likelihood + part[0], tokens + part[1]
            answers = model.answer([prefix], turns[2::2], LONGEST["answer"])
            results.append(figures.add(scene, description, answers))
        print(f"{first + len(scenes)} of {len(annotations)} scenes", file=sys.stderr, flush=True)
    return {
        "scenes": len(annotations),
        "figures": figures.shares(),
        "perplexity": round(math.exp(-likelihood / tokens), 4),
        "answers": results,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument(
        "--model",
        type=Path,
        default=ROOT / "models" / "stampvlm" / "assembled",
        help="default: models/stampvlm/assembled",
    )
    parser.add_argument("--split", default="validation", help="default: validation")
    parser.add_argument("--scenes", type=int, default=100, help="at most so many (default: 100)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--output", type=Path, metavar="FILE", help="JSON of answers and figures")
    arguments = parser.parse_args()
    model = Model(arguments.model, getattr(torch, arguments.dtype))
    result = evaluate(model, DATA / arguments.split, arguments.scenes)
    result = {"split": arguments.split, "dtype": arguments.dtype} | result
    print_shares(result["figures"])
    print(f"{'perplexity of the descriptions':40} {result['perplexity']}")
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
