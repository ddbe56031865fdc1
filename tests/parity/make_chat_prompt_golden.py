#!/usr/bin/env python3
"""Writes tests/parity/data/templates/prompts.jsonl: the prompts that transformers makes of conversations with each template.

The conversations are given as ElastiKV's turns: a role, a text, and a number of images that go before the text, or
"<image>" in the text where they stand. They become messages as people write them for transformers: parts where the
template writes images, texts where it does not. A template that writes all images first, whatever the order of the
parts, gets a text with the images' tokens in it where they stand within.

The first line holds the special tokens, the templates that take images with their token for one, and the conversations;
each other line is a template's name, a conversation's name, the template's variables, and the prompt, or null where the
template or jinja2 raises an exception.
"""

import json

from make_template_golden import FOLDER, TOKENS, render, templates_of

OUTPUT = FOLDER / "prompts.jsonl"

# Templates that write images, and the token that stands for one in what they write.
PICTURES = {
    "gemma-3": "<start_of_image>",
    "gemma-4": "<|image|>",
    "idefics3": "<image>",
    "lfm2-vl": "<image>",
    "llama-3.2-vision": "<|image|>",
    "llama-4": "<|image|>",
    "llava-next-mistral": "<image>",
    "llava-next-video-mistral": "<image>",
    "llava-next-video-vicuna": "<image>",
    "llava-next-video-yi": "<image>",
    "llava-onevision": "<image>",
    "mistral-small-3.2": "[IMG]",
    "qwen2-vl": "<|image_pad|>",
    "qwen3-vl": "<|image_pad|>",
    "qwen3.6": "<|image_pad|>",
    "smolvlm": "<image>",
    "smolvlm-video": "<image>",
    "stampvlm": "<image>",
}
MARKERS = "<|im_end|>\n<|im_start|>system [INST] <start_of_turn> {{ x }} {% if %} </s> <|eot_id|>"
CONVERSATIONS = {
    "question": [["user", "What is it?", 0]],
    "picture": [["user", "What is it?", 1]],
    "two pictures": [["user", "Which is older?", 2]],
    "system": [["system", "Be brief.", 0], ["user", "What is it?", 0]],
    "system and picture": [["system", "Be brief.", 0], ["user", "What is it?", 1]],
    "two turns": [["user", "What is it?", 0], ["assistant", "An owl.", 0], ["user", "Where?", 0]],
    "two turns, picture": [["user", "What is it?", 1], ["assistant", "An owl.", 0], ["user", "Where?", 0]],
    "system, two turns, two pictures": [["system", "Be brief.", 0], ["user", "What is it?", 1], ["assistant", "An owl.", 0], ["user", "And this?", 1]],
    "markers": [["user", MARKERS, 0], ["assistant", "<think>\nhm\n</think>\n\nyes", 0], ["user", "ok", 0]],
    "markers and picture": [["system", MARKERS, 0], ["user", MARKERS, 1]],
    "blanks": [["user", "  \u00a0Wo?\n\n \"quoted\" \\n <&>\u2028 ", 0]],
    "pictures within": [["user", "Compare <image> with the other, <image>, please.", 0]],
    "pictures at the ends": [["user", "<image>What changed?<image><image>", 0]],
    "answered": [["user", "What is it?", 0], ["assistant", "An owl.", 0]],
}


def parts_of(text):
    """A text with "<image>" in it as parts, in its order."""
    parts = []
    for place, piece in enumerate(text.split("<image>")):
        parts += [{"type": "image"}] * (place > 0) + [{"type": "text", "text": piece}] * (piece != "")
    return parts


def keeps_order(template, tokens):
    """Whether a template writes an image behind a text that comes first."""
    content = [{"type": "text", "text": "before"}, {"type": "image"}, {"type": "text", "text": "behind"}]
    prompt = render(template, {"messages": [{"role": "user", "content": content}], "add_generation_prompt": True, **tokens})
    return prompt.index("before") < prompt.index(tokens["image_token"]) < prompt.index("behind")


def messages_of(name, turns, in_order):
    messages = []
    for role, text, pictures in turns:
        if name not in PICTURES:
            content = text
        elif "<image>" in text and not in_order:
            content = [{"type": "text", "text": text.replace("<image>", PICTURES[name])}]
        else:
            content = [{"type": "image"}] * pictures + parts_of(text)
        messages.append({"role": role, "content": content})
    return messages


def make():
    """The lines of the file."""
    lines = [json.dumps({"tokens": TOKENS, "pictures": PICTURES, "conversations": CONVERSATIONS}, ensure_ascii=False)]
    for name, template in templates_of(FOLDER).items():
        tokens = {**TOKENS, "image_token": PICTURES.get(name, TOKENS["image_token"])}
        in_order = name in PICTURES and keeps_order(template, tokens)
        settings = [{}, {"enable_thinking": False}] if "enable_thinking" in template else [{}]
        for variables in settings:
            for conversation, turns in CONVERSATIONS.items():
                if name not in PICTURES and any(pictures or "<image>" in text for _, text, pictures in turns):
                    continue
                prompt = render(template, {
                    "messages": messages_of(name, turns, in_order), "tools": None, "documents": None,
                    "add_generation_prompt": conversation != "answered", **tokens, **variables})
                lines.append(json.dumps([name, conversation, variables, prompt], ensure_ascii=False))
    return lines


if __name__ == "__main__":
    made = make()
    OUTPUT.write_text("\n".join(made) + "\n", encoding="utf-8")
    print(f"{OUTPUT}: {len(made) - 1} prompts")
