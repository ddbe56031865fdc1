"""The trained parts of StampVLM (vision tower, projector, low-rank update): made from those of the
model that train.py trains, read and written in the form of models/stampvlm."""

import os
import shutil

import torch
from torch.nn import functional
from transformers import AutoModel, LlavaConfig
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

from assemble import COPIED, WEIGHTS, Base, gguf_file
from language_layers import RANK, SCALE, LanguageModel
from tensor_files import read_tensors, write_bf16_tensors

TOWER = "model.vision_tower.vision_model."  # the names of CLIP before transformers 5
PROJECTOR = "model.multi_modal_projector."
LANGUAGE = "model.language_model."
POSITION_SIZE = 0.5  # of the waves' standard deviation; patches' is 1.7


def _read(path):
    tensors, _ = read_tensors(path)
    return {name: torch.from_numpy(values.copy()) for name, values in tensors.items()}


def _part(tensors, prefix):
    return {
        name.removeprefix(prefix): values
        for name, values in tensors.items()
        if name.startswith(prefix)
    }


def _waves(side, hidden):
    """[side * side, hidden]: waves of two to half a period along rows and columns, mixed at random."""
    angles = torch.arange(side)[:, None] * torch.arange(1, 5) * (torch.pi / side)
    waves = torch.cat([angles.sin(), angles.cos()], -1)
    waves = torch.cat(
        [waves.repeat_interleave(side, 0), waves.repeat(side, 1)], -1
    )  # along rows, along columns
    mixture = torch.randn(waves.shape[-1], hidden, generator=torch.Generator().manual_seed(0))
    return POSITION_SIZE / (waves.shape[-1] / 2) ** 0.5 * (waves @ mixture)


def _finer(tower, config):
    """A tower for larger patches as the first guess of one for smaller patches.

    The kernels are averaged and scaled so that they answer a stamp as before when it is drawn
    smaller in proportion. The positions are interpolated, and waves along rows and columns are added
    to them: the first model's are thirty times as weak as its patches, so it hardly knows where a patch is.
    """
    side = config.patch_size
    kernel = tower["embeddings.patch_embedding.weight"]
    scale = (kernel.shape[-1] / side) ** 2
    kernel = functional.interpolate(kernel, size=(side, side), mode="area") * scale
    positions = tower["embeddings.position_embedding.weight"]
    old, new = int((len(positions) - 1) ** 0.5), config.image_size // side
    grid = positions[1:].T.reshape(1, -1, old, old)
    grid = functional.interpolate(grid, size=(new, new), mode="bilinear", align_corners=False)
    grid = grid.reshape(-1, new * new).T + _waves(new, positions.shape[1])
    positions = torch.cat([positions[:1], grid])
    return tower | {
        "embeddings.patch_embedding.weight": kernel,
        "embeddings.position_embedding.weight": positions,
    }


def load_vision_and_projector(config_folder, weights_folder):
    """The tower and the projector (fp32) that config_folder describes, with the weights of
    weights_folder, whose patches may be larger."""
    config = LlavaConfig.from_pretrained(config_folder)
    config.dtype = config.vision_config.dtype = config.text_config.dtype = torch.float32
    tower, projector = AutoModel.from_config(config.vision_config), LlavaMultiModalProjector(config)
    tensors = _read(weights_folder / WEIGHTS[0])
    weights = _part(tensors, TOWER)
    kernel = weights["embeddings.patch_embedding.weight"]
    if kernel.shape[-1] != config.vision_config.patch_size:
        weights = _finer(weights, config.vision_config)
    tower.load_state_dict(weights)
    projector.load_state_dict(_part(tensors, PROJECTOR))
    return tower.float(), projector.float()


def _write(path, tensors, metadata):
    arrays = {name: values.detach().float().numpy() for name, values in tensors.items()}
    partial = path.with_name(path.name + ".partial")
    shapes = {name: array.shape for name, array in arrays.items()}
    write_bf16_tensors(partial, shapes, arrays.__getitem__, metadata)
    os.replace(partial, path)


def _truncated(down, up):
    """The product up @ down in rank RANK, as near as that can be."""
    outer, outer_triangle = torch.linalg.qr(up.double())
    inner, inner_triangle = torch.linalg.qr(down.double().T)
    left, values, right = torch.linalg.svd(outer_triangle @ inner_triangle.T)
    roots = values[:RANK].sqrt()
    return (
        (roots[:, None] * (right[:RANK] @ inner.T)).float(),
        (outer @ left[:, :RANK] * roots).float(),
    )


def load_language(gguf, config_folder, weights_folder):
    """The language model, with the update of weights_folder, truncated where its rank is higher.

    gguf: where SmolLM2's GGUF file is, as assemble.py's --base; None for the installed package.
    """
    tensors = _part(_read(weights_folder / WEIGHTS[1]), LANGUAGE)
    update = {}
    for name, down in tensors.items():
        layer, _, kind = name.removesuffix(".weight").rpartition(".")
        if kind == "lora_A":
            up = tensors[f"{layer}.lora_B.weight"]
            update[layer] = (down, up) if len(down) == RANK else _truncated(down, up)
    config = LlavaConfig.from_pretrained(config_folder).text_config
    with gguf_file(gguf) as path:
        base = Base(path, config.to_dict())
        return LanguageModel(
            lambda name: torch.from_numpy(base.tensor(name).copy()), config, update
        )


def write_parts(tower, projector, update, config_folder, folder):
    """Writes the trained weights, and copies the rest, in the form of models/stampvlm."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {TOWER + name: values for name, values in tower.state_dict().items()}
    tensors |= {PROJECTOR + name: values for name, values in projector.state_dict().items()}
    _write(folder / WEIGHTS[0], tensors, {"format": "pt"})
    tensors = {
        f"{LANGUAGE}{layer}.lora_{letter}.weight": values
        for layer, pair in update.items()
        for letter, values in zip("AB", pair)
    }
    rule = {"rank": str(RANK), "rule": "W + scale * lora_B @ lora_A", "scale": str(SCALE)}
    _write(folder / WEIGHTS[1], tensors, {"format": "pt"} | rule)
    for name in COPIED:
        if folder != config_folder:
            shutil.copyfile(config_folder / name, folder / name)
