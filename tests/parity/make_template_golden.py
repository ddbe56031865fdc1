#!/usr/bin/env python3
"""Writes golden.jsonl beside published chat templates: what transformers makes of some conversations with each.

  make_template_golden.py [--templates FOLDER]

FOLDER holds NAME.jinja; without it, it is tests/parity/data/templates, whose README says where those are from, and the
default model's template is taken with them. Templates whose licence does not let them lie here can be held to in a
folder of their own: the test jinja_test also reads the one that $ELASTIKV_CHAT_TEMPLATES names.

The first line of golden.jsonl holds the cases, each the variables of a rendering; each other line is a template's name,
the number of a case, and the text, or null where the template or jinja2 raises an exception.
"""

import argparse
import json
from pathlib import Path
from unittest import mock

from make_jinja_golden import Clock
from transformers.utils import chat_template_utils

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent / "data" / "templates"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "image_token": "<image>"}
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "The weather in a \"town\".\nNow.", "parameters": {
        "type": "object", "properties": {
            "town": {"type": "string", "description": "Its name, e.g. S\u00e3o Paulo"},
            "unit": {"type": "string", "enum": ["C", "F"]},
            "days": {"type": "array", "items": {"type": "integer"}, "nullable": True}},
        "required": ["town"]}, "return": {"type": "number", "description": "Degrees"}}},
    {"type": "function", "function": {"name": "now", "description": "What time it is", "parameters": {"type": "object", "properties": {}}}},
]


def text(role, content, **more):
    return {"role": role, "content": content, **more}


def parts(role, *content):
    """Content as a list: "<image>" is an image, any other text is a text."""
    return {"role": role, "content": [{"type": "image"} if one == "<image>" else {"type": "text", "text": one} for one in content]}


CONVERSATIONS = {
    "one question": [text("user", "What is it?")],
    "system": [text("system", "Be brief."), text("user", "What is it?")],
    "two turns": [text("user", "What is it?"), text("assistant", "An owl."), text("user", "Where?")],
    "three turns": [text("system", " You see.\n"), text("user", "a"), text("assistant", " b "), text("user", " c\n"), text("assistant", "d"), text("user", "e")],
    "ends with the answer": [text("user", "What is it?"), text("assistant", "An owl.")],
    "markers": [text("user", "<|im_end|>\n<|im_start|>system [INST] <image> <start_of_turn> {{ x }} {% if %} </s>"), text("assistant", "<think>\nhm\n</think>\n\nyes"), text("user", "ok")],
    "unicode": [text("system", "\u732b\U0001f600 e\u0301 \u00df"), text("user", "  \u00a0\u3000Wo?\u2028 \"quoted\" 'it' \\n <&>  ")],
    "empty": [text("user", "")],
    "no such order": [text("assistant", "An owl."), text("user", "Where?")],
    "twice the same": [text("user", "a"), text("user", "b")],
    "system later": [text("user", "a"), text("system", "b"), text("user", "c")],
    "unknown role": [text("user", "a"), text("narrator", "b")],
    "picture": [parts("user", "<image>", "What is it?")],
    "picture behind": [parts("user", "What is it?", "<image>")],
    "pictures": [parts("system", "Be brief."), parts("user", "<image>", "<image>", "Which?"), parts("assistant", "The owl."), parts("user", "Why?", "<image>", " Say.")],
    "parts of text": [parts("user", "a", "b"), parts("assistant", "c"), parts("user", "d")],
    "thinking": [text("user", "a"), text("assistant", "<think>\nwell\n</think>\n\nb", reasoning_content="r\n"), text("user", "c")],
    "tool call": [text("user", "Warm?"), text("assistant", "", tool_calls=[{"type": "function", "id": "abcdefghi", "function": {"name": "get_weather", "arguments": {"town": "Ulm", "days": [1, 2], "x": None}}}]),
                  text("tool", "{\"degrees\": 21.5}", name="get_weather", tool_call_id="abcdefghi")],
    "tool call, answered": [text("system", "s"), text("user", "Warm?"), text("assistant", None, tool_calls=[{"type": "function", "id": "123456789", "function": {"name": "now", "arguments": "{}"}}]),
                            text("tool", "12:00", name="now", tool_call_id="123456789"), text("assistant", "Noon."), text("user", "Thanks")],
}


def cases():
    made = []
    for name, messages in CONVERSATIONS.items():
        for more in [{"add_generation_prompt": True}, {"add_generation_prompt": False}]:
            made.append({"name": name, "messages": messages, **more})
    for thinking in [True, False]:
        for name in ["two turns", "thinking", "markers"]:
            made.append({"name": name, "messages": CONVERSATIONS[name], "add_generation_prompt": True, "enable_thinking": thinking})
    for name in ["one question", "system", "tool call", "tool call, answered", "picture"]:
        for prompt in [True, False]:
            made.append({"name": name, "messages": CONVERSATIONS[name], "tools": TOOLS, "add_generation_prompt": prompt})
    made.append({"name": "system", "messages": CONVERSATIONS["system"], "documents": [{"title": "T", "text": "x"}, {"title": "U", "text": "y"}], "add_generation_prompt": True})
    return [{"name": case.pop("name"), "variables": {"tools": None, "documents": None, **case, **TOKENS}} for case in made]


def render(template, variables):
    arguments = json.loads(json.dumps(variables))
    messages = arguments.pop("messages")
    try:
        with mock.patch.object(chat_template_utils, "datetime", Clock):
            return chat_template_utils.render_jinja_template([messages], chat_template=template, **arguments)[0][0]
    except Exception:
        return None


def templates_of(folder):
    found = {file.stem: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.jinja"))}
    if folder == FOLDER:
        found["stampvlm"] = (ROOT / "models" / "stampvlm" / "chat_template.jinja").read_text(encoding="utf-8")
    return found


def make(folder):
    """The lines of the file."""
    all_cases = cases()
    lines = [json.dumps({"cases": all_cases}, ensure_ascii=False)]
    for name, template in templates_of(folder).items():
        for number, case in enumerate(all_cases):
            lines.append(json.dumps([name, number, render(template, case["variables"])], ensure_ascii=False))
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--templates", type=Path, default=FOLDER, metavar="FOLDER")
    arguments = parser.parse_args()
    lines = make(arguments.templates)
    (arguments.templates / "golden.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{arguments.templates / 'golden.jsonl'}: {len(lines) - 1} renderings")


if __name__ == "__main__":
    main()
