"""What a model in training knows of the validation split, from one forward pass per scene.

With the true answers given, an answer is exact when every one of its tokens is the likeliest; that is
when the model, asked greedily, would give that very answer.
"""

import json
import math

import torch
from PIL import Image
from torch.nn import functional

from detail_answers import SENTENCE
from detail_scenes import DATA

FACTS = {"place": 1, "size": 2, "name": 3, "number": 4}  # groups of a description's sentence


def _count(counts, name, right):
    counts.setdefault(name, [0, 0])
    counts[name][0] += int(right)
    counts[name][1] += 1


def _described_facts(description, offsets, right, facts):
    for sentence in SENTENCE.finditer(description):
        for name, group in FACTS.items():
            begin, end = sentence.span(group)
            tokens = [
                index
                for index, (first, last) in enumerate(offsets)
                if first < end and last > begin and last > first
            ]
            if tokens:
                _count(facts, name, right[tokens].all())


@torch.no_grad()
def validate(scores_of, conversations, pictures, scenes):
    """A report in two lines on the first `scenes` of the split.

    scores_of(pixels, conversation): the scores of the answer tokens, [tokens, vocabulary].
    """
    losses, facts, kinds = {"description": [], "questions": []}, {}, {}
    annotations = json.loads((DATA / "validation" / "annotations.json").read_text())[:scenes]
    for scene in annotations:
        texts = [turn["value"].removeprefix("<image>\n") for turn in scene["conversations"]]
        conversation = conversations.encode(list(zip(texts[::2], texts[1::2])))
        with Image.open(DATA / "validation" / scene["image"]) as picture:
            pixels = pictures.pixels(picture.convert("RGB"))
        scores = scores_of(pixels, conversation).float()
        loss = functional.cross_entropy(scores, conversation.answers, reduction="none")
        right = scores.argmax(-1) == conversation.answers
        described = conversation.described
        losses["description"] += loss[:described].tolist()
        losses["questions"] += loss[described:].tolist()
        _described_facts(texts[1], conversations.offsets(texts[1]), right, facts)
        for kind, answer in zip(scene["scene"]["question_kinds"], texts[3::2]):
            length = len(conversations.offsets(answer)) + 1
            _count(kinds, kind, right[described : described + length].all())
            described += length
    means = {name: sum(values) / len(values) for name, values in losses.items()}
    exact = [sum(column) for column in zip(*kinds.values())]

    def shares(counts):
        return ", ".join(f"{name} {right}/{of}" for name, (right, of) in sorted(counts.items()))

    return (
        f"validation: descriptions {means['description']:.4f} "
        f"(perplexity {math.exp(means['description']):.4f}), questions {means['questions']:.4f}; "
        f"facts given what stands before: {shares(facts)}\n"
        f"exact answers {exact[0]}/{exact[1]}: {shares(kinds)}"
    )
