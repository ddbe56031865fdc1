#!/usr/bin/env python3
"""Trains the model that StampVLM starts from: patches of 16, stamp scenes of a few large objects.

What it trains: a vision tower, a projector and a low-rank update of SmolLM2-135M-Instruct.

Three stages, in this order (scripts/stampvlm/README.md says why):
  vision     the tower alone: which object covers each patch
  projector  the projector alone: a patch's features to the mean embedding of its object's name
  language   projector and low-rank update on conversations; tower and language model frozen

Everything is kept in --work: a checkpoint per stage, written every --save-every steps, from which an
interrupted stage goes on. When the last stage is done, --work/parts holds weights and configuration
in the form of models/stampvlm: `assemble.py --parts WORK/parts` makes a Hugging Face directory of it,
`train_details.py --start WORK/parts` trains StampVLM from it.

Needs requirements.txt. Scene i of a stage is a function of the seed and i, so a run that was
interrupted sees the scenes that an uninterrupted one does.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from transformers import AutoTokenizer, LlavaConfig, LlavaForConditionalGeneration

sys.path.insert(0, str(Path(__file__).resolve().parent))
from assemble import COPIED, ROOT, WEIGHTS  # noqa: E402
from scenes import DATA, SceneError, add_stamp_options, load_maker, stamp_folder  # noqa: E402
from tensor_files import read_tensors, write_bf16_tensors  # noqa: E402

RANK, SCALE = 16, 2.0
PATCH = 16  # pixels; StampVLM's own are 8
COVERED_SHARE = 0.3  # of a patch, for it to belong to an object
BACKGROUND_WEIGHT = 0.15
IGNORED = -100
SYSTEM = "<|im_start|>system\nYou are a helpful assistant that looks at pictures.<|im_end|>\n"
# How often a conversation is: the description; questions, then the description; questions.
CONVERSATIONS = {"description": 0.4, "both": 0.3, "questions": 0.3}

# Steps, batch, peak learning rate, AdamW's betas, weight decay.
STAGES = {
    "vision": {"steps": 1000, "batch": 64, "rate": 1e-3, "betas": (0.9, 0.95), "decay": 0.05},
    "projector": {"steps": 150, "batch": 16, "rate": 1e-3, "betas": (0.9, 0.95), "decay": 0.0},
    "language": {"steps": 740, "batch": 8, "rate": 5e-4, "betas": (0.9, 0.98), "decay": 0.0},
}
PROJECTOR_RATE = 2.0  # in the last stage, times the update's


class LowRankLinear(torch.nn.Module):
    """A frozen linear layer W with a trained update: (W + SCALE * B A) x."""

    def __init__(self, linear):
        super().__init__()
        self.linear = linear
        self.lora_A = torch.nn.Linear(linear.in_features, RANK, bias=False)
        self.lora_B = torch.nn.Linear(RANK, linear.out_features, bias=False)
        torch.nn.init.zeros_(self.lora_B.weight)

    def forward(self, x):
        return self.linear(x) + SCALE * self.lora_B(self.lora_A(x))


def add_low_rank_updates(language_model):
    for layer in language_model.layers:
        for block in (layer.self_attn, layer.mlp):
            for name, child in list(block.named_children()):
                if isinstance(child, torch.nn.Linear):
                    setattr(block, name, LowRankLinear(child))


class Pictures:
    """Scenes as the model takes them."""

    def __init__(self, maker, parts, config):
        processor = json.loads((parts / "preprocessor_config.json").read_text())
        self._maker = maker
        self._mean = np.array(processor["image_mean"], dtype=np.float32)
        self._std = np.array(processor["image_std"], dtype=np.float32)
        self._patch = config.vision_config.patch_size
        names = json.loads((DATA / "vocabulary.json").read_text())["names"]
        self._number = {name: number for number, name in enumerate(names, start=1)}
        self.names = names

    def pixels(self, picture):
        """[3, size, size]; scenes have the model's size, so there is nothing to resize."""
        values = (np.asarray(picture, dtype=np.float32) / 255 - self._mean) / self._std
        return values.transpose(2, 0, 1)

    def labels(self, owners, scene):
        """[patches], 0 for the background, else 1 + the index of the object's name."""
        side, objects = owners.shape[0] // self._patch, scene["objects"]
        shares = np.stack(
            [
                (owners == index).reshape(side, self._patch, side, self._patch).mean((1, 3))
                for index in range(len(objects))
            ]
        )
        numbers = np.array([self._number[thing["name"]] for thing in objects])
        best = shares.argmax(0)
        covered = np.take_along_axis(shares, best[None], 0)[0] > COVERED_SHARE
        return np.where(covered, numbers[best], 0).reshape(-1)

    def labelled_batch(self, seed, first, count, device):
        """Pixels [count, 3, size, size] and labels [count, patches] of scenes first, first + 1..."""
        pixels, labels = [], []
        for index in range(first, first + count):
            picture, owners, scene, _ = self._maker.make(seed, index)
            pixels.append(self.pixels(picture))
            labels.append(self.labels(owners, scene))
        return (
            torch.from_numpy(np.stack(pixels)).to(device),
            torch.from_numpy(np.stack(labels)).to(device),
        )

    def conversation(self, seed, index):
        picture, _, _, turns = self._maker.make(seed, index)
        pairs = [(turns[i]["value"], turns[i + 1]["value"]) for i in range(0, len(turns), 2)]
        kind = np.random.default_rng([seed, index, 1]).choice(
            list(CONVERSATIONS), p=list(CONVERSATIONS.values())
        )
        pairs = {
            "description": pairs[:1],
            "both": pairs[1:] + pairs[:1],
            "questions": pairs[1:],
        }[kind]
        return self.pixels(picture), pairs


class Conversations:
    """Conversations as token ids, with the answers as labels."""

    def __init__(self, tokenizer, config):
        self._tokenizer = tokenizer
        self._image = [config.image_token_index] * config.image_seq_length
        self._pad = config.pad_token_id

    def _ids(self, text):
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def encode(self, pairs):
        """Ids and labels of [(question, answer), ...] in the words of chat_template.jinja."""
        ids = self._ids(SYSTEM)
        labels = [IGNORED] * len(ids)
        for number, (question, answer) in enumerate(pairs):
            question = question.removeprefix("<image>\n")
            asked = self._ids("<|im_start|>user\n")
            if number == 0:
                asked += self._image
                question = "\n" + question
            asked += self._ids(f"{question}<|im_end|>\n<|im_start|>assistant\n")
            answered = self._ids(f"{answer}<|im_end|>")
            newline = self._ids("\n")
            ids += asked + answered + newline
            labels += [IGNORED] * len(asked) + answered + [IGNORED] * len(newline)
        return ids, labels

    def batch(self, conversations, device):
        """input_ids, attention_mask and labels, [conversations, longest], padded on the right."""
        encoded = [self.encode(pairs) for pairs in conversations]
        longest = max(len(ids) for ids, _ in encoded)
        rows = {"input_ids": [], "attention_mask": [], "labels": []}
        for ids, labels in encoded:
            padding = longest - len(ids)
            rows["input_ids"].append(ids + [self._pad] * padding)
            rows["attention_mask"].append([1] * len(ids) + [0] * padding)
            rows["labels"].append(labels + [IGNORED] * padding)
        return {name: torch.tensor(values, device=device) for name, values in rows.items()}


def patch_features(model, pixels):
    """[images, patches, hidden]: the tower's last layer without the class token, before
    post_layernorm, as `vision_feature_layer` -1 and strategy "default" say."""
    tower = model.model.vision_tower
    return tower(pixel_values=pixels, output_hidden_states=True).hidden_states[-1][:, 1:]


def cosine(step, steps):
    """The share of the peak rate at a step: a short warm-up, then half a cosine down to zero."""
    warm_up = min(50, max(1, steps // 20))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def save_atomically(value, path):
    partial = path.with_suffix(".partial")
    torch.save(value, partial)
    os.replace(partial, path)


def train_stage(stage, modules, loss_of_step, options):
    """Trains `modules` ([(module, rate factor), ...]) or goes on with it, and reports the loss.

    loss_of_step(step) returns (loss, text for the progress line).
    """
    settings = options.stages[stage]
    path = options.work / f"{stage}.pt"
    groups = [
        {
            "params": [p for p in module.parameters() if p.requires_grad],
            "factor": factor,
        }
        for module, factor in modules
    ]
    optimizer = torch.optim.AdamW(
        groups, lr=settings["rate"], betas=settings["betas"], weight_decay=settings["decay"]
    )
    first = 0
    if path.exists():
        saved = torch.load(path, map_location=options.device, weights_only=True)
        if saved["settings"] != settings | {"seed": options.seed}:
            sys.exit(f"train.py: {path} was made with other settings; name another --work")
        for (module, _), state in zip(modules, saved["modules"]):
            trained = {name for name, p in module.named_parameters() if p.requires_grad}
            missing = trained - set(state)
            if missing:
                sys.exit(f"train.py: {path}: no '{sorted(missing)[0]}'")
            module.load_state_dict(state, strict=False)
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["step"]

    def save(step):
        states = [
            {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
            for module, _ in modules
        ]
        save_atomically(
            {
                "modules": states,
                "optimizer": optimizer.state_dict(),
                "step": step,
                "settings": settings | {"seed": options.seed},
            },
            path,
        )

    steps, started = settings["steps"], time.monotonic()
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = settings["rate"] * group["factor"] * cosine(step, steps)
        with torch.autocast(options.device, torch.bfloat16, enabled=options.autocast):
            loss, text = loss_of_step(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for g in groups for p in g["params"]], 1.0)
        optimizer.step()
        if (step + 1) % options.report_every == 0 or step + 1 == steps:
            rate = (step + 1 - first) / (time.monotonic() - started)
            left = (steps - step - 1) / rate / 60
            print(
                f"{stage} step {step + 1}/{steps} loss {loss.item():.4f}{text} "
                f"{rate:.2f} steps/s, {left:.1f} min left",
                flush=True,
            )
        if (step + 1) % options.save_every == 0 or step + 1 == steps:
            save(step + 1)
    if first >= steps:
        print(f"{stage} is done already ({path})")


def freeze(model, *but):
    model.requires_grad_(False)
    for module in but:
        module.requires_grad_(True)


def train_vision(model, pictures, options):
    tower, device = model.model.vision_tower, options.device
    torch.manual_seed(options.seed + 1)
    head = torch.nn.Linear(model.config.vision_config.hidden_size, 1 + len(pictures.names))
    head.to(device)
    weights = torch.ones(1 + len(pictures.names), device=device)
    weights[0] = BACKGROUND_WEIGHT
    batch = options.stages["vision"]["batch"]

    def loss_of_step(step):
        pixels, labels = pictures.labelled_batch(options.seed, step * batch, batch, device)
        logits = head(patch_features(model, pixels)).float().flatten(0, 1)
        labels = labels.flatten()
        loss = functional.cross_entropy(logits, labels, weights)
        objects = labels > 0
        right = (logits.argmax(-1) == labels)[objects].float().mean().item()
        return loss, f" object patches right {right:.3f}"

    freeze(model, tower)
    train_stage("vision", [(tower, 1.0), (head, 1.0)], loss_of_step, options)


def train_projector(model, pictures, tokenizer, options):
    """Regression on what the language model itself would read in the image's place."""
    projector, device = model.model.multi_modal_projector, options.device
    embeddings = model.model.language_model.embed_tokens.weight.detach()
    means = []
    for name in pictures.names:
        ids = tokenizer(" " + name.split(" ", 1)[1], add_special_tokens=False)["input_ids"]
        means.append(embeddings[torch.tensor(ids, device=device)].mean(0))
    targets = torch.stack(means).float()
    variance = targets.var()
    batch = options.stages["projector"]["batch"]

    def loss_of_step(step):
        pixels, labels = pictures.labelled_batch(options.seed + 1, step * batch, batch, device)
        with torch.no_grad():
            features = patch_features(model, pixels).flatten(0, 1)
        labels = labels.flatten()
        objects = labels > 0
        projected = projector(features[objects]).float()
        return functional.mse_loss(projected, targets[labels[objects] - 1]) / variance, ""

    freeze(model, projector)
    train_stage("projector", [(projector, 1.0)], loss_of_step, options)


def train_language(model, pictures, conversations, options):
    projector, language_model = model.model.multi_modal_projector, model.model.language_model
    freeze(model, projector)
    for name, parameter in language_model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    batch, device = options.stages["language"]["batch"], options.device

    def loss_of_step(step):
        indices = range(step * batch, (step + 1) * batch)
        scenes = [pictures.conversation(options.seed + 2, index) for index in indices]
        pixels = torch.from_numpy(np.stack([pixels for pixels, _ in scenes])).to(device)
        inputs = conversations.batch([pairs for _, pairs in scenes], device)
        return model(pixel_values=pixels, **inputs).loss, ""

    modules = [(projector, PROJECTOR_RATE), (language_model, 1.0)]
    train_stage("language", modules, loss_of_step, options)


@torch.no_grad()
def validation_loss(model, pictures, conversations, count, device):
    """Mean loss over the answer tokens of the first descriptions of the validation split."""
    total = tokens = 0
    annotations = json.loads((DATA / "validation" / "annotations.json").read_text())[:count]
    for scene in annotations:
        with Image.open(DATA / "validation" / scene["image"]) as picture:
            pixels = torch.from_numpy(pictures.pixels(picture.convert("RGB"))[None]).to(device)
        turns = scene["conversations"]
        inputs = conversations.batch([[(turns[0]["value"], turns[1]["value"])]], device)
        answered = int((inputs["labels"] != IGNORED).sum())
        total += model(pixel_values=pixels, **inputs).loss.item() * answered
        tokens += answered
    return total / tokens


def shipped_name(name):
    """The names that models/stampvlm uses, as CLIP's were before transformers 5."""
    name = name.replace("model.vision_tower.", "model.vision_tower.vision_model.")
    return name.replace(".linear.weight", ".weight")


def write_parts(model, parts, folder):
    """Writes the trained weights and the configuration, in the form of models/stampvlm."""
    folder.mkdir(parents=True, exist_ok=True)
    vision, update = {}, {}
    for name, values in model.state_dict().items():
        if ".lora_" in name:
            update[name] = values
        elif "vision_tower" in name or "multi_modal_projector" in name:
            vision[shipped_name(name)] = values
    files = (
        (WEIGHTS[0], vision, {"format": "pt"}),
        (
            WEIGHTS[1],
            update,
            {
                "format": "pt",
                "rank": str(RANK),
                "rule": "W + scale * lora_B @ lora_A",
                "scale": str(SCALE),
            },
        ),
    )
    for name, tensors, metadata in files:
        arrays = {key: values.float().cpu().numpy() for key, values in tensors.items()}
        partial = folder / (name + ".partial")
        shapes = {key: array.shape for key, array in arrays.items()}
        write_bf16_tensors(partial, shapes, arrays.__getitem__, metadata)
        os.replace(partial, folder / name)
    for name in COPIED:
        shutil.copyfile(parts / name, folder / name)
    for name in ("config.json", "processor_config.json"):
        content = json.loads((parts / name).read_text())
        content.get("vision_config", content)["patch_size"] = PATCH
        if "image_seq_length" in content:
            content["image_seq_length"] = model.config.image_seq_length
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")


def load_parts(model, parts):
    """Starts from trained parts: sets the tower, the projector and the update."""
    names = {shipped_name(name): name for name in model.state_dict()}
    state = {}
    for file in WEIGHTS:
        for name, values in read_tensors(parts / file)[0].items():
            if name not in names:
                sys.exit(f"train.py: {parts / file}: unexpected tensor '{name}'")
            state[names[name]] = torch.from_numpy(values.copy())
    model.load_state_dict(state, strict=False)


def build_model(options):
    """The whole model: SmolLM2 as it comes, with an update of zero, the rest random or trained."""
    text = options.work / "smollm2"
    command = [sys.executable, Path(__file__).with_name("assemble.py"), "--text-only", text]
    if options.base:
        command += ["--base", options.base]
    subprocess.run([*command, "--parts", options.parts], check=True)
    torch.manual_seed(options.seed)
    config = LlavaConfig.from_pretrained(options.parts)
    config.dtype = torch.float32
    config.vision_config.patch_size = PATCH
    config.image_seq_length = (config.vision_config.image_size // PATCH) ** 2
    model = LlavaForConditionalGeneration(config)
    base, _ = read_tensors(text / "model.safetensors")
    state = {
        name.removeprefix("model."): torch.from_numpy(values.copy())
        for name, values in base.items()
    }
    model.model.language_model.load_state_dict(state)
    model.tie_weights()
    add_low_rank_updates(model.model.language_model)
    if options.resume_from:
        load_parts(model, options.resume_from)
    return model.to(options.device)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of all that is written")
    parser.add_argument("--base", type=Path, help="SmolLM2's GGUF file, see assemble.py")
    parser.add_argument(
        "--parts",
        type=Path,
        default=ROOT / "models" / "stampvlm",
        help="where configuration and tokenizer are (default: models/stampvlm)",
    )
    parser.add_argument(
        "--from-parts",
        dest="resume_from",
        type=Path,
        metavar="DIR",
        help="start the language stage from the weights in DIR (another run's parts) and skip the "
        "other two",
    )
    for stage, settings in STAGES.items():
        for key, kind in (("steps", int), ("batch", int), ("rate", float)):
            parser.add_argument(
                f"--{stage}-{key}",
                type=kind,
                default=settings[key],
                metavar="N" if kind is int else "X",
                help=f"default: {settings[key]}",
            )
    parser.add_argument("--seed", type=int, default=20, help="default: 20")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--autocast",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compute in bf16 where that is safe",
    )
    parser.add_argument("--save-every", type=int, default=100, metavar="STEPS")
    parser.add_argument("--report-every", type=int, default=10, metavar="STEPS")
    parser.add_argument(
        "--validation-scenes",
        type=int,
        default=60,
        metavar="N",
        help="of the validation split, for the loss printed at the end (default: 60)",
    )
    add_stamp_options(parser)
    options = parser.parse_args()
    options.stages = {stage: dict(settings) for stage, settings in STAGES.items()}
    for stage, settings in options.stages.items():
        for key in ("steps", "batch", "rate"):
            settings[key] = getattr(options, f"{stage}_{key}")
    for stage, settings in options.stages.items():
        if settings["steps"] < 0 or settings["batch"] < 1:
            parser.error(f"--{stage}-steps must be at least 0 and --{stage}-batch at least 1")
    return options


def main():
    options = parse_arguments()
    maker = load_maker(stamp_folder(options))
    options.work.mkdir(parents=True, exist_ok=True)
    model = build_model(options)
    pictures = Pictures(maker, options.parts, model.config)
    tokenizer = AutoTokenizer.from_pretrained(options.parts)
    conversations = Conversations(tokenizer, model.config)
    if not options.resume_from:
        train_vision(model, pictures, options)
        train_projector(model, pictures, tokenizer, options)
    train_language(model, pictures, conversations, options)
    write_parts(model, options.parts, options.work / "parts")
    count = options.validation_scenes
    if count:
        loss = validation_loss(model, pictures, conversations, count, options.device)
        print(f"validation loss of the descriptions: {loss:.4f} (perplexity {math.exp(loss):.4f})")
    print(f"wrote {options.work / 'parts'}")


if __name__ == "__main__":
    try:
        main()
    except SceneError as error:
        sys.exit(f"train.py: {error}")
    except subprocess.CalledProcessError:
        sys.exit("train.py: assemble.py failed, see above")
