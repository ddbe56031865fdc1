#!/usr/bin/env python3
"""What transformers makes of a plain text with the random checkpoints of data/families: `tokenizer(text)` and the
negative log likelihood of its ids, for windows of tokens. Writes data/windows.json.

All in fp32 on the CPU with eager attention.
"""

import torch
import transformers as tf
from golden_common import DATA, versions, write_json

TEXT = "Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do.\n"
PROMPT_TOKENS = 12
# Two whose tokenizers put a BOS in front and two whose tokenizers do not; SmolLM2's names one all the same.
MODELS = ("mistral", "llama3", "qwen3", "smolvlm")


def window(name):
    folder = DATA / "families" / name
    tokenizer = tf.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(TEXT).input_ids
    case = {"model": name, "bos": tokenizer.bos_token_id, "ids": ids}
    if name != "smolvlm":  # a model of images: its tokenizer alone
        model = tf.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        nll = -torch.log_softmax(logits.double(), -1)[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
        case["nll"] = [round(value, 6) for value in nll[PROMPT_TOKENS - 1 :].tolist()]
    return case


def make():
    return {
        "made_with": versions("tokenizers", "torch", "transformers"),
        "text": TEXT,
        "prompt_tokens": PROMPT_TOKENS,
        "windows": [window(name) for name in MODELS],
    }


def main():
    write_json(DATA / "windows.json", make())


if __name__ == "__main__":
    main()
