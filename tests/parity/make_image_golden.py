#!/usr/bin/env python3
"""Makes tests/golden/image: small images of every kind and what Pillow and transformers make of them.

Needs Pillow 12.3 (Pillow 13 resamples in another order), transformers 5.17 without torchvision, and numpy. The
committed files are the output of

    python tests/parity/make_image_golden.py

Expected pixels are kept as CRC-32 of their bytes, so a mismatch says that, not where; run this script's functions to
look closer.
"""

import copy
import json
import pathlib
import random
import struct
import zlib

import numpy as np
import PIL
import transformers
from PIL import Image, ImageOps, PngImagePlugin
from transformers.image_processing_backends import PilBackend
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "golden" / "image"
FILTERS = {"lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


def crc(array):
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def pattern(height, width):
    """Noise that golden.h makes in the same way: the top byte of a 32-bit hash of the index."""
    mask = np.uint64(0xFFFFFFFF)
    hashed = np.arange(1, height * width * 3 + 1, dtype=np.uint64) * np.uint64(2654435761) & mask
    hashed ^= hashed >> np.uint64(15)
    hashed = hashed * np.uint64(2246822519) & mask
    hashed ^= hashed >> np.uint64(13)
    return (hashed >> np.uint64(24)).astype(np.uint8).reshape(height, width, 3)


def scene(height, width, seed=0):
    """An image with smooth areas, edges and texture, in the manner of a photograph."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    y, x = y / max(height - 1, 1), x / max(width - 1, 1)
    planes = [180 * x + 40 * y, 200 * y * (1 - x) + 30, 120 + 100 * np.sin(9 * x + 5 * y)]
    picture = np.stack(planes, axis=-1)
    for _ in range(6):
        cy, cx, radius = random.random(), random.random(), 0.05 + 0.15 * random.random()
        picture[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = random.integers(0, 256, 3)
    picture += random.normal(0, 3, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(height, width, bits, colour_type, rows, extra=b""):
    """A PNG of a kind that Pillow reads but does not write; `rows` are bytes of big-endian samples."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def write_pictures():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    save = lambda picture, name, **options: picture.save(FOLDER / name, **options)
    rgb = Image.fromarray(scene(480, 640))
    save(rgb, "photo_640x480.jpg", quality=80)
    save(Image.fromarray(scene(333, 251, 1)), "progressive_251x333.jpg", quality=85, progressive=True, subsampling=0)
    save(Image.fromarray(scene(81, 123, 2)), "subsampled_422_123x81.jpg", quality=85, subsampling=1)
    rotated = Image.Exif()
    rotated[0x0112] = 6
    save(Image.fromarray(scene(80, 120, 3)), "exif_rotated_120x80.jpg", quality=85, exif=rotated)
    small = Image.fromarray(scene(50, 70, 4))
    save(small.convert("L"), "grey_70x50.jpg", quality=85)
    save(small.convert("CMYK"), "cmyk_70x50.jpg", quality=85)
    save(Image.fromarray(pattern(101, 37)), "noise_37x101.png")
    save(Image.fromarray(pattern(1, 1)), "one_1x1.png")
    save(Image.fromarray(pattern(500, 1)), "line_1x500.png")
    save(Image.fromarray(pattern(1, 500)), "line_500x1.png")
    save(Image.fromarray(scene(60, 60, 5)), "square_60x60.png")

    alpha = Image.fromarray((np.arange(70 * 50, dtype=np.uint32) * 37 % 256).astype(np.uint8).reshape(50, 70))
    rgba = small.copy()
    rgba.putalpha(alpha)
    save(rgba, "rgba_70x50.png")
    save(Image.merge("LA", (small.convert("L"), alpha)), "grey_alpha_70x50.png")
    save(small.convert("L"), "grey_70x50.png")
    save(small.convert("1"), "black_white_70x50.png")
    palette = small.quantize(16)
    save(palette, "palette_70x50.png")
    save(palette, "palette_transparent_70x50.png", transparency=bytes(range(0, 256, 16)))
    save(small, "transparent_colour_70x50.png", transparency=small.getpixel((0, 0)))

    grey16 = (np.arange(40 * 30, dtype=np.uint32) * 977 % 65536).astype(np.uint16).reshape(30, 40)
    grey16[0, :8] = [0, 1, 254, 255, 256, 4095, 32768, 65535]
    save(Image.fromarray(grey16), "grey16_40x30.png")
    samples = (np.arange(20 * 30 * 4, dtype=np.uint32) * 31337 % 65536).astype(">u2")
    write = lambda name, data: (FOLDER / name).write_bytes(data)
    write("rgb16_30x20.png", png(20, 30, 16, 2, [r.tobytes() for r in samples[: 20 * 30 * 3].reshape(20, -1)]))
    write("rgba16_30x20.png", png(20, 30, 16, 6, [r.tobytes() for r in samples.reshape(20, -1)]))
    write("grey_alpha16_30x20.png", png(20, 30, 16, 4, [r.tobytes() for r in samples[: 20 * 30 * 2].reshape(20, -1)]))
    write("grey2_32x20.png", png(20, 32, 2, 0, [bytes((i * 7 + j * 31) % 256 for j in range(8)) for i in range(20)]))
    write("grey4_32x20.png", png(20, 32, 4, 0, [bytes((i * 7 + j * 31) % 256 for j in range(16)) for i in range(20)]))
    # A colour profile that libpng complains about, as many images on the web have, and a gamma that nobody applies.
    profile = chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"no profile" * 20))
    rows = [r.tobytes() for r in scene(20, 30, 6).reshape(20, -1)]
    write("bad_profile_30x20.png", png(20, 30, 8, 2, rows, profile))

    save(Image.fromarray(scene(90, 130, 7)), "lossy_130x90.webp", quality=80)
    save(small, "lossless_70x50.webp", lossless=True)
    save(rgba, "alpha_70x50.webp", quality=80, exact=True)
    save(small, "rgb_70x50.bmp")
    save(palette, "palette_70x50.bmp")
    save(rgba, "rgba_70x50.bmp")
    save(small.convert("1"), "black_white_70x50.bmp")


def exif_block(order, *entries, count=None):
    """An Exif block with one directory of (tag, type, count, four bytes of value)."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    block = b"Exif\0\0" + mark + struct.pack(order + "IH", 8, len(entries) if count is None else count)
    for tag, kind, number, value in entries:
        block += struct.pack(order + "HHI", tag, kind, number) + value
    return block + bytes(4)


def xmp(text):
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description {text}</rdf:RDF></x:xmpmeta>'.encode()


def write_turned_pictures():
    """Images whose files say that they are turned, in every way that Pillow reads, and in some that it does not."""
    picture = Image.fromarray(scene(16, 24, 8))
    save = lambda name, **options: picture.save(FOLDER / f"turned_{name}", **options)
    short = lambda order, value: struct.pack(order + "H", value) + b"\0\0"
    for orientation in range(10):  # 0 and 9 do not exist
        save(f"{orientation}.jpg", quality=90, exif=exif_block("<", (0x0112, 3, 1, short("<", orientation))))
    big = exif_block(">", (0x010F, 2, 2, b"x\0\0\0"), (0x0112, 3, 1, short(">", 6)))
    save("big_endian_6.jpg", quality=90, exif=big)
    save("long_8.jpg", quality=90, exif=exif_block("<", (0x0112, 4, 1, struct.pack("<I", 8))))
    save("byte_6.jpg", quality=90, exif=exif_block("<", (0x0112, 1, 1, b"\6\0\0\0")))
    save("two_values_5.jpg", quality=90, exif=exif_block("<", (0x0112, 3, 2, struct.pack("<HH", 5, 3))))
    twice = exif_block("<", (0x0112, 3, 1, short("<", 3)), (0x0112, 3, 1, short("<", 7)))
    save("twice_7.jpg", quality=90, exif=twice)
    save("cut_off.jpg", quality=90, exif=exif_block("<", (0x010F, 2, 2, b"x\0\0\0"), count=9)[:-3])
    save("wrong_mark.jpg", quality=90, exif=big.replace(b"MM\0*", b"MX\0*"))
    # No orientation in the Exif block: the XMP decides; with one there the XMP is not asked.
    other = exif_block("<", (0x010F, 2, 2, b"x\0\0\0"))
    save("xmp_6.jpg", quality=90, exif=other, xmp=xmp('tiff:Orientation="6"/>'))
    save("xmp_alone_8.jpg", quality=90, xmp=xmp("><tiff:Orientation>8</tiff:Orientation></rdf:Description>"))
    upright = exif_block("<", (0x0112, 3, 1, short("<", 1)))
    save("xmp_not_asked.jpg", quality=90, exif=upright, xmp=xmp('tiff:Orientation="6"/>'))

    for orientation in (3, 6):
        save(f"{orientation}.png", exif=exif_block(">", (0x0112, 3, 1, short(">", orientation))))
    with_xmp = PngImagePlugin.PngInfo()
    with_xmp.add_itxt("XML:com.adobe.xmp", xmp('tiff:Orientation="5"/>').decode())
    save("xmp_5.png", pnginfo=with_xmp)
    data = (FOLDER / "turned_6.png").read_bytes()
    at = data.index(b"eXIf") - 4
    length = 12 + int.from_bytes(data[at : at + 4], "big")
    moved = data[:at] + data[at + length :]
    (FOLDER / "turned_behind_6.png").write_bytes(moved[:-12] + data[at : at + length] + moved[-12:])

    for orientation in (2, 8):
        exif = exif_block("<", (0x0112, 3, 1, short("<", orientation)))
        save(f"{orientation}.webp", lossless=True, exif=exif)
    save("xmp_7.webp", lossless=True, xmp=xmp('tiff:Orientation="7"/>'))


def decoded():
    cases = []
    for file in sorted(FOLDER.glob("*.*")):
        if file.suffix == ".json":
            continue
        picture = Image.open(file).convert("RGB")
        cases.append({"file": file.name, "width": picture.width, "height": picture.height, "crc": crc(picture)})
        upright = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        if upright.size != picture.size or crc(upright) != crc(picture):
            cases[-1] |= {"upright": {"width": upright.width, "height": upright.height, "crc": crc(upright)}}
    return cases


def resampled():
    sizes = [
        ((48, 64), (24, 32)), ((48, 64), (33, 47)), ((48, 64), (96, 128)), ((48, 64), (48, 20)), ((48, 64), (101, 64)),
        ((37, 101), (336, 917)), ((101, 37), (13, 7)), ((1, 1), (5, 9)), ((1, 500), (224, 3)), ((500, 1), (1, 224)),
        ((480, 640), (224, 298)), ((480, 640), (336, 448)), ((480, 640), (1, 1)), ((480, 640), (479, 641)),
        ((200, 300), (201, 299)), ((7, 5), (7, 5)), ((255, 3), (17, 170)), ((2, 2), (512, 512)), ((1000, 31), (3, 500)),
    ]  # fmt: skip
    cases = []
    for (h, w), (out_h, out_w) in sizes:
        picture = Image.fromarray(pattern(h, w))
        for name, number in FILTERS.items():
            expected = picture.resize((out_w, out_h), resample=number)
            cases.append({"in": [h, w], "out": [out_h, out_w], "filter": name, "crc": crc(expected)})
    return cases


def processed():
    clip336 = {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}
    configs = [
        {},
        clip336,
        {"size": 30, "crop_size": 30},
        {"size": {"height": 40, "width": 56}, "crop_size": {"height": 40, "width": 56}, "resample": 1},
        {"size": {"shortest_edge": 33}, "crop_size": {"height": 64, "width": 47}, "resample": 2},
        {"size": [51, 45], "crop_size": 60},
        {"do_resize": False, "crop_size": {"height": 45, "width": 90}},
        {"size": {"shortest_edge": 24}, "do_center_crop": False},
        {"size": 28, "crop_size": 28, "do_normalize": False},
        {"size": 28, "crop_size": 28, "do_rescale": False, "image_mean": [120.0, 110.0, 100.0], "image_std": 60.0},
        {"size": 28, "crop_size": 28, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "rescale_factor": 0.01},
    ]  # fmt: skip
    files = ["photo_640x480.jpg", "progressive_251x333.jpg", "exif_rotated_120x80.jpg", "noise_37x101.png",
             "one_1x1.png", "line_1x500.png", "line_500x1.png", "square_60x60.png", "rgba_70x50.png",
             "palette_70x50.png", "grey_70x50.png", "grey16_40x30.png", "lossy_130x90.webp"]  # fmt: skip
    cases = []
    for number, config in enumerate(configs):
        for file in files:
            if config.get("do_center_crop") is False and file.startswith("line"):
                continue  # 24 x 12000 pixels: nothing new in them
            picture = Image.open(FOLDER / file).convert("RGB")
            for ratio in ["crop", "pad"]:
                if ratio == "pad" and number not in (0, 1, 4, 8):
                    continue
                # transformers' own LLaVA processor pads as LLaVA's code does.
                processor = LlavaImageProcessorPil if ratio == "pad" else CLIPImageProcessorPil
                options = dict(config, do_pad=True) if ratio == "pad" else config
                levels = processor(**dict(options, do_rescale=False, do_normalize=False))(picture)["pixel_values"][0]
                pixels = processor(**options)(picture)["pixel_values"][0].astype(np.float32)
                middle = pixels[:, pixels.shape[1] // 2, pixels.shape[2] // 2]
                cases.append(
                    {
                        "file": file,
                        "ratio": ratio,
                        "config": config,
                        "shape": list(pixels.shape),
                        "levels_crc": crc(levels.transpose(1, 2, 0).astype(np.uint8)),
                        "pixels_crc": crc(pixels),
                        "middle": [float(v) for v in middle],
                    }
                )
    return cases


QWEN2_VL_SIZE = copy.deepcopy(Qwen2VLImageProcessorPil.size)
QWEN2_VL, IDEFICS3, SMOLVLM = "Qwen2VLImageProcessor", "Idefics3ImageProcessor", "SmolVLMImageProcessor"
NEXT, ONEVISION = "LlavaNextImageProcessor", "LlavaOnevisionImageProcessor"
HALVES = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
UNSCALED = {"do_rescale": False, "image_mean": [120.0, 110.0, 100.0], "image_std": 60.0}
SMALL_PINPOINTS = [[24, 48], [48, 24], [48, 48], [72, 24], [24, 72]]
# Wide, tall, square, tiny and one pixel. Sides of 42, 70 and 98 pixels are ties that round() has to break.
FILES = ["photo_640x480.jpg", "progressive_251x333.jpg", "noise_37x101.png", "one_1x1.png", "line_1x500.png",
         "line_500x1.png", "square_60x60.png", "lossy_130x90.webp"]  # fmt: skip
PATTERNS = [(3, 5), (5, 3), (42, 70), (70, 98), (300, 40), (40, 300), (2, 399), (97, 512), (512, 512)]
MOST = FILES + PATTERNS
ALL = MOST + [(4000, 3000), (1200, 4000)]

# Heights and widths of which the order of multiplying and dividing decides the size, for one of the configurations.
ROUNDED = [(450, 4000), (520, 2600), (98, 125), (490, 25), (343, 175), (441, 100), (686, 70), (9, 1), (18, 8), (147, 6),
           (637, 39), (588, 6)]  # fmt: skip

# Type, configuration, images: noise of a height and width, or a file. The first of a type are those of published
# checkpoints: Qwen2-VL and Qwen3-VL, SmolVLM-256M and -2.2B, LLaVA-NeXT, LLaVA-OneVision.
PROCESSORS = [
    (QWEN2_VL, {"min_pixels": 3136, "max_pixels": 12845056}, ALL),
    (QWEN2_VL, {"size": {"longest_edge": 16777216, "shortest_edge": 65536}, "patch_size": 16, **HALVES}, MOST),
    (QWEN2_VL, {}, ALL),
    (QWEN2_VL, {"size": {"longest_edge": 9000, "shortest_edge": 800}}, MOST),
    (QWEN2_VL, {"size": {"longest_edge": 9000, "shortest_edge": 800}, "min_pixels": 30000, "max_pixels": 40000}, MOST),
    (QWEN2_VL, {"size": {"longest_edge": 9000, "shortest_edge": 800}, "max_pixels": 500, "merge_size": 1}, MOST),
    (QWEN2_VL, {"patch_size": 7, "merge_size": 3, "resample": 2, "temporal_patch_size": 1, **UNSCALED}, MOST),
    (QWEN2_VL, {"do_resize": False, "patch_size": 5, "merge_size": 2, "do_normalize": False}, MOST),
    (IDEFICS3, {"max_image_size": {"longest_edge": 512}, "size": {"longest_edge": 2048}, "resample": 1, **HALVES}, ALL),
    (SMOLVLM, {"max_image_size": {"longest_edge": 384}, "size": {"longest_edge": 1536}}, FILES),
    (IDEFICS3, {}, FILES),
    (SMOLVLM, {"max_image_size": {"longest_edge": 24}, "size": {"longest_edge": 96}, **UNSCALED}, MOST),
    (SMOLVLM, {"max_image_size": {"longest_edge": 25}, "size": {"longest_edge": 99}, "resample": 3}, MOST),
    (SMOLVLM, {"max_image_size": {"longest_edge": 100}, "size": {"longest_edge": 100}, "do_pad": False}, MOST),
    (SMOLVLM, {"max_image_size": {"longest_edge": 64}, "do_resize": False}, MOST),
    (IDEFICS3, {"max_image_size": {"longest_edge": 50}, "size": {"height": 120, "width": 60}}, MOST),
    (SMOLVLM, {"max_image_size": {"longest_edge": 64}, "size": {"longest_edge": 128}, "do_image_splitting": False}, ALL),
    (SMOLVLM, {"max_image_size": {"longest_edge": 64}, "do_resize": False, "do_image_splitting": False}, MOST),
    (NEXT, {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}, ALL),
    (NEXT, {"size": {"shortest_edge": 24}, "crop_size": 24, "image_grid_pinpoints": SMALL_PINPOINTS}, ALL),
    (NEXT, {"size": 30, "crop_size": {"height": 24, "width": 20}, "image_grid_pinpoints": SMALL_PINPOINTS}, MOST),
    (NEXT, {"size": {"height": 20, "width": 31}, "crop_size": 24, "image_grid_pinpoints": SMALL_PINPOINTS,
            "do_center_crop": False, "resample": 1, **UNSCALED}, MOST),
    (NEXT, {"size": 32, "crop_size": 24, "image_grid_pinpoints": SMALL_PINPOINTS, "do_resize": False,
            "do_pad": False}, MOST),
    (ONEVISION, {**HALVES}, ALL),
    (ONEVISION, {"size": {"height": 20, "width": 28}, "image_grid_pinpoints": [[60, 40], [20, 20], [20, 100]],
                 "resample": 2, "do_normalize": False}, MOST),
    (ONEVISION, {"size": 24, "crop_size": [12, 30], "do_center_crop": True,
                 "image_grid_pinpoints": [[24, 60], [60, 24], [48, 48], [12, 12]]}, MOST),
]  # fmt: skip


def make_processor(kind, config):
    # The constructor writes limits into the size of its class.
    Qwen2VLImageProcessorPil.size = copy.deepcopy(QWEN2_VL_SIZE)
    return globals()[kind + "Pil"](**copy.deepcopy(config))


def unpatchified(result, config):
    """The [1, 3, height, width] that Qwen2-VL's rows of patches were cut from."""
    patch, merge = config.get("patch_size", 14), config.get("merge_size", 2)
    frames = config.get("temporal_patch_size", 2)
    _, rows, columns = result["image_grid_thw"][0]
    cells = result["pixel_values"].reshape(rows // merge, columns // merge, merge, merge, 3, frames, patch, patch)
    assert all((cells[:, :, :, :, :, frame] == cells[:, :, :, :, :, 0]).all() for frame in range(frames))
    return cells[:, :, :, :, :, 0].transpose(4, 0, 2, 5, 1, 3, 6).reshape(1, 3, rows * patch, columns * patch)


def views_of(processor, kind, config, picture):
    """The pixels [views, 3, height, width] and the grid of tiles."""
    if kind == QWEN2_VL:
        return unpatchified(processor(picture), config), (0, 0)
    if kind in (IDEFICS3, SMOLVLM):
        result = processor(picture, return_row_col_info=True)
        return np.stack(list(result["pixel_values"][0])), (result["rows"][0][0], result["cols"][0][0])
    best = transformers.image_processing_utils.select_best_resolution(
        (picture.height, picture.width), processor.image_grid_pinpoints
    )
    side = (processor.crop_size or processor.size).height or processor.size.shortest_edge
    return processor(picture)["pixel_values"][0], (best[0] // side, best[1] // side)


def levels_of(processor, kind, config, picture):
    """The whole 8-bit image [height, width, 3] that is normalized or cut."""
    array = np.asarray(picture).transpose(2, 0, 1)
    if kind == QWEN2_VL:
        plain = make_processor(kind, dict(config, do_rescale=False, do_normalize=False))
        array = views_of(plain, kind, config, picture)[0][0]
    elif kind in (IDEFICS3, SMOLVLM):
        resample, side = processor.resample, processor.max_image_size["longest_edge"]
        if processor.do_resize:
            array = processor.resize(array, processor.size, resample)
        if processor.do_image_splitting:
            array = processor.resize_for_vision_encoder(array, side, resample)
        else:
            array = processor.resize(array, transformers.image_utils.SizeDict(height=side, width=side), resample)
    else:
        best = transformers.image_processing_utils.select_best_resolution(
            array.shape[-2:], processor.image_grid_pinpoints
        )
        array = processor._resize_for_patching(array, best, processor.resample)
        array = processor._pad_for_patching(array, best)
    return array.transpose(1, 2, 0).astype(np.uint8)


def families():
    cases = []
    for number, (kind, config, sources) in enumerate(PROCESSORS):
        processor = make_processor(kind, config)
        for source in sources:
            if isinstance(source, str):
                picture = Image.open(FOLDER / source).convert("RGB")
                case = {"processor": number, "file": source}
            else:
                picture = Image.fromarray(pattern(*source))
                case = {"processor": number, "pattern": source}
            try:
                pixels, grid = views_of(processor, kind, config, picture)
            except ValueError as problem:
                assert kind == QWEN2_VL and ("aspect ratio" in str(problem) or "reshape" in str(problem)), problem
                cases.append(case | {"refused": "aspect ratio" if "aspect" in str(problem) else "multiple"})
                continue
            pixels = pixels.astype(np.float32)
            levels = levels_of(processor, kind, config, picture)
            cases.append(
                case
                | {
                    "shape": list(pixels.shape),
                    "grid": [int(length) for length in grid],
                    "levels_shape": list(levels.shape),
                    "levels_crc": crc(levels),
                    "pixels_crc": crc(pixels),
                    "first": [float(value) for value in pixels[0, :, 0, 0]],
                }
            )
    return cases


def geometries():
    """Heights and widths with the views and the grid they give, of many images of which no pixel is computed."""
    resize = PilBackend.resize

    def resize_without_pixels(self, image, size, resample=None, **kwargs):
        if size.shortest_edge:
            return resize(self, image, size, resample, **kwargs)  # of small views only
        return np.broadcast_to(np.uint8(0), (3, size.height, size.width))

    cases = []
    chance = random.Random(20)
    PilBackend.resize = resize_without_pixels
    for number, (kind, config, _) in enumerate(PROCESSORS):
        if not config.get("do_resize", True):
            continue
        processor = make_processor(kind, dict(config, do_rescale=False, do_normalize=False))
        pictures = []
        sizes = [turned for size in ROUNDED for turned in (size, size[::-1])] if kind == QWEN2_VL else []
        for _ in range(40):
            height = int(2 ** chance.uniform(0, 12.5))
            width = min(max(int(height * 2 ** chance.gauss(0, 1.5)), (height + 199) // 200), 8000)
            sizes.append((max(height, (width + 199) // 200), width))
        for height, width in sizes:
            picture = np.broadcast_to(np.uint8(0), (height, width, 3))
            picture = Image.fromarray(np.ascontiguousarray(picture))
            pixels, grid = views_of(processor, kind, config, picture)
            pictures.append([height, width, *pixels.shape[2:], *(int(length) for length in grid)])
        cases.append({"processor": number, "pictures": pictures})
    PilBackend.resize = resize
    return cases


def main():
    write_pictures()
    write_turned_pictures()
    golden = {
        "made_with": {"pillow": PIL.__version__, "transformers": transformers.__version__},
        "decoded": decoded(),
        "resampled": resampled(),
        "processed": processed(),
        "processors": [{"image_processor_type": kind} | config for kind, config, _ in PROCESSORS],
        # As transformers' save_pretrained writes them.
        "written": [make_processor(kind, config).to_dict() for kind, config, _ in PROCESSORS],
        "families": families(),
        "geometries": geometries(),
    }
    lines = ["{"]
    for key, value in golden.items():
        if isinstance(value, list):
            body = ",\n".join("  " + json.dumps(item) for item in value)
            lines.append(f' "{key}": [\n{body}\n ],')
        else:
            lines.append(f' "{key}": {json.dumps(value)},')
    text = "\n".join(lines).rstrip(",") + "\n}\n"
    json.loads(text)
    (FOLDER / "golden.json").write_text(text)


if __name__ == "__main__":
    main()
