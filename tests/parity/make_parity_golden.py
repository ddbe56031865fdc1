#!/usr/bin/env python3
"""Makes the golden data of the parity tests with transformers, in fp32 on the CPU.

Writes into tests/parity/data (or --output):
  parity_manifest.json           versions, inputs and every tensor's dtype and shape
  stampvlm.safetensors           the default model on the first test scenes
  tiny_llava_a/, tiny_llava_b/   random small LLaVAs: Hugging Face directories
  tiny_llama_a/, tiny_llama_b/   random small LLaMAs; the second in two shards
  tiny_*.golden.safetensors      what those compute, with their intermediates

README.md describes the tensors. Needs requirements.txt, and the default model assembled.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from golden_common import DATA, ROOT, save_tensors, sha256, versions, write_json
from PIL import Image
from safetensors.numpy import load_file, save_file
from transformers import (
    AutoProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

PACKAGES = ("numpy", "pillow", "safetensors", "tokenizers", "torch", "transformers")
SCENES = 10
# After the scenes, which have the size that the model takes: pictures that are scaled and cropped.
OTHER_SIZES = ("02_333x257.png", "09_640x480.png", "10_17x91.png")
GREEDY_TOKENS, TINY_GREEDY_TOKENS = 64, 24
COLUMN_SUM_SCENE = 0

# Sizes are unequal wherever the architecture allows, so that no transposition goes unnoticed.
TINY_LLAVA_A = {
    "seed": 101,
    "text": {
        "vocab_size": 131,
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 16,  # 6 heads of 16 are 96, not the hidden size
        "attention_bias": True,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0},
        "max_position_embeddings": 256,
        "tie_word_embeddings": False,
    },
    "vision": {
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 45,
        "patch_size": 9,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
    },
    "llava": {
        "image_token_index": 7,
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "image_seq_length": 25,
        "tie_word_embeddings": False,
    },
    "text_before": 5,
    "text_after": 8,
}
TINY_LLAVA_B = {
    "seed": 102,
    "text": {
        "vocab_size": 83,
        "hidden_size": 40,
        "intermediate_size": 56,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "attention_bias": False,
        "mlp_bias": True,
        "rms_norm_eps": 1e-3,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
        "max_position_embeddings": 256,
        "tie_word_embeddings": True,
    },
    "vision": {
        "hidden_size": 36,
        "intermediate_size": 52,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "image_size": 33,  # the last row and column of pixels are in no patch
        "patch_size": 8,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-3,
    },
    "llava": {
        "image_token_index": 80,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
        "image_seq_length": 17,
        "multimodal_projector_bias": False,
        "tie_word_embeddings": True,
    },
    "text_before": 1,
    "text_after": 11,
}
TINY_LLAMA_A = {
    "seed": 103,
    "text": {
        "vocab_size": 97,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "max_position_embeddings": 256,
        "tie_word_embeddings": True,
    },
    "tokens": 21,
    "shards": 1,
}
TINY_LLAMA_B = {
    "seed": 104,
    "text": {
        "vocab_size": 89,
        "hidden_size": 40,
        "intermediate_size": 72,
        "num_hidden_layers": 3,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 6,
        "rms_norm_eps": 1e-2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
        "max_position_embeddings": 256,
        "tie_word_embeddings": False,
    },
    "tokens": 33,
    "shards": 2,
}


def first(output):
    return output[0] if isinstance(output, tuple) else output


class Recorder:
    """Keeps what named modules return during one forward pass, without the batch dimension."""

    def __init__(self):
        self.tensors = {}
        self._handles = []

    def watch(self, module, name):
        def keep(_module, _inputs, output):
            self.tensors[name] = first(output).detach()[0].clone()

        self._handles.append(module.register_forward_hook(keep))

    def watch_decoder(self, decoder):
        for number, layer in enumerate(decoder.layers):
            self.watch(layer.self_attn, f"layers.{number}.attn_out")
            self.watch(layer.mlp, f"layers.{number}.mlp_out")
            self.watch(layer, f"layers.{number}")
        self.watch(decoder.norm, "norm")

    def watch_vision(self, model):
        tower = model.model.vision_tower
        self.watch(tower.pre_layrnorm, "vision.embeddings")
        for number, layer in enumerate(tower.encoder.layers):
            self.watch(layer, f"vision.layers.{number}")
        self.watch(model.model.multi_modal_projector, "projector")

    def stop(self):
        for handle in self._handles:
            handle.remove()


def randomize(model, seed):
    """Random weights, by numpy so that they are the same everywhere, and large enough that heads
    attend unevenly and every bias and norm tells."""
    random = np.random.default_rng(seed)
    names = dict(model.named_parameters())  # a tied head is listed once, with the embedding
    with torch.no_grad():
        for name in sorted(names):
            parameter = names[name]
            values = random.standard_normal(tuple(parameter.shape))
            if "norm" in name or "layrnorm" in name:
                values = 0.2 * values + (1.0 if name.endswith("weight") else 0.0)
            elif name.endswith("bias"):
                values = 0.2 * values
            elif "embed" not in name:
                fan_in = int(np.prod(parameter.shape[1:]))
                values = values * 1.5 / np.sqrt(fan_in)
            parameter.copy_(torch.from_numpy(values.astype(np.float32)))


def column_sums(attentions):
    """[layers, query_heads, T]: how much attention each position gets from all queries."""
    return torch.stack([layer[0].sum(-2) for layer in attentions])


def greedy(model, output, count):
    """`count` greedy tokens after a prefill, never stopping, and the lead of each over the second
    best. `output` is the prefill's."""
    tokens, margins, cache = [], [], output.past_key_values
    logits = output.logits[0, -1]
    for step in range(count):
        best = logits.topk(2)
        tokens.append(int(best.indices[0]))
        margins.append(float(best.values[0] - best.values[1]))
        if step + 1 < count:
            ids = torch.tensor([[tokens[-1]]])
            logits = model(input_ids=ids, past_key_values=cache, use_cache=True).logits[0, -1]
    return torch.tensor(tokens), torch.tensor(margins, dtype=torch.float32)


def run_with_intermediates(model, decoder, inputs):
    recorder = Recorder()
    recorder.watch_decoder(decoder)
    if "pixel_values" in inputs:
        recorder.watch_vision(model)

    def keep_embeddings(_module, arguments, options):
        states = arguments[0] if arguments else options["hidden_states"]
        recorder.tensors["embeddings"] = states.detach()[0].clone()

    handle = decoder.layers[0].register_forward_pre_hook(keep_embeddings, with_kwargs=True)
    output = model(**inputs, output_attentions=True, use_cache=True)
    handle.remove()
    recorder.stop()
    tensors = recorder.tensors
    for number, layer in enumerate(output.past_key_values.layers):
        tensors[f"layers.{number}.keys"] = layer.keys[0].clone()
        tensors[f"layers.{number}.values"] = layer.values[0].clone()
    tensors["attention_column_sums"] = column_sums(output.attentions)
    tensors["logits"] = output.logits[0].clone()
    tensors["input_ids"] = inputs["input_ids"][0]
    tokens, margins = greedy(model, output, TINY_GREEDY_TOKENS)
    tensors["greedy_tokens"], tensors["greedy_margins"] = tokens, margins
    return tensors


def random_ids(random, count, vocabulary, forbidden):
    allowed = [token for token in range(vocabulary) if token not in forbidden]
    return random.choice(allowed, count)


def write_old_style(directory):
    """Rewrites a directory as older versions wrote it: CLIP's weights under `vision_model`,
    `rope_theta` and `torch_dtype` in the configuration, and defaults left out."""
    path = directory / "model.safetensors"
    renamed = {
        name.replace("vision_tower.", "vision_tower.vision_model."): values
        for name, values in load_file(path).items()
    }
    save_file(renamed, path, metadata={"format": "pt"})
    config = json.loads((directory / "config.json").read_text())
    text = config["text_config"]
    text["rope_theta"] = text.pop("rope_parameters")["rope_theta"]
    del text["head_dim"], text["hidden_act"]
    config["torch_dtype"] = config.pop("dtype")
    del config["projector_hidden_act"]
    write_json(directory / "config.json", config)


@torch.no_grad()
def make_tiny_llava(output, name, recipe, old_style):
    config = LlavaConfig(
        text_config=LlamaConfig(**recipe["text"]),
        vision_config=CLIPVisionConfig(**recipe["vision"]),
        **recipe["llava"],
    )
    model = LlavaForConditionalGeneration(config).eval()
    randomize(model, recipe["seed"])
    directory = output / name
    model.save_pretrained(directory)
    if old_style:
        write_old_style(directory)
    (directory / "generation_config.json").unlink(missing_ok=True)
    # What is in the golden file is computed from what lies on disk.
    model, loading = LlavaForConditionalGeneration.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    check_loading(directory, loading)

    random = np.random.default_rng(recipe["seed"] + 1000)
    image_token, image_tokens = config.image_token_index, config.image_seq_length
    vocabulary = config.text_config.vocab_size
    before = random_ids(random, recipe["text_before"], vocabulary, {image_token})
    after = random_ids(random, recipe["text_after"], vocabulary, {image_token})
    ids = np.concatenate([before, np.full(image_tokens, image_token), after])
    side = config.vision_config.image_size
    pixels = random.standard_normal((1, 3, side, side)).astype(np.float32)
    inputs = {
        "input_ids": torch.from_numpy(ids)[None],
        "pixel_values": torch.from_numpy(pixels),
    }
    tensors = run_with_intermediates(model, model.model.language_model, inputs)
    tensors["pixel_values"] = inputs["pixel_values"][0]
    return save_tensors(output / f"{name}.golden.safetensors", tensors)


@torch.no_grad()
def make_tiny_llama(output, name, recipe):
    model = LlamaForCausalLM(LlamaConfig(**recipe["text"])).eval()
    randomize(model, recipe["seed"])
    directory = output / name
    size = sum(parameter.numel() * 4 for parameter in model.parameters())
    shard = size if recipe["shards"] == 1 else int(size / recipe["shards"] * 1.15)
    model.save_pretrained(directory, max_shard_size=shard)
    shards = len(list(directory.glob("*.safetensors")))
    if shards != recipe["shards"]:
        sys.exit(f"{directory}: {shards} shards, expected {recipe['shards']}")
    (directory / "generation_config.json").unlink(missing_ok=True)
    model, loading = LlamaForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    check_loading(directory, loading)

    random = np.random.default_rng(recipe["seed"] + 1000)
    ids = random_ids(random, recipe["tokens"], recipe["text"]["vocab_size"], set())
    inputs = {"input_ids": torch.from_numpy(ids)[None]}
    tensors = run_with_intermediates(model, model.model, inputs)
    return save_tensors(output / f"{name}.golden.safetensors", tensors)


def check_loading(directory, loading):
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if loading[kind]:
            sys.exit(f"{directory}: {kind} {sorted(loading[kind])[:3]}")


def level_table(processor):
    """[3, 256]: the pixel value of each 8-bit level in each channel, by the processor itself."""
    image = processor.image_processor
    side = image.crop_size["height"]
    levels = np.zeros((side, side, 3), dtype=np.uint8)
    levels.reshape(-1, 3)[:256] = np.arange(256, dtype=np.uint8)[:, None]
    values = image(images=Image.fromarray(levels), return_tensors="np")["pixel_values"][0]
    return values.reshape(3, -1)[:, :256].astype(np.float32)


def pixels_as_levels(pixel_values, table):
    """The uint8 [3, H, W] that `table` maps to exactly `pixel_values`; exits if there is none."""
    levels = np.stack(
        [np.searchsorted(table[c], pixel_values[c]).clip(0, 255) for c in range(3)]
    ).astype(np.uint8)
    again = np.stack([table[c][levels[c]] for c in range(3)])
    if not np.array_equal(again, pixel_values):
        sys.exit("pixel values are not those of 8-bit levels")
    return levels


def divergence(log_p, log_q):
    """KL(p || q) in nats."""
    return float((log_p.exp() * (log_p - log_q)).sum())


@torch.no_grad()
def make_default_model(output, directory, scenes_folder):
    processor = AutoProcessor.from_pretrained(directory)
    if type(processor.image_processor).__name__ != "CLIPImageProcessorPil":
        sys.exit("transformers would not use Pillow to resize: is torchvision installed?")
    model, loading = LlavaForConditionalGeneration.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    check_loading(directory, loading)
    model.eval()
    asked = [
        (scene["id"], scenes_folder / scene["image"], scene["conversations"][0]["value"])
        for scene in json.loads((scenes_folder / "annotations.json").read_text())[:SCENES]
    ]
    first_request = asked[0][2]
    asked += [
        (name, DATA / "families" / "pictures" / name, first_request) for name in OTHER_SIZES
    ]
    table = level_table(processor)
    tensors, scenes, inputs_of = {"pixel_value_of_level": table}, [], []
    end = model.generation_config.eos_token_id
    for number, (identity, image, request) in enumerate(asked):
        question = request.removeprefix("<image>\n")
        content = [{"type": "image"}, {"type": "text", "text": question}]
        prompt = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        with Image.open(image) as picture:
            inputs = processor(images=picture.convert("RGB"), text=prompt, return_tensors="pt")
        inputs = {name: inputs[name] for name in ("input_ids", "pixel_values")}
        inputs_of.append(inputs)
        wants_sums = number == COLUMN_SUM_SCENE
        result = model(**inputs, use_cache=True, output_attentions=wants_sums)
        tokens, margins = greedy(model, result, GREEDY_TOKENS)
        key = f"scenes.{number}"
        tensors[f"{key}.input_ids"] = inputs["input_ids"][0]
        tensors[f"{key}.pixel_levels"] = pixels_as_levels(inputs["pixel_values"][0].numpy(), table)
        tensors[f"{key}.last_logits"] = result.logits[0, -1]
        tensors[f"{key}.greedy_tokens"] = tokens
        tensors[f"{key}.greedy_margins"] = margins
        if wants_sums:
            tensors[f"{key}.attention_column_sums"] = column_sums(result.attentions)
        ends = (tokens == end).nonzero().flatten().tolist()
        scenes.append(
            {
                "id": identity,
                "image": str(image.resolve().relative_to(ROOT)),
                "question": question,
                "prompt": prompt,
                "prompt_tokens": int(inputs["input_ids"].shape[1]),
                "greedy_end": ends[0] if ends else None,
                "greedy_text": processor.tokenizer.decode(tokens),
                "smallest_margin": round(float(margins.min()), 6),
            }
        )
        print(f"{identity}: smallest margin {float(margins.min()):.4f}", flush=True)
    del model

    half = LlavaForConditionalGeneration.from_pretrained(directory, dtype=torch.bfloat16).eval()
    calibration = []
    for number in range(SCENES):
        inputs = dict(inputs_of[number])
        inputs["pixel_values"] = inputs["pixel_values"].to(torch.bfloat16)
        logits = half(**inputs).logits[0, -1].float()
        log_half = logits.double().log_softmax(-1)
        log_full = tensors[f"scenes.{number}.last_logits"].double().log_softmax(-1)
        calibration.append(
            {
                "scene": number,
                "kl_bf16_fp32": divergence(log_half, log_full),
                "kl_fp32_bf16": divergence(log_full, log_half),
                "largest_logit_difference": float(
                    (logits - tensors[f"scenes.{number}.last_logits"]).abs().max()
                ),
                "same_best_token": bool(log_half.argmax() == log_full.argmax()),
            }
        )
    entries = save_tensors(output / "stampvlm.safetensors", tensors)
    model_info = {
        "model_sha256": sha256(directory / "model.safetensors"),
        "greedy_end": "index of the first end token in greedy_tokens; generation went on after it",
        "scenes": scenes,
        "bf16_on_cpu": calibration,
    }
    return entries, model_info


def make(output, directory, scenes_folder, default_model=True):
    """Makes everything, or everything but the default model's part, and returns the manifest."""
    torch.use_deterministic_algorithms(True)
    transformers.utils.logging.disable_progress_bar()
    files = {}
    for name, recipe, old_style in (
        ("tiny_llava_a", TINY_LLAVA_A, False),
        ("tiny_llava_b", TINY_LLAVA_B, True),
    ):
        entries = make_tiny_llava(output, name, recipe, old_style)
        files[f"{name}.golden.safetensors"] = entries
    for name, recipe in (("tiny_llama_a", TINY_LLAMA_A), ("tiny_llama_b", TINY_LLAMA_B)):
        files[f"{name}.golden.safetensors"] = make_tiny_llama(output, name, recipe)
    manifest = {"versions": versions(*PACKAGES), "dtype": "fp32", "attention": "eager"}
    if default_model:
        entries, manifest["stampvlm"] = make_default_model(output, directory, scenes_folder)
        files["stampvlm.safetensors"] = entries
    manifest["files"] = files
    write_json(output / "parity_manifest.json", manifest)
    return manifest


def add_input_options(parser):
    parser.add_argument(
        "--model",
        type=Path,
        default=ROOT / "models" / "stampvlm" / "assembled",
        help="the assembled default model (default: models/stampvlm/assembled)",
    )
    parser.add_argument(
        "--scenes",
        type=Path,
        default=ROOT / "datasets" / "detail-scenes" / "test",
        help="default: datasets/detail-scenes/test",
    )


def check_inputs(arguments):
    if not (arguments.model / "model.safetensors").is_file():
        sys.exit(f"{arguments.model}: no model.safetensors; run scripts/stampvlm/assemble.py")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    add_input_options(parser)
    parser.add_argument("--output", type=Path, default=DATA, help="default: tests/parity/data")
    arguments = parser.parse_args()
    check_inputs(arguments)
    make(arguments.output, arguments.model, arguments.scenes)
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
