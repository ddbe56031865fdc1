#!/usr/bin/env python3
"""Makes random tiny checkpoints of every family that transformers has, as transformers writes them, and what it
computes with them: token ids, pixel values, vision features, logits, greedy tokens and perplexity.

Writes into tests/parity/data/families (or --output):
  pictures/                      twelve images of very different sizes
  NAME/                          a checkpoint folder: configuration, weights, tokenizer, processor
  NAME.golden.safetensors        what transformers makes of the images with it
  families.json                  versions, prompts, and what is no tensor

All in fp32 on the CPU with eager attention, Pillow's image processing. README.md describes the tensors.
"""

import argparse
import importlib
import json
import shutil
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
import transformers as tf
from golden_common import DATA, ROOT, save_tensors, versions, write_json
from PIL import Image

PACKAGES = ("numpy", "pillow", "safetensors", "tokenizers", "torch", "transformers")
TOKENIZERS = ROOT / "tests" / "unit" / "text" / "data"
QUESTION = "What is in this picture?"
ANSWER = "A red circle above two blue squares, and 3 dots."
TEXT_QUESTION = "Who wrote the first line of it, and why?"
GREEDY_TOKENS = 32
# width, height; the first three are looked at more closely
SIZES = [(64, 48), (40, 120), (333, 257), (1, 500), (500, 1), (64, 64), (150, 50), (3, 5), (4000, 3000), (640, 480),
         (17, 91), (4000, 130)]
CLOSELY = 3


def make_pictures(folder):
    """Blocks of random colours over a gradient: sharp edges and slow changes, and small as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, (width, height) in enumerate(SIZES):
        random = np.random.default_rng(7000 + number)
        y, x = np.mgrid[0:height, 0:width]
        block = max(1, max(width, height) // 12)
        colours = random.integers(0, 256, (height // block + 1, width // block + 1, 3))
        pixels = colours[y // block, x // block]
        if width * height < 200_000:
            gradient = np.stack([x * 97 // max(width, 1), y * 61 // max(height, 1), (x + y) % 7 * 9], -1)
            pixels = (pixels + gradient) % 256
        file = folder / f"{number:02}_{width}x{height}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(file, optimize=True)
        files.append(file)
    return files


def randomize(model, seed):
    """Random weights by numpy, so that they are the same everywhere, large enough that every bias and norm tells."""
    random = np.random.default_rng(seed)
    names = dict(model.named_parameters())
    with torch.no_grad():
        for name in sorted(names):
            parameter = names[name]
            values = random.standard_normal(tuple(parameter.shape))
            last = name.rsplit(".", 2)[-2] if "." in name else name
            if "norm" in last or "layrnorm" in last or last == "ln_q":
                values = 0.2 * values + (1.0 if name.endswith("weight") else 0.0)
            elif name.endswith("bias"):
                values = 0.2 * values
            elif "patch_emb" in name or "embed" not in name:
                values = values * 1.5 / np.sqrt(max(1, int(np.prod(parameter.shape[1:]))))
            parameter.copy_(torch.from_numpy(values.astype(np.float32)))


def tokenizer_of(kind, specials=(), **special_names):
    tokenizer = tf.PreTrainedTokenizerFast(tokenizer_file=str(TOKENIZERS / kind / "tokenizer.json"), **special_names)
    tokenizer.add_special_tokens({"additional_special_tokens": [t for t in specials if t]})
    return tokenizer


def class_of(name):
    """A class by its module: the package's own lists leave out those of families that could use torchvision."""
    for family in ("clip", "llava_next", "llava_onevision", "idefics3", "smolvlm", "qwen2_vl", "qwen2_5_vl"):
        for kind in ("image_processing_pil", "processing"):
            try:
                module = importlib.import_module(f"transformers.models.{family}.{kind}_{family}")
            except ImportError:
                continue
            if hasattr(module, name):
                return getattr(module, name)
    sys.exit(f"transformers has no {name}")


def pillow(name):
    """The image processor that resizes with Pillow."""
    return class_of(f"{name}Pil")


def text_sizes(vocabulary, **more):
    sizes = dict(vocab_size=vocabulary, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4,
                 num_key_value_heads=2, max_position_embeddings=2048, rms_norm_eps=1e-5)
    sizes.update(more)
    return sizes


CLIP = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=2, image_size=28, patch_size=7,
            hidden_act="quick_gelu", projection_dim=16)
SIGLIP = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2, image_size=28,
              patch_size=7, vision_use_head=False)


def round_up(size):
    return (size + 7) // 8 * 8


def llava():
    tokenizer = tokenizer_of("llama-like", bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    config = tf.LlavaConfig(
        text_config=tf.LlamaConfig(**text_sizes(round_up(len(tokenizer)))), vision_config=tf.CLIPVisionConfig(**CLIP),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), image_seq_length=16)
    images = pillow("CLIPImageProcessor")(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    processor = tf.LlavaProcessor(images, tokenizer, patch_size=7, vision_feature_select_strategy="default",
                                  num_additional_image_tokens=1)
    return tf.LlavaForConditionalGeneration(config), processor, "llava-v1-hf", "USER: <image>\n{q} ASSISTANT:"


def llava_next_vicuna():
    tokenizer = tokenizer_of("llama-like", bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    pinpoints = [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]
    config = tf.LlavaNextConfig(
        text_config=tf.LlamaConfig(**text_sizes(round_up(len(tokenizer)))), vision_config=tf.CLIPVisionConfig(**CLIP),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), image_grid_pinpoints=pinpoints)
    images = pillow("LlavaNextImageProcessor")(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28},
                                        image_grid_pinpoints=pinpoints)
    processor = tf.LlavaNextProcessor(images, tokenizer, patch_size=7, vision_feature_select_strategy="default",
                                      num_additional_image_tokens=1)
    system = ("A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, "
              "detailed, and polite answers to the human's questions.")
    return (tf.LlavaNextForConditionalGeneration(config), processor, "llava-v1-elastic-cache",
            system + " USER: <image>\n{q} ASSISTANT:")


def llava_next_mistral():
    model, processor, _, _ = llava_next_vicuna()
    config = model.config
    config.text_config = tf.MistralConfig(**text_sizes(config.text_config.vocab_size, sliding_window=None))
    return (tf.LlavaNextForConditionalGeneration(config), processor, "llava-next-mistral", "[INST] <image>\n{q} [/INST]")


def llava_onevision():
    tokenizer = tokenizer_of("qwen2-like", ["<video>"], eos_token="<|im_end|>")
    sides = range(28, 169, 28)
    pinpoints = [[height, width] for height in sides for width in sides]
    config = tf.LlavaOnevisionConfig(
        text_config=tf.Qwen2Config(**text_sizes(round_up(len(tokenizer)))),
        vision_config=tf.SiglipVisionConfig(**SIGLIP), image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"), image_grid_pinpoints=pinpoints)
    images = pillow("LlavaOnevisionImageProcessor")(size={"height": 28, "width": 28}, image_grid_pinpoints=pinpoints,
                                             image_mean=[0.5] * 3, image_std=[0.5] * 3)
    processor = with_fewer_attributes(class_of("LlavaOnevisionProcessor"), images, tokenizer, num_image_tokens=16,
                                      vision_feature_select_strategy="full")
    return (tf.LlavaOnevisionForConditionalGeneration(config), processor, "llava-onevision",
            "<|im_start|>user <image>\n{q}<|im_end|><|im_start|>assistant\n")


def with_fewer_attributes(kind, images, tokenizer, **options):
    """A processor without its video part, which needs torchvision."""
    processor = kind.__new__(kind)
    try:
        kind.__init__(processor, images, tokenizer, video_processor=None, **options)
    except TypeError:
        class PicturesOnly(kind):
            @classmethod
            def get_attributes(cls):
                return ["image_processor", "tokenizer"]
        PicturesOnly.__name__ = kind.__name__
        processor = PicturesOnly(images, tokenizer, video_processor=None, **options)
    return processor


def idefics(kind):
    rows = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    tokenizer = tokenizer_of("smollm2-like",
                             ["<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>"] + rows,
                             eos_token="<end_of_utterance>", bos_token="<|im_start|>")
    vision = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, image_size=24,
                  patch_size=4)
    options = dict(scale_factor=3, image_token_id=tokenizer.convert_tokens_to_ids("<image>"))
    text = text_sizes(round_up(len(tokenizer)), rope_parameters={"rope_type": "default", "rope_theta": 100000.0})
    processing = dict(size={"longest_edge": 96}, max_image_size={"longest_edge": 24}, image_mean=[0.5] * 3,
                      image_std=[0.5] * 3)
    if kind == "idefics3":
        config = tf.Idefics3Config(text_config=text, vision_config=vision, **options)
        processor = class_of("Idefics3Processor")(pillow("Idefics3ImageProcessor")(**processing), tokenizer, image_seq_len=4)
        model = tf.Idefics3ForConditionalGeneration(config)
    else:
        config = tf.SmolVLMConfig(text_config=text, vision_config=vision, **options)
        smolvlm = class_of("SmolVLMProcessor")
        sys.modules[smolvlm.__module__].num2words = str  # a package that only videos need
        processor = with_fewer_attributes(smolvlm, pillow("SmolVLMImageProcessor")(**processing), tokenizer,
                                          image_seq_len=4)
        model = tf.SmolVLMForConditionalGeneration(config)
    return model, processor, "smolvlm", "<|im_start|>User:<image>{q}<end_of_utterance>\nAssistant:"


QWEN_SPECIALS = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
QWEN_PROMPT = ("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
               "<|vision_start|><|image_pad|><|vision_end|>{q}<|im_end|>\n<|im_start|>assistant\n")


def qwen_vl(kind):
    tokenizer = tokenizer_of("qwen2-like", QWEN_SPECIALS, eos_token="<|im_end|>")
    token = tokenizer.convert_tokens_to_ids
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 2, 2]}
    text = text_sizes(round_up(len(tokenizer)), rope_parameters=rope)
    ids = dict(image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"),
               vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"))
    images = pillow("Qwen2VLImageProcessor")(min_pixels=56 * 56, max_pixels=28 * 28 * 60)
    if kind == "qwen2_vl":
        vision = dict(depth=2, embed_dim=32, hidden_size=48, num_heads=2, mlp_ratio=2)
        model = tf.Qwen2VLForConditionalGeneration(tf.Qwen2VLConfig(text_config=text, vision_config=vision, **ids))
        processor = with_fewer_attributes(class_of("Qwen2VLProcessor"), images, tokenizer)
    else:
        vision = dict(depth=3, hidden_size=32, out_hidden_size=48, num_heads=2, intermediate_size=40, window_size=84,
                      fullatt_block_indexes=[1])
        model = tf.Qwen2_5_VLForConditionalGeneration(tf.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids))
        processor = with_fewer_attributes(class_of("Qwen2_5_VLProcessor"), images, tokenizer)
    return model, processor, "qwen2-vl", QWEN_PROMPT


def text_only(kind):
    chat = "<|im_start|>user\n{q}<|im_end|>\n<|im_start|>assistant\n"
    if kind == "llama3":
        tokenizer = tokenizer_of("llama3-like", ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
                                 bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")
        rope = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
        config = tf.LlamaConfig(**text_sizes(round_up(len(tokenizer)), rope_parameters=rope, tie_word_embeddings=True))
        return tf.LlamaForCausalLM(config), tokenizer, "plain", "{q}"
    if kind == "mistral":
        tokenizer = tokenizer_of("llama-like", bos_token="<s>", eos_token="</s>", unk_token="<unk>")
        config = tf.MistralConfig(**text_sizes(round_up(len(tokenizer)), head_dim=16))
        return tf.MistralForCausalLM(config), tokenizer, "plain", "{q}"
    tokenizer = tokenizer_of("qwen2-like", eos_token="<|im_end|>")
    if kind == "qwen2":
        system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        config = tf.Qwen2Config(**text_sizes(round_up(len(tokenizer)), tie_word_embeddings=True))
        return tf.Qwen2ForCausalLM(config), tokenizer, "chatml-qwen2", system + chat
    config = tf.Qwen3Config(**text_sizes(round_up(len(tokenizer)), head_dim=16))
    return tf.Qwen3ForCausalLM(config), tokenizer, "qwen3", chat


FAMILIES = {
    "llama3": lambda: text_only("llama3"),
    "mistral": lambda: text_only("mistral"),
    "qwen2": lambda: text_only("qwen2"),
    "qwen3": lambda: text_only("qwen3"),
    "llava": llava,
    "llava_next_vicuna": llava_next_vicuna,
    "llava_next_mistral": llava_next_mistral,
    "llava_onevision": llava_onevision,
    "idefics3": lambda: idefics("idefics3"),
    "smolvlm": lambda: idefics("smolvlm"),
    "qwen2_vl": lambda: qwen_vl("qwen2_vl"),
    "qwen2_5_vl": lambda: qwen_vl("qwen2_5_vl"),
}


def views_of(inputs, processor):
    """The processor's pixels as [views, 3, height, width]; Qwen's patches are put back in their places."""
    pixels = inputs["pixel_values"].numpy()
    if "image_grid_thw" not in inputs:
        return pixels.reshape((-1,) + pixels.shape[-3:])
    images = processor.image_processor
    merge, patch = images.merge_size, images.patch_size
    _, rows, columns = inputs["image_grid_thw"][0].tolist()
    grid = pixels.reshape(rows // merge, columns // merge, merge, merge, 3, images.temporal_patch_size, patch, patch)
    if not np.array_equal(grid[:, :, :, :, :, 0], grid[:, :, :, :, :, 1]):
        sys.exit("the frames of a still picture differ")
    grid = grid[:, :, :, :, :, 0].transpose(4, 0, 2, 5, 1, 3, 6)
    return grid.reshape(1, 3, rows * patch, columns * patch)


def features_of(model, inputs):
    wanted = {"pixel_values", "image_sizes", "image_grid_thw", "pixel_attention_mask"}
    output = model.get_image_features(**{name: value for name, value in inputs.items() if name in wanted})
    features = getattr(output, "pooler_output", output)
    if isinstance(features, (list, tuple)):
        features = torch.cat(list(features))
    return features.reshape(-1, features.shape[-1])


def negative_log_likelihoods(model, inputs, answer):
    """Of each token of the answer after the prompt, in nats."""
    count = len(answer)
    longer = dict(inputs)
    longer["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([answer])], 1)
    longer["attention_mask"] = torch.ones_like(longer["input_ids"])
    if "mm_token_type_ids" in longer:
        kinds = longer["mm_token_type_ids"]
        longer["mm_token_type_ids"] = torch.cat([kinds, torch.zeros((1, count), dtype=kinds.dtype)], 1)
    logits = model(**longer).logits[0, -count - 1 : -1].double()
    return -torch.log_softmax(logits, -1)[torch.arange(count), torch.tensor(answer)]


def greedy(model, inputs):
    output = model.generate(**inputs, max_new_tokens=GREEDY_TOKENS, do_sample=False, eos_token_id=None,
                            return_dict_in_generate=True, output_logits=True)
    best = torch.stack(output.logits)[:, 0].topk(2).values
    return output.sequences[0, -GREEDY_TOKENS:], best[:, 0] - best[:, 1]


def run(model, inputs, tensors, name, closely, answer):
    tensors[f"{name}.input_ids"] = inputs["input_ids"][0].to(torch.int32)
    if "pixel_values" in inputs:
        features = features_of(model, inputs)
        if closely:
            tensors[f"{name}.features"] = features
        tensors[f"{name}.feature_sums"] = features.sum(1)
    tensors[f"{name}.last_logits"] = model(**inputs).logits[0, -1]
    if closely:
        tensors[f"{name}.nll"] = negative_log_likelihoods(model, inputs, answer).float()
        tensors[f"{name}.greedy_tokens"], tensors[f"{name}.greedy_margins"] = greedy(model, inputs)


def usable(inputs):
    """What models take; the ids of multimodal types go only to those that place images by them."""
    return {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}


@torch.no_grad()
def make_family(output, name, number, pictures):
    model, processor, prompt_format, template = FAMILIES[name]()
    randomize(model, 500 + number)
    folder = output / name
    if folder.exists():
        shutil.rmtree(folder)
    model.generation_config = tf.GenerationConfig(eos_token_id=processor.eos_token_id
                                                  if hasattr(processor, "eos_token_id")
                                                  else processor.tokenizer.eos_token_id)
    model.to(torch.bfloat16).save_pretrained(folder)  # half the size; loaded as fp32 by both sides
    processor.save_pretrained(folder)
    kind = type(model)
    model, loading = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                          output_loading_info=True)
    if loading["missing_keys"] or loading["unexpected_keys"]:
        sys.exit(f"{folder}: {loading}")
    model.eval()
    tokenizer = getattr(processor, "tokenizer", processor)
    answer = tokenizer(ANSWER, add_special_tokens=False)["input_ids"]
    tensors, cases = {}, []
    if tokenizer is processor:
        prompt = template.format(q=TEXT_QUESTION)
        inputs = tokenizer(prompt, return_tensors="pt")
        run(model, usable({k: inputs[k] for k in ("input_ids", "attention_mask")}), tensors, "text", True, answer)
        cases.append({"name": "text", "question": TEXT_QUESTION, "prompt": prompt, "pictures": []})
    else:
        for index, file in enumerate(pictures):
            case = {"name": str(index), "question": QUESTION, "prompt": template.format(q=QUESTION),
                    "pictures": [file.name]}
            cases.append(case)
            picture = Image.open(file).convert("RGB")
            try:
                inputs = usable(processor(images=[picture], text=case["prompt"], return_tensors="pt"))
            except ValueError as error:
                case["refused"] = str(error)
                continue
            views = views_of(inputs, processor)
            case["views"] = list(views.shape)
            case["pixels_crc"] = zlib.crc32(np.ascontiguousarray(views.astype("<f4")).tobytes())
            run(model, inputs, tensors, case["name"], index < CLOSELY, answer)
        # Two images where the format writes one: as many placeholders, in order.
        token = processor.image_token
        before, after = template.split(picture_text(template, token))
        prompt = before + picture_text(template, token) * 2 + after.format(q=QUESTION)
        images = [Image.open(file).convert("RGB") for file in pictures[:2]]
        inputs = usable(processor(images=[images] if name in ("idefics3", "smolvlm") else images, text=prompt,
                                  return_tensors="pt"))
        run(model, inputs, tensors, "two", False, answer)
        cases.append({"name": "two", "question": QUESTION, "prompt": prompt, "pictures": [f.name for f in pictures[:2]]})
    save_tensors(output / f"{name}.golden.safetensors", tensors)
    return {"prompt_format": prompt_format, "answer": ANSWER, "answer_ids": answer, "cases": cases}


def picture_text(template, token):
    """What the template writes for an image: the placeholder with what belongs to it."""
    # LLaVA-OneVision's newline belongs to the text that follows all images.
    written = [token] if "<|im_start|>user <image>" in template else []
    for text in written + [f"<|vision_start|>{token}<|vision_end|>", f"{token}\n", token]:
        if text in template:
            return text
    sys.exit(f"no picture in {template!r}")


def make(output, only=()):
    """Writes everything into `output`, or the families named alone, beside what is there."""
    tf.utils.logging.set_verbosity_error()
    tf.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    pictures = make_pictures(output / "pictures")
    file = output / "families.json"
    families = json.loads(file.read_text())["families"] if only else {}
    for number, name in enumerate(FAMILIES):
        if not only or name in only:
            families[name] = make_family(output, name, number, pictures)
    write_json(file, {"versions": versions(*PACKAGES), "families": families})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--output", type=Path, default=DATA / "families", help="default: tests/parity/data/families")
    parser.add_argument("--only", nargs="*", default=(), help="names of families, for work on this script")
    arguments = parser.parse_args()
    make(arguments.output, arguments.only)
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
