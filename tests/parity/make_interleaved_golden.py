#!/usr/bin/env python3
"""Writes data/interleaved.json: the token ids that transformers makes of questions with images between their words.

Questions, options and images are in the layout of MMMU. lmms-eval's task makes messages of them (mmmu_doc_to_messages),
published chat templates make prompts of these, and the processors of the tiny checkpoints in data/families make ids of
the prompts. Where an image is behind a text, a template that writes all images first gets one text with the images'
tokens in their places. Needs what make_family_golden.py and tests/golden/make_task_golden.py need.
"""

import functools
import sys

from golden_common import DATA, ROOT, versions, write_json
from make_chat_prompt_golden import PICTURES, keeps_order
from make_family_golden import FAMILIES, PACKAGES
from make_template_golden import FOLDER, TOKENS, templates_of
from PIL import Image
from transformers import ProcessorMixin

OUTPUT = DATA / "interleaved.json"
TEMPLATES = {
    "idefics3": "idefics3",
    "llava_next_mistral": "llava-next-mistral",
    "llava_next_vicuna": "llava-next-video-vicuna",
    "llava_onevision": "llava-onevision",
    "qwen2_5_vl": "qwen2-vl",
    "qwen2_vl": "qwen2-vl",
    "smolvlm": "smolvlm",
}
PROMPTS = {
    "multiple_choice_prompt": "Answer with the option's letter from the given choices directly.",
    "open_ended_prompt": "Answer the question using a single word or phrase.",
    "prompt_type": "format",
}
# lmms-eval shows images in the order of their numbers, so they are named in this order.
ROWS = [
    {"question": "<image 1> Who wrote the first line of it, and why?", "options": [], "images": ["00_64x48.png"]},
    {"question": "Is the hat in <image 1>\nolder than the one in  <image 2>?\n", "options": ["yes", "no"],
     "images": ["05_64x64.png", "06_150x50.png"]},
    {"question": "Which of these comes after\n<image 1>", "options": ["<image 2>", "<image 3>", "neither"],
     "images": ["01_40x120.png", "07_3x5.png", "10_17x91.png"]},
    {"question": "<image 1><image 2> What changed?\u00a0", "options": [], "images": ["05_64x64.png", "00_64x48.png"]},
    {"question": "How long is x?\n<image 1>", "options": [], "images": ["06_150x50.png"]},
]


def document(row):
    """A row as lmms-eval gets it."""
    pictures = [Image.open(DATA / "families" / "pictures" / name).convert("RGB") for name in row["images"]]
    return {
        "question": row["question"],
        "options": str(row["options"]),
        "question_type": "multiple-choice" if row["options"] else "open",
        **{f"image_{place + 1}": picture for place, picture in enumerate(pictures)},
    }


@functools.cache
def task():
    """lmms-eval's for MMMU. Loaded when it is called: what is missing has stand-ins meanwhile, which no other module may see."""
    sys.path.insert(0, str(ROOT / "tests" / "golden"))
    import task_kits

    return task_kits.mmmu


def content_of(row, template, token):
    """A message's parts, or one text where the template would put its images in front."""
    messages = task().mmmu_doc_to_messages(document(row), PROMPTS)
    parts = [{"type": "image", "image": part["url"]} if part["type"] == "image" else part for part in messages[0]["content"]]
    kinds = [part["type"] for part in parts]
    if kinds == sorted(kinds) or keeps_order(template, {**TOKENS, "image_token": token}):
        return parts
    return [{"type": "text", "text": "".join(part.get("text", token) for part in parts)}]


def ids_of(processor, family, name, template, row):
    content = content_of(row, template, PICTURES[name])
    # SmolVLM's own function looks at videos first, for which the tiny checkpoint has no processor.
    apply = functools.partial(ProcessorMixin.apply_chat_template, processor, [{"role": "user", "content": content}],
                              chat_template=template, add_generation_prompt=True)
    if content[0]["type"] == "text" and len(content) == 1 or family == "llava_onevision":
        # LLaVA-OneVision's processor makes tiles of the images of one list, as ElastiKV does of any.
        pictures = [picture for key, picture in document(row).items() if key.startswith("image_")]
        inputs = processor(images=pictures, text=apply(tokenize=False), return_tensors="pt")
    else:
        inputs = apply(tokenize=True, return_dict=True, return_tensors="pt")
    return inputs["input_ids"][0].tolist()


def make():
    """What the file holds."""
    templates = templates_of(FOLDER)
    cases = []
    for family, name in TEMPLATES.items():
        _, processor, *_ = FAMILIES[family]()
        for number, row in enumerate(ROWS):
            cases.append({"family": family, "template": name, "row": number,
                          "input_ids": ids_of(processor, family, name, templates[name], row)})
    return {"versions": versions(*PACKAGES, "lmms_eval"), "prompts": PROMPTS, "rows": ROWS, "cases": cases}


if __name__ == "__main__":
    made = make()
    write_json(OUTPUT, made)
    print(f"{OUTPUT}: {len(made['cases'])} prompts")
