#!/usr/bin/env python3
"""Writes tests/unit/text/data/prompt-formats.jsonl: what published chat templates make of some conversations.

  make_prompt_golden.py --templates FOLDER

FOLDER holds NAME.jinja for prompt formats of configs/prompts, as their checkpoints publish them (they are not ours to
keep here); SmolVLM's comes with transformers. A template's pad token for an image becomes <image>.
"""
import argparse
import json
import pathlib

from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONVERSATIONS = [
    [("user", "What is it?", 1)], [("user", "What is it?", 0)], [("user", " two  \n", 2)],
    [("user", "What is it?", 1), ("assistant", "An owl.", 0), ("user", "Where?", 0)],
    [("system", "Be brief.", 0), ("user", "What is it?", 1), ("assistant", "An owl.", 0)],
]
TEXT_ONLY = ["llama-3"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--templates", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE
    templates = {file.stem: file.read_text() for file in arguments.templates.glob("*.jinja")}
    templates["smolvlm"] = DEFAULT_CHAT_TEMPLATE
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    with open(ROOT / "tests" / "unit" / "text" / "data" / "prompt-formats.jsonl", "w", newline="\n") as out:
        for name, template in sorted(templates.items()):
            for turns in CONVERSATIONS:
                if name in TEXT_ONLY and any(images for _, _, images in turns):
                    continue
                messages = [{"role": role, "content": text if name in TEXT_ONLY else
                             [{"type": "image"}] * images + [{"type": "text", "text": text}]} for role, text, images in turns]
                for follows in [True, False]:
                    text = environment.from_string(template).render(messages=messages, add_generation_prompt=follows,
                                                                    bos_token="<|begin_of_text|>")
                    line = {"format": name, "turns": turns, "answer_follows": follows, "rendered": text.replace("<|image_pad|>", "<image>")}
                    out.write(json.dumps(line, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
