#!/usr/bin/env python3
"""Makes a checkpoint of a preset's published shape with random weights.

  scripts/random_checkpoint.py llava-1.5-7b-hf checkpoints/llava-1.5-7b-random
  elastikv plan sweep.yaml; elastikv sweep sweep.yaml       with models: {preset: ..., path: that folder}

Memory and time of a sweep depend on shapes, not on what the weights have learnt: so they can be tried before a
download. The answers mean nothing. Without --tokenizer the vocabulary is bytes and the special tokens, so that texts
have several times as many tokens as with the published one.
"""

import argparse
import json
import math
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
PRESETS = ROOT / "configs" / "models"
TEMPLATES = ROOT / "tests" / "parity" / "data" / "templates"
SHARD_BYTES = 4 << 30
CHUNK_VALUES = 1 << 24
DTYPES = {"bf16": ("BF16", 2), "fp16": ("F16", 2), "fp32": ("F32", 4)}
TOKENIZER_FILES = ["tokenizer.json", "tokenizer.model", "qwen.tiktoken", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"]

LLAMA_TOKENS = {0: "<unk>", 1: "<s>", 2: "</s>"}
QWEN_TOKENS = {151643: "<|endoftext|>", 151644: "<|im_start|>", 151645: "<|im_end|>"}
QWEN_VL_TOKENS = {**QWEN_TOKENS, 151652: "<|vision_start|>", 151653: "<|vision_end|>", 151655: "<|image_pad|>", 151656: "<|video_pad|>"}
SMOLVLM_TOKENS = {
    0: "<|endoftext|>", 1: "<|im_start|>", 2: "<|im_end|>", 49152: "<global-img>",
    **{49153 + 6 * (row - 1) + column - 1: f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)},
    49189: "<fake_token_around_image>", 49190: "<image>", 49279: "<end_of_utterance>",
}
CLIP_MEAN_STD = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
HALF_MEAN_STD = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


def clip_processor(config):
    size = config["vision_config"]["image_size"]
    return {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": size}, "crop_size": {"height": size, "width": size},
            "do_resize": True, "do_center_crop": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "do_convert_rgb": True, "resample": 3, **CLIP_MEAN_STD}


def next_processor(config):
    return {**clip_processor(config), "image_processor_type": "LlavaNextImageProcessor", "aspect_ratio_setting": "anyres", "do_pad": True, "image_grid_pinpoints": config["image_grid_pinpoints"]}


def onevision_processor(config):
    size = config["vision_config"]["image_size"]
    return {"image_processor_type": "LlavaOnevisionImageProcessor", "size": {"height": size, "width": size}, "do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255,
            "do_normalize": True, "do_pad": True, "do_convert_rgb": True, "resample": 3, "image_grid_pinpoints": config["image_grid_pinpoints"], **HALF_MEAN_STD}


def qwen2_vl_processor(config):
    return {"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
            "do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "do_convert_rgb": True, "resample": 3, **CLIP_MEAN_STD}


def idefics3_processor(config):
    size = config["vision_config"]["image_size"]
    kind = "SmolVLMImageProcessor" if config["model_type"] == "smolvlm" else "Idefics3ImageProcessor"
    return {"image_processor_type": kind, "size": {"longest_edge": 4 * size}, "max_image_size": {"longest_edge": size}, "do_image_splitting": True, "do_resize": True, "do_rescale": True,
            "rescale_factor": 1 / 255, "do_normalize": True, "do_pad": True, "do_convert_rgb": True, "resample": 1, **HALF_MEAN_STD}


class Family:
    """What an architecture needs beside weights: special tokens by id, an image processor, a chat template."""

    def __init__(self, tokens, processor=None, template=None, processor_class=None):
        self.tokens = tokens
        self.processor = processor
        self.template = template
        self.processor_class = processor_class


FAMILIES = {
    "LlavaForConditionalGeneration": Family({**LLAMA_TOKENS, 32000: "<image>", 32001: "<pad>"}, clip_processor, None, {"processor_class": "LlavaProcessor", "patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}),
    "LlavaNextForConditionalGeneration": Family({**LLAMA_TOKENS, 32000: "<image>", 32001: "<pad>"}, next_processor, "llava-next-mistral", {"processor_class": "LlavaNextProcessor", "patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}),
    "LlavaOnevisionForConditionalGeneration": Family({**QWEN_TOKENS, 151646: "<image>", 151647: "<video>"}, onevision_processor, "llava-onevision", {"processor_class": "LlavaOnevisionProcessor", "num_image_tokens": 729, "vision_aspect_ratio": "anyres_max_9", "vision_feature_select_strategy": "full"}),
    "Qwen2VLForConditionalGeneration": Family(QWEN_VL_TOKENS, qwen2_vl_processor, "qwen2-vl"),
    "Qwen2_5_VLForConditionalGeneration": Family(QWEN_VL_TOKENS, qwen2_vl_processor, "qwen2-vl"),
    "Idefics3ForConditionalGeneration": Family(SMOLVLM_TOKENS, idefics3_processor, "smolvlm", {"processor_class": "Idefics3Processor", "image_seq_len": 64}),
    "SmolVLMForConditionalGeneration": Family(SMOLVLM_TOKENS, idefics3_processor, "smolvlm", {"processor_class": "SmolVLMProcessor", "image_seq_len": 81}),
    "LlamaForCausalLM": Family({128000: "<|begin_of_text|>", 128001: "<|end_of_text|>", 128006: "<|start_header_id|>", 128007: "<|end_header_id|>", 128008: "<|eom_id|>", 128009: "<|eot_id|>"}, template="llama-3.2"),
    "MistralForCausalLM": Family(LLAMA_TOKENS, template="mistral-7b-v0.3"),
    "Qwen2ForCausalLM": Family(QWEN_TOKENS, template="qwen2.5"),
    "Qwen3ForCausalLM": Family(QWEN_TOKENS, template="qwen3"),
}


def byte_letters():
    """The character that stands for each byte in byte-level vocabularies (GPT-2's table)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return {byte: chr(byte) if byte in plain else chr(next(others)) for byte in range(256)}


def write_json(path, content):
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_byte_tokenizer(folder, tokens):
    free = (number for number in range(1 << 20) if number not in tokens)
    vocabulary = {letter: next(free) for _, letter in sorted(byte_letters().items())}
    write_json(folder / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": number, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for number, text in sorted(tokens.items())],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocabulary, "merges": []}})
    bos = tokens.get(1) if tokens.get(1) == "<s>" else tokens.get(128000)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    if bos:
        settings["bos_token"] = bos
    write_json(folder / "tokenizer_config.json", settings)


def copy_tokenizer(source, folder):
    found = [name for name in TOKENIZER_FILES if (source / name).exists()]
    if not found:
        sys.exit(f"error: {source}: no tokenizer files ({', '.join(TOKENIZER_FILES)})")
    for name in found:
        shutil.copy(source / name, folder / name)


def needed_tensors(program, folder):
    """{name: shape} of what the program would load, in its order."""
    listing = subprocess.run([program, "inspect", folder, "--tensors"], check=True, capture_output=True, text=True).stdout
    shapes = {}
    for line in listing.splitlines():
        match = re.fullmatch(r"  (\S+) +\[([\d, ]*)\]", line)
        if match:
            shapes[match[1]] = [int(size) for size in match[2].split(", ") if size]
    if not shapes:
        sys.exit(f"error: {program} inspect {folder} --tensors names no tensors")
    return shapes


def scale_of(name, shape):
    """Mean and standard deviation as models have them before training: norms near 1, matrices by their inputs."""
    if len(shape) < 2:
        return (1.0, 0.02) if "norm" in name and name.endswith("weight") else (0.0, 0.02)
    if "embed" in name and "patch" not in name:
        return (0.0, 0.02)
    return (0.0, 1 / math.sqrt(math.prod(shape[1:])))


def write_values(file, random, name, shape, dtype):
    """Random signs and mantissas of bf16 under one exponent: as fast as random bytes come, where 7 G normal ones take minutes."""
    mean, deviation = scale_of(name, shape)
    # Magnitudes evenly in [2^e, 2^(e+1)) have the root mean square 1.53 * 2^e.
    exponent = round(math.log2(deviation / 1.53)) + 127
    left = math.prod(shape)
    while left > 0:
        count = min(left, CHUNK_VALUES)
        bits = np.frombuffer(random.bytes(2 * count), "<u2") & np.uint16(0x807F) | np.uint16(exponent << 7)
        if mean != 0 or dtype != "bf16":
            values = (bits.astype("<u4") << np.uint32(16)).view("<f4") + np.float32(mean)
            if dtype == "bf16":
                bits = (values.view("<u4") >> np.uint32(16)).astype("<u2")
            else:
                bits = values.astype("<f2" if dtype == "fp16" else "<f4")
        file.write(bits.tobytes())
        left -= count


def shards_of(shapes, width):
    """Names in shards of at most SHARD_BYTES, or one tensor."""
    shards, size = [[]], 0
    for name in shapes:
        bytes_of = width * math.prod(shapes[name])
        if shards[-1] and size + bytes_of > SHARD_BYTES:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += bytes_of
    return shards


def write_weights(folder, shapes, dtype, seed):
    code, width = DTYPES[dtype]
    random = np.random.default_rng(seed)
    shards = shards_of(shapes, width)
    places = {}
    for number, names in enumerate(shards, start=1):
        file_name = "model.safetensors" if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        header, offset = {"__metadata__": {"format": "pt"}}, 0
        for name in names:
            end = offset + width * math.prod(shapes[name])
            header[name] = {"dtype": code, "shape": shapes[name], "data_offsets": [offset, end]}
            offset = end
            places[name] = file_name
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(folder / file_name, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for name in names:
                write_values(file, random, name, shapes[name], dtype)
        print(f"{folder / file_name}: {offset / 2**30:.2f} GiB")
    if len(shards) > 1:
        total = width * sum(math.prod(shape) for shape in shapes.values())
        write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": places})


def read_preset(name):
    """The preset's settings and its published configuration."""
    file = PRESETS / f"{name}.yaml"
    with_shape = sorted(path.name.removesuffix(".config.json") for path in PRESETS.glob("*.config.json"))
    if not file.exists():
        sys.exit(f"error: no preset '{name}'; there are {', '.join(with_shape)}")
    preset = yaml.safe_load(file.read_text(encoding="utf-8"))
    if "published_config" not in preset:
        sys.exit(f"error: the shape of '{name}' is not kept here (its vision tower is a folder of its own); there are {', '.join(with_shape)}")
    return preset, json.loads((PRESETS / preset["published_config"]).read_text(encoding="utf-8"))


def keep_layers(config, layers):
    """Makes the decoder that shallow. A published file may leave the number to the architecture's default, 32."""
    decoder = config.get("text_config", config)
    there = decoder.get("num_hidden_layers", 32)
    if not 1 <= layers <= there:
        sys.exit(f"error: --layers {layers}: the decoder has {there}")
    decoder["num_hidden_layers"] = layers


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0], epilog=__doc__.split("\n\n", 1)[1], formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", help="a file of configs/models, without .yaml")
    parser.add_argument("folder", type=Path, help="where the checkpoint goes; must not exist")
    parser.add_argument("--dtype", choices=DTYPES, help="of the weights; default: the preset's")
    parser.add_argument("--layers", type=int, metavar="N", help="of the decoder; default: all")
    parser.add_argument("--tokenizer", type=Path, metavar="FOLDER", help="take the tokenizer files of this folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--program", type=Path, default=ROOT / "build" / "release" / "bin" / "elastikv", help="default: build/release/bin/elastikv")
    arguments = parser.parse_args()
    preset, config = read_preset(arguments.preset)
    family = FAMILIES.get(config["architectures"][0])
    if family is None:
        sys.exit(f"error: {config['architectures'][0]} cannot be made: its tokenizer has a file format of its own")
    if not arguments.program.exists():
        sys.exit(f"error: {arguments.program} is not there; scripts/build.sh release makes it")
    if arguments.layers is not None:
        keep_layers(config, arguments.layers)
    if arguments.folder.exists():
        sys.exit(f"error: {arguments.folder} exists")
    arguments.folder.mkdir(parents=True)
    folder = arguments.folder
    write_json(folder / "config.json", config)
    if family.processor is not None:
        write_json(folder / "preprocessor_config.json", family.processor(config))
    if family.processor_class is not None:
        write_json(folder / "processor_config.json", family.processor_class)
    if arguments.tokenizer is not None:
        copy_tokenizer(arguments.tokenizer, folder)
    else:
        write_byte_tokenizer(folder, family.tokens)
    if family.template is not None and not (folder / "chat_template.jinja").exists():
        shutil.copy(TEMPLATES / f"{family.template}.jinja", folder / "chat_template.jinja")
    dtype = arguments.dtype or preset.get("dtype", "bf16")
    write_weights(folder, needed_tensors(arguments.program, folder), dtype, arguments.seed)
    print(f"{folder}: made; try: elastikv inspect {folder}")


if __name__ == "__main__":
    main()
