#!/usr/bin/env python3
"""Makes tests/golden/torchvision/golden.json: what transformers' processors with torchvision make of images.

Needs what make_image_golden.py needs and torchvision 0.26, which the oracle's environment is without on purpose (with it
transformers takes torchvision's processors by default). It may lie in a folder of its own:

    pip install --no-deps --target DIR torchvision==0.26.0
    PYTHONPATH=DIR python tests/parity/make_torchvision_golden.py

Expected pixels are kept as CRC-32 of their bytes. The versions that made them are in the file.
"""

import json
import pathlib

import make_image_golden as pil
import numpy as np
import torch
import torchvision
import transformers
from PIL import Image
from transformers.models.clip.image_processing_clip import CLIPImageProcessor
from transformers.models.llava.image_processing_llava import LlavaImageProcessor
from transformers.models.llava_next.image_processing_llava_next import LlavaNextImageProcessor
from transformers.models.llava_onevision.image_processing_llava_onevision import LlavaOnevisionImageProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

FILE = pathlib.Path(__file__).resolve().parent.parent / "golden" / "torchvision" / "golden.json"
CLIP, LLAVA = "CLIPImageProcessor", "LlavaImageProcessor"
CLASSES = {
    CLIP: CLIPImageProcessor,
    LLAVA: LlavaImageProcessor,
    pil.QWEN2_VL: Qwen2VLImageProcessor,
    pil.NEXT: LlavaNextImageProcessor,
    pil.ONEVISION: LlavaOnevisionImageProcessor,
}
SIZE = Qwen2VLImageProcessor.size.copy()
SMALL = ["palette_70x50.png", "grey_70x50.png", "rgba_70x50.png"]
SOURCES = pil.FILES + SMALL + pil.PATTERNS

# Shapes of the crop larger than the image, by odd and even lengths, are among them.
PROCESSORS = [
    (CLIP, {}, SOURCES),
    (CLIP, {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}, SOURCES),
    (CLIP, {"size": 30, "crop_size": 30, "resample": 2}, SOURCES),
    (CLIP, {"size": {"height": 40, "width": 56}, "crop_size": {"height": 40, "width": 56}}, SOURCES),
    (CLIP, {"size": {"shortest_edge": 33}, "crop_size": {"height": 64, "width": 47}, "resample": 2}, SOURCES),
    (CLIP, {"do_resize": False, "crop_size": {"height": 45, "width": 90}}, SOURCES),
    (CLIP, {"size": 28, "crop_size": 28, "do_normalize": False}, SOURCES),
    (CLIP, {"size": 28, "crop_size": 28, **pil.UNSCALED}, SOURCES),
    (CLIP, {"size": 28, "crop_size": 28, **pil.HALVES, "rescale_factor": 0.01}, SOURCES),
    (LLAVA, {"do_pad": True}, SOURCES),
    (LLAVA, {"do_pad": True, "size": 30, "crop_size": 30, **pil.HALVES}, SOURCES),
]
PROCESSORS += [
    (kind, config, sources)
    for kind, config, sources in pil.PROCESSORS
    if kind in CLASSES and config.get("resample", 3) in (2, 3)
]


def views_of(kind, config, picture):
    if kind == pil.QWEN2_VL:
        Qwen2VLImageProcessor.size = SIZE.copy()  # the constructor writes limits into it
    result = CLASSES[kind](**{key: value for key, value in config.items()})(picture, return_tensors="pt")
    if kind == pil.QWEN2_VL:
        return pil.unpatchified({key: value.numpy() for key, value in result.items()}, config)
    pixels = result["pixel_values"].numpy()
    return pixels if kind in (CLIP, LLAVA) else pixels[0]


def main():
    torch.set_num_threads(1)
    cases = []
    for number, (kind, config, sources) in enumerate(PROCESSORS):
        for source in sources:
            is_file = isinstance(source, str)
            picture = Image.open(pil.FOLDER / source).convert("RGB") if is_file else Image.fromarray(pil.pattern(*source))
            case = {"processor": number, ("file" if is_file else "pattern"): source}
            try:
                pixels = views_of(kind, config, picture).astype(np.float32)
            except (ValueError, RuntimeError) as problem:
                cases.append(case | {"refused": str(problem).split("\n", 1)[0][:60]})
                continue
            first = [float(value) for value in pixels[0, :, 0, 0]]
            cases.append(case | {"shape": list(pixels.shape), "pixels_crc": pil.crc(pixels), "first": first})
    made_with = {module.__name__: module.__version__ for module in (torch, torchvision, transformers)}
    lines = lambda items: ",\n".join("  " + json.dumps(item) for item in items)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(
        f'{{\n "made_with": {json.dumps(made_with)},\n "processors": [\n'
        + lines({"image_processor_type": kind} | config for kind, config, _ in PROCESSORS)
        + '\n ],\n "cases": [\n'
        + lines(cases)
        + "\n ]\n}\n"
    )


if __name__ == "__main__":
    main()
