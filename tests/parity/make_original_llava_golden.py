#!/usr/bin/env python3
"""Makes a random tiny checkpoint in the layout of the original LLaVA (liuhaotian/llava-v1.5-*, Zuyan/ElasticCache) and
what it computes, for which transformers has no class: an independent reference in plain steps.

Writes into tests/parity/data/families (or --output):
  original_llava/                config.json of LlavaLlamaForCausalLM, pytorch_model-*.bin, tokenizer.model
  tiny-clip/                     its vision tower, as openai/clip-vit-large-patch14-336 lies on the hub
  original_llava.golden.safetensors, original_llava.json

What is rebuilt here, from LLaVA's published code: texts between images are encoded one by one, each begins with a
BOS that all but the first lose; -200 stands for an image; images are padded to a square with the mean colour; the
features of CLIP's last but one hidden state, without the class token, go through two linear layers with a GELU between.
The decoder and the tower are transformers' LlamaForCausalLM and CLIPVisionModel.
"""

import argparse
import shutil
import zlib
from pathlib import Path

import numpy as np
import sentencepiece
import torch
import transformers as tf
from golden_common import DATA, ROOT, save_tensors, versions, write_json
from make_family_golden import ANSWER, CLIP, CLOSELY, GREEDY_TOKENS, QUESTION, pillow, randomize, text_sizes
from PIL import Image

PACKAGES = ("numpy", "pillow", "sentencepiece", "torch", "transformers")
TOKENIZER = ROOT / "tests" / "unit" / "text" / "data" / "llama-model" / "tokenizer.model"
NAME = "original_llava"
SYSTEM = ("A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, "
          "detailed, and polite answers to the human's questions.")
PROMPT = SYSTEM + " USER: <image>\n{q} ASSISTANT:"
IMAGE = -200


def to_square(picture, mean):
    """LLaVA's image_aspect_ratio "pad"."""
    side = max(picture.size)
    square = Image.new("RGB", (side, side), tuple(int(value * 255) for value in mean))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


class Reference:
    def __init__(self, pieces):
        self.pieces = pieces
        self.llama = tf.LlamaForCausalLM(tf.LlamaConfig(**text_sizes(pieces.vocab_size(), num_key_value_heads=4)))
        self.clip = tf.CLIPVisionModel(tf.CLIPVisionConfig(**CLIP))
        hidden = self.llama.config.hidden_size
        self.projector = torch.nn.Sequential(torch.nn.Linear(CLIP["hidden_size"], hidden), torch.nn.GELU(),
                                             torch.nn.Linear(hidden, hidden))
        for seed, module in enumerate((self.llama, self.clip, self.projector)):
            randomize(module, 900 + seed)
            for parameter in module.parameters():  # what half precision files hold
                parameter.data = parameter.data.half().float()
            module.eval()
        self.images = pillow("CLIPImageProcessor")(size={"shortest_edge": CLIP["image_size"]},
                                                   crop_size={"height": CLIP["image_size"], "width": CLIP["image_size"]})

    def save(self, folder, tower):
        for place in (folder, tower):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        text = self.llama.config
        write_json(folder / "config.json", {
            "_name_or_path": "llava-tiny", "architectures": ["LlavaLlamaForCausalLM"], "bos_token_id": 1,
            "eos_token_id": 2, "freeze_mm_mlp_adapter": False, "hidden_act": "silu", "hidden_size": text.hidden_size,
            "image_aspect_ratio": "pad", "initializer_range": 0.02, "intermediate_size": text.intermediate_size,
            "max_position_embeddings": text.max_position_embeddings, "mm_hidden_size": CLIP["hidden_size"],
            "mm_projector_type": "mlp2x_gelu", "mm_use_im_patch_token": False, "mm_use_im_start_end": False,
            "mm_vision_select_feature": "patch", "mm_vision_select_layer": -2,
            "mm_vision_tower": "somebody/tiny-clip", "model_type": "llava",
            "num_attention_heads": text.num_attention_heads, "num_hidden_layers": text.num_hidden_layers,
            "num_key_value_heads": text.num_key_value_heads, "pad_token_id": 0, "pretraining_tp": 1,
            "rms_norm_eps": text.rms_norm_eps, "rope_scaling": None, "tie_word_embeddings": False,
            "torch_dtype": "float16", "tune_mm_mlp_adapter": False, "use_cache": True, "use_mm_proj": True,
            "vocab_size": text.vocab_size})
        weights = {name: value.half() for name, value in self.llama.state_dict().items()}
        weights.update({f"model.mm_projector.{name}": value.half() for name, value in self.projector.state_dict().items()})
        names = sorted(weights)
        parts = {"pytorch_model-00001-of-00002.bin": names[: len(names) // 2],
                 "pytorch_model-00002-of-00002.bin": names[len(names) // 2 :]}
        for file, part in parts.items():
            torch.save({name: weights[name].clone() for name in part}, folder / file)
        write_json(folder / "pytorch_model.bin.index.json", {
            "metadata": {"total_size": sum(value.numel() * 2 for value in weights.values())},
            "weight_map": {name: file for file, part in parts.items() for name in part}})
        shutil.copy(TOKENIZER, folder / "tokenizer.model")
        write_json(folder / "tokenizer_config.json", {
            "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
            "legacy": True, "tokenizer_class": "LlamaTokenizer"})
        write_json(folder / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0})

        write_json(tower / "config.json", {
            "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": CLIP["projection_dim"],
            "vision_config": {**{k: v for k, v in CLIP.items() if k != "hidden_act"}, "model_type": "clip_vision_model"}})
        vision = {f"vision_model.{name.removeprefix('vision_model.')}": value.half()
                  for name, value in self.clip.state_dict().items()}
        vision["logit_scale"] = torch.tensor(4.6)
        vision["text_model.final_layer_norm.weight"] = torch.ones(8)
        vision["visual_projection.weight"] = torch.ones(CLIP["projection_dim"], CLIP["hidden_size"])
        torch.save(vision, tower / "pytorch_model.bin")
        write_json(tower / "preprocessor_config.json", {
            "crop_size": CLIP["image_size"], "do_center_crop": True, "do_normalize": True, "do_resize": True,
            "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": list(self.images.image_mean),
            "image_std": list(self.images.image_std), "resample": 3, "size": CLIP["image_size"]})

    def ids(self, prompt, tokens_per_picture):
        parts = [[self.pieces.bos_id()] + self.pieces.encode(part) for part in prompt.split("<image>")]
        ids = parts[0]
        for part in parts[1:]:
            ids = ids + [IMAGE] * tokens_per_picture + part[1:]
        return ids

    def pixels(self, picture):
        square = to_square(picture, self.images.image_mean)
        return self.images(images=square, return_tensors="pt")["pixel_values"]

    def features(self, pixels):
        states = self.clip(pixels, output_hidden_states=True).hidden_states
        return self.projector(states[-2][:, 1:])[0]

    def logits(self, ids, features):
        ids = torch.tensor(ids)
        embeddings = self.llama.model.embed_tokens(ids.clamp(min=0))
        embeddings[ids == IMAGE] = features
        return self.llama(inputs_embeds=embeddings[None]).logits[0]


@torch.no_grad()
def make(output):
    """Writes into `output`, which holds the images of make_family_golden.py."""
    torch.set_num_threads(1)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(TOKENIZER))
    reference = Reference(pieces)
    reference.save(output / NAME, output / "tiny-clip")
    answer = pieces.encode(ANSWER)
    tensors, cases = {}, []
    for index, file in enumerate(sorted((output / "pictures").glob("*.png"))):
        pixels = reference.pixels(Image.open(file).convert("RGB"))
        features = reference.features(pixels)
        ids = reference.ids(PROMPT.format(q=QUESTION), len(features))
        case = {"name": str(index), "question": QUESTION, "prompt": PROMPT.format(q=QUESTION), "pictures": [file.name],
                "views": list(pixels.shape),
                "pixels_crc": zlib.crc32(np.ascontiguousarray(pixels.numpy().astype("<f4")).tobytes())}
        cases.append(case)
        tensors[f"{index}.input_ids"] = torch.tensor(ids, dtype=torch.int32)
        tensors[f"{index}.feature_sums"] = features.sum(1)
        tensors[f"{index}.last_logits"] = reference.logits(ids, features)[-1]
        if index >= CLOSELY:
            continue
        tensors[f"{index}.features"] = features
        scores = torch.log_softmax(reference.logits(ids + answer, features)[len(ids) - 1 : -1].double(), -1)
        tensors[f"{index}.nll"] = -scores[torch.arange(len(answer)), torch.tensor(answer)].float()
        written, margins = [], []
        for _ in range(GREEDY_TOKENS):
            best = reference.logits(ids + written, features)[-1].topk(2)
            written.append(int(best.indices[0]))
            margins.append(float(best.values[0] - best.values[1]))
        tensors[f"{index}.greedy_tokens"] = torch.tensor(written)
        tensors[f"{index}.greedy_margins"] = torch.tensor(margins)
    save_tensors(output / f"{NAME}.golden.safetensors", tensors)
    write_json(output / f"{NAME}.json", {"versions": versions(*PACKAGES), "families": {
        NAME: {"prompt_format": "llava-v1-elastic-cache", "answer": ANSWER, "answer_ids": answer, "cases": cases}}})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--output", type=Path, default=DATA / "families", help="default: tests/parity/data/families")
    output = parser.parse_args().output
    make(output)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
