#!/usr/bin/env python3
"""What transformers makes of options behind the prompts of the random small models in data: the log likelihood of each,
summed over its tokens, by which lm-evaluation-harness chooses one. Writes data/options.json.

All in fp32 on the CPU with eager attention.
"""

import numpy as np
import torch
import transformers as tf
from golden_common import DATA, load_tensors, versions, write_json

MODELS = {
    "tiny_llava_a": tf.LlavaForConditionalGeneration,
    "tiny_llava_b": tf.LlavaForConditionalGeneration,
    "tiny_llama_a": tf.LlamaForCausalLM,
    "tiny_llama_b": tf.LlamaForCausalLM,
}
# One token, which the prompt predicts; several; and more than run through a model at once (64).
LENGTHS = (1, 2, 5, 9, 70)


def options_of(vocabulary, image_token):
    """Ids drawn at random, none of which stands for an image."""
    random = np.random.default_rng(20261130)
    ids = [i for i in range(vocabulary) if i != image_token]
    return [random.choice(ids, length).tolist() for length in LENGTHS]


def log_likelihood(model, prompt, option, images):
    ids = torch.tensor([prompt + option])
    with torch.no_grad():
        logits = model(ids, **images).logits[0, len(prompt) - 1 : -1]
    log_p = torch.log_softmax(logits.double(), -1)
    return log_p.gather(1, torch.tensor(option)[:, None]).sum().item()


def case(name, kind):
    model = kind.from_pretrained(DATA / name, dtype=torch.float32, attn_implementation="eager").eval()
    golden = load_tensors(DATA / f"{name}.golden.safetensors")
    images = {"pixel_values": torch.tensor(golden["pixel_values"])[None]} if "pixel_values" in golden else {}
    prompt = golden["input_ids"].tolist()
    options = options_of(model.get_input_embeddings().num_embeddings, getattr(model.config, "image_token_id", None))
    likelihoods = [log_likelihood(model, prompt, option, images) for option in options]
    return {
        "model": name,
        "options": options,
        "log_likelihoods": [round(value, 6) for value in likelihoods],
        "likeliest": int(np.argmax(likelihoods)),
        "likeliest_per_token": int(np.argmax(np.array(likelihoods) / np.array(LENGTHS))),
    }


def make():
    return {
        "made_with": versions("numpy", "torch", "transformers"),
        "cases": [case(name, kind) for name, kind in MODELS.items()],
    }


def main():
    write_json(DATA / "options.json", make())


if __name__ == "__main__":
    main()
