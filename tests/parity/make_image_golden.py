#!/usr/bin/env python3
"""Makes tests/golden/image: small pictures of every kind and what Pillow and transformers make of them.

Needs Pillow 12.3 (Pillow 13 resamples in another order), transformers 5.17 without torchvision, and numpy. The
committed files are the output of

    python tests/parity/make_image_golden.py

Expected pixels are kept as CRC-32 of their bytes, so a mismatch says that, not where; run this script's functions to
look closer.
"""

import json
import pathlib
import struct
import zlib

import numpy as np
import PIL
import transformers
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "golden" / "image"
FILTERS = {"lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


def crc(array):
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def pattern(height, width):
    """Noise that resample_test.cc makes in the same way: the top byte of a 32-bit hash of the index."""
    mask = np.uint64(0xFFFFFFFF)
    hashed = np.arange(1, height * width * 3 + 1, dtype=np.uint64) * np.uint64(2654435761) & mask
    hashed ^= hashed >> np.uint64(15)
    hashed = hashed * np.uint64(2246822519) & mask
    hashed ^= hashed >> np.uint64(13)
    return (hashed >> np.uint64(24)).astype(np.uint8).reshape(height, width, 3)


def scene(height, width, seed=0):
    """A picture with smooth areas, edges and texture, in the manner of a photograph."""
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
    # A colour profile that libpng complains about, as many pictures on the web have, and a gamma that nobody applies.
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


def decoded():
    cases = []
    for file in sorted(FOLDER.glob("*.*")):
        if file.suffix == ".json":
            continue
        picture = Image.open(file).convert("RGB")
        cases.append({"file": file.name, "width": picture.width, "height": picture.height, "crc": crc(picture)})
        if "cmyk" in file.name:  # compared with a tolerance, so the pixels themselves are needed
            picture.save(FOLDER / "cmyk_expected_70x50.png")
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


def main():
    write_pictures()
    golden = {
        "made_with": {"pillow": PIL.__version__, "transformers": transformers.__version__},
        "decoded": decoded(),
        "resampled": resampled(),
        "processed": processed(),
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
