#!/usr/bin/env python3
"""Makes tests/golden/pictures: a small file of every variant of the image formats, and what Pillow makes of each.

Needs Pillow 12.3. The committed files are the output of

    python tests/parity/make_picture_golden.py

but for arithmetic_*.jpg, which Debian's `jpegtran -arithmetic` made of baseline_420.jpg and progressive_420.jpg (Pillow
cannot write them); they are read, not made. Pillow's pixels are kept as the CRC-32 of their bytes. compare_parity_golden.py
makes all of it anew.
"""

import io
import json
import pathlib
import shutil
import struct
import tempfile
import warnings
import zlib

import PIL
from PIL import Image
from picture_files import (
    CHANNELS,
    JFIF,
    adobe,
    bmp,
    bmp_rows,
    chunk,
    jpeg,
    noise,
    png,
    segment,
)

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "golden" / "pictures"
WIDTH, HEIGHT = 13, 9
ARITHMETIC = ("arithmetic_420.jpg", "arithmetic_progressive.jpg")


def samples(bits, channels, seed=1):
    """Noise of WIDTH x HEIGHT pixels."""
    values = noise(WIDTH * HEIGHT * channels * 2, seed)
    wide = [high << 8 | low for high, low in zip(values[::2], values[1::2], strict=True)]
    return [value >> (16 - bits) for value in wide]


def picture(mode="RGB", width=WIDTH, height=HEIGHT, seed=2):
    """Noise with smooth areas, so that a codec has both."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    values = noise(width * height * channels, seed)
    for y in range(height):
        for x in range(width * channels):
            if (x // 12 + y // 4) % 2:
                values[y * width * channels + x] = (7 * x + 11 * y) % 256
    return Image.frombytes(mode, (width, height), bytes(values))


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_files():
    palette = bytes(noise(768, 3))
    kinds = [(0, bits) for bits in (1, 2, 4, 8, 16)] + [(3, bits) for bits in (1, 2, 4, 8)]
    kinds += [(colour, bits) for colour in (2, 4, 6) for bits in (8, 16)]
    names = {0: "grey", 2: "rgb", 3: "palette", 4: "grey_alpha", 6: "rgba"}
    for colour, bits in kinds:
        values = samples(bits, CHANNELS[colour])
        entries = chunk(b"PLTE", palette[: 3 << bits]) if colour == 3 else b""
        for interlaced in (False, True):
            name = f"{names[colour]}{bits}{'_interlaced' if interlaced else ''}"
            yield f"{name}.png", png(WIDTH, HEIGHT, bits, colour, values, entries, interlaced=interlaced)
        if colour == 3:
            clear = chunk(b"tRNS", bytes(noise(1 << bits, 4)))
            yield f"{names[colour]}{bits}_trns.png", png(WIDTH, HEIGHT, bits, colour, values, entries + clear)
        elif colour in (0, 2):
            clear = chunk(b"tRNS", struct.pack(f">{CHANNELS[colour]}H", *values[: CHANNELS[colour]]))
            yield f"{names[colour]}{bits}_trns.png", png(WIDTH, HEIGHT, bits, colour, values, clear)
    rgb = samples(8, 3)
    few = chunk(b"PLTE", palette[: 3 * 5])
    yield "palette8_outside.png", png(WIDTH, HEIGHT, 8, 3, samples(8, 1), few)
    yield "palette4_outside.png", png(WIDTH, HEIGHT, 4, 3, samples(4, 1), few)
    yield "palette8_few.png", png(WIDTH, HEIGHT, 8, 3, [value % 5 for value in samples(8, 1)], few)
    yield "rgb8_suggested_palette.png", png(WIDTH, HEIGHT, 8, 2, rgb, few)
    for colour in (0, 2, 3, 6):
        values = samples(8, CHANNELS[colour])
        white = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
        notes = chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"cHRM", white)
        notes += chunk(b"sBIT", bytes([5] * (3 if colour == 3 else CHANNELS[colour])))
        if colour == 3:
            notes += chunk(b"PLTE", palette)
        ground = {0: b"\0\x40", 3: b"\7"}.get(colour, b"\0\x40\0\x80\0\xc0")
        notes += chunk(b"bKGD", ground) + chunk(b"pHYs", struct.pack(">IIB", 300, 100, 0))
        yield f"{names[colour]}8_gamma.png", png(WIDTH, HEIGHT, 8, colour, values, notes)
    yield "rgb8_srgb.png", png(WIDTH, HEIGHT, 8, 2, rgb, chunk(b"sRGB", b"\0"))
    yield "rgb8_gamma_zero.png", png(WIDTH, HEIGHT, 8, 2, rgb, chunk(b"gAMA", bytes(4)))
    # A profile of the right form whose colours are not sRGB's: nobody applies it.
    profile = struct.pack(">I4s4s4s4s4s", 132, bytes(4), b"\4\0\0\0", b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp"
    profile = (profile + bytes(28) + struct.pack(">III", 63190, 65536, 54061)).ljust(128, b"\0") + bytes(4)
    with_profile = chunk(b"iCCP", b"made up\0\0" + zlib.compress(profile))
    yield "rgb8_profile.png", png(WIDTH, HEIGHT, 8, 2, rgb, with_profile)
    yield "rgb8_cicp.png", png(WIDTH, HEIGHT, 8, 2, rgb, chunk(b"cICP", b"\x09\x10\0\1"))
    yield "rgb8_pieces.png", png(WIDTH, HEIGHT, 8, 2, rgb, pieces=7)
    yield "rgb8_texts.png", png(WIDTH, HEIGHT, 8, 2, rgb, chunk(b"tEXt", b"Title\0x"), chunk(b"tIME", b"\7\xe8\1\1\0\0\0"))
    yield "filters.png", saved(picture(width=40, height=30), "PNG")
    frames = [picture(seed=5), picture(seed=6)]
    yield "animated.png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    yield "animated_default.png", saved(frames[0], "PNG", save_all=True, append_images=frames, default_image=True)
    yield "one_pixel.png", png(1, 1, 1, 0, [1], interlaced=True)
    yield "cut_off.png", png(WIDTH, HEIGHT, 8, 2, rgb)[:-30]
    bad = bytearray(png(WIDTH, HEIGHT, 8, 2, rgb, chunk(b"tEXt", b"Title\0x")))
    bad[bad.index(b"Title")] ^= 1
    yield "rgb8_wrong_checksum_of_text.png", bytes(bad)
    yield "one_row_short.png", png(WIDTH, HEIGHT - 1, 8, 2, rgb[: WIDTH * 8 * 3]).replace(
        chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT - 1, 8, 2, 0, 0, 0)),
        chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)),
    )
    phone = chunk(b"CgBI", b"\x50\0\x20\2")
    whole = png(WIDTH, HEIGHT, 8, 2, rgb)
    yield "apple.png", whole[:8] + phone + whole[8:]


def jpeg_files():
    wide, high = 37, 21
    luma = lambda across, down: [(1, across, down), (2, 1, 1), (3, 1, 1)]
    samplings = {"444": (1, 1), "422": (2, 1), "420": (2, 2), "440": (1, 2), "411": (4, 1), "441": (1, 4), "410": (4, 2),
                 "412": (2, 4), "311": (3, 1), "321": (3, 2), "331": (3, 3)}  # fmt: skip
    for name, factors in samplings.items():
        yield f"baseline_{name}.jpg", jpeg(wide, high, luma(*factors))
    for width, height in [(1, 1), (2, 2), (3, 1), (8, 8), (16, 17), (17, 16)]:
        yield f"baseline_420_{width}x{height}.jpg", jpeg(width, height, luma(2, 2), seed=width)
        yield f"baseline_422_{width}x{height}.jpg", jpeg(width, height, luma(2, 1), seed=width)
    yield "chroma_differs.jpg", jpeg(wide, high, [(1, 2, 2), (2, 2, 1), (3, 1, 2)])
    yield "chroma_is_finer.jpg", jpeg(wide, high, [(1, 1, 1), (2, 2, 2), (3, 2, 1)])
    yield "factors_two_444.jpg", jpeg(wide, high, [(1, 2, 2), (2, 2, 2), (3, 2, 2)], apart=True)
    yield "scans_apart_420.jpg", jpeg(wide, high, luma(2, 2), apart=True)
    yield "restart_420.jpg", jpeg(wide, high, luma(2, 2), interval=2)
    yield "restart_444.jpg", jpeg(wide, high, luma(1, 1), interval=1)
    yield "extended_wide_table.jpg", jpeg(wide, high, luma(2, 1), frame=0xC1, wide_table=True)
    yield "grey.jpg", jpeg(wide, high, [(1, 1, 1)])
    yield "grey_factors_22.jpg", jpeg(wide, high, [(1, 2, 2)])
    yield "grey_restart.jpg", jpeg(wide, high, [(7, 1, 1)], interval=3)
    # What three components are: the markers say it, else the ids (libjpeg's rule).
    plain = luma(1, 1)
    letters = [(ord(letter), 1, 1) for letter in "RGB"]
    yield "rgb_adobe0.jpg", jpeg(wide, high, plain, adobe(0))
    yield "rgb_letters.jpg", jpeg(wide, high, letters, b"")
    yield "rgb_letters_jfif.jpg", jpeg(wide, high, letters, JFIF)
    yield "ycc_adobe1.jpg", jpeg(wide, high, plain, adobe(1))
    yield "ycc_adobe2.jpg", jpeg(wide, high, plain, adobe(2))
    yield "ycc_jfif_adobe0.jpg", jpeg(wide, high, plain, JFIF + adobe(0))
    yield "ycc_ids_012.jpg", jpeg(wide, high, [(0, 1, 1), (1, 1, 1), (2, 1, 1)], b"")
    yield "ycc_ids_123.jpg", jpeg(wide, high, plain, b"")
    yield "ycc_ids_789.jpg", jpeg(wide, high, [(7, 1, 1), (8, 1, 1), (9, 1, 1)], b"")
    four = [(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 1, 1)]
    halved = [(1, 2, 2), (2, 1, 1), (3, 1, 1), (4, 2, 2)]
    yield "cmyk_plain.jpg", jpeg(wide, high, four, b"")
    yield "cmyk_jfif.jpg", jpeg(wide, high, four, JFIF)
    yield "cmyk_adobe0.jpg", jpeg(wide, high, four, adobe(0))
    yield "cmyk_adobe1.jpg", jpeg(wide, high, four, adobe(1))
    yield "ycck_adobe2.jpg", jpeg(wide, high, four, adobe(2))
    yield "ycck_adobe2_420.jpg", jpeg(wide, high, halved, adobe(2))
    yield "cmyk_adobe0_420.jpg", jpeg(wide, high, halved, adobe(0))
    yield "cmyk_restart_apart.jpg", jpeg(wide, high, halved, adobe(0), interval=2, apart=True)
    cmyk = picture("CMYK", wide, high)
    yield "cmyk_pillow.jpg", saved(cmyk, "JPEG", quality=90)
    yield "cmyk_progressive.jpg", saved(cmyk, "JPEG", quality=90, progressive=True)
    yield "ycck_progressive.jpg", saved(cmyk, "JPEG", quality=90, progressive=True).replace(adobe(0), adobe(2))
    yield "cmyk_cut_off.jpg", jpeg(wide, high, four, adobe(0))[:-200]
    yield "cmyk_missing_data.jpg", jpeg(wide, high, four, adobe(0))[:-200] + b"\xff\xd9"
    rgb = picture("RGB", wide, high)
    for name, subsampling in [("444", 0), ("422", 1), ("420", 2)]:
        yield f"progressive_{name}.jpg", saved(rgb, "JPEG", quality=85, progressive=True, subsampling=subsampling)
    yield "progressive_grey.jpg", saved(picture("L", wide, high), "JPEG", progressive=True)
    yield "optimized_restart.jpg", saved(rgb, "JPEG", optimize=True, restart_marker_blocks=1)
    yield "rgb_pillow.jpg", saved(rgb, "JPEG", keep_rgb=True)
    yield "quality_100.jpg", saved(rgb, "JPEG", quality=100, subsampling=0)
    yield "quality_3.jpg", saved(rgb, "JPEG", quality=3)
    yield "profile.jpg", saved(rgb, "JPEG", icc_profile=b"no profile" * 30)
    yield "comment.jpg", saved(rgb, "JPEG", comment=b"a comment")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"exif_{orientation}.jpg", saved(rgb, "JPEG", exif=exif)
    yield "several_pictures.jpg", saved(rgb, "MPO", save_all=True, append_images=[picture("RGB", wide, high, 8)])
    # Of a progressive file, only the scans up to some: decoders smooth what is not there yet.
    whole = saved(picture("RGB", 64, 48), "JPEG", quality=70, progressive=True)
    scans = [at for at in range(len(whole)) if whole[at : at + 2] == b"\xff\xda"]
    for count in (1, 3, 6):
        end = whole.rindex(b"\xff\xc4", 0, scans[count])
        yield f"progressive_{count}_scans.jpg", whole[:end] + b"\xff\xd9"
    yield "no_end.jpg", jpeg(wide, high, luma(2, 2), end=b"")
    yield "cut_off.jpg", jpeg(wide, high, luma(2, 2))[:-150]
    yield "missing_data.jpg", jpeg(wide, high, luma(2, 2))[:-150] + b"\xff\xd9"
    yield "fill_bytes.jpg", jpeg(wide, high, plain, JFIF + b"\xff\xff\xff")
    yield "no_markers_420.jpg", jpeg(wide, high, luma(2, 2), b"")
    yield "two_components.jpg", jpeg(wide, high, plain[:2])
    yield "twelve_bits.jpg", jpeg(wide, high, plain, frame=0xC1, precision=12)
    yield "lossless.jpg", jpeg(wide, high, plain, frame=0xC3)
    yield "hierarchical.jpg", jpeg(wide, high, plain, frame=0xC5)
    yield "height_later.jpg", jpeg(wide, high, plain, stated_height=0, end=segment(0xDC, b"\0\x15") + b"\xff\xd9")


def webp_files():
    rgb, rgba = picture("RGB", 37, 21), picture("RGBA", 37, 21)
    for quality in (0, 50, 100):
        yield f"lossy_{quality}.webp", saved(rgb, "WEBP", quality=quality)
    yield "lossy_best.webp", saved(rgb, "WEBP", quality=60, method=6)
    yield "lossy_sharp.webp", saved(rgb, "WEBP", quality=60, use_sharp_yuv=True)
    yield "lossless.webp", saved(rgb, "WEBP", lossless=True)
    yield "near_lossless.webp", saved(rgb, "WEBP", lossless=True, near_lossless=40)
    yield "lossless_best.webp", saved(rgb.quantize(7).convert("RGB"), "WEBP", lossless=True, quality=100, method=6)
    for exact in (False, True):
        name = "exact" if exact else "free"
        yield f"alpha_lossy_{name}.webp", saved(rgba, "WEBP", quality=70, exact=exact)
        yield f"alpha_lossless_{name}.webp", saved(rgba, "WEBP", lossless=True, exact=exact)
    yield "alpha_coarse.webp", saved(rgba, "WEBP", quality=70, alpha_quality=10)
    yield "opaque_alpha.webp", saved(picture().convert("RGBA"), "WEBP", lossless=True)
    yield "profile.webp", saved(rgb, "WEBP", quality=70, icc_profile=b"no profile")
    yield "one_pixel.webp", saved(picture(width=1, height=1), "WEBP", quality=70)
    yield "animated.webp", saved(rgb, "WEBP", save_all=True, append_images=[picture("RGB", 37, 21, 9)], duration=100)
    yield "cut_off.webp", saved(rgb, "WEBP", quality=70)[:-40]


def bmp_files():
    count = WIDTH * HEIGHT
    palettes = {bits: bytes(noise(4 << bits, 11)) for bits in (1, 4, 8)}
    grey = b"".join(bytes([value, value, value, 0]) for value in range(256))
    for bits in (1, 4, 8):
        indices = samples(bits, 1, 12)
        rows = bmp_rows(WIDTH, HEIGHT, bits, indices)
        for header in (40, 52, 56, 64, 108, 124):
            yield f"palette{bits}_header{header}.bmp", bmp(WIDTH, HEIGHT, bits, rows, header, palette=palettes[bits])
        three = b"".join(palettes[bits][at : at + 3] for at in range(0, 4 << bits, 4))
        yield f"palette{bits}_header12.bmp", bmp(WIDTH, HEIGHT, bits, rows, 12, palette=three)
        yield f"palette{bits}_top_down.bmp", bmp(WIDTH, HEIGHT, bits, rows, palette=palettes[bits], top_down=True)
        yield f"palette{bits}_gap.bmp", bmp(WIDTH, HEIGHT, bits, rows, palette=palettes[bits], gap=10)
        yield f"palette{bits}_no_offset.bmp", bmp(WIDTH, HEIGHT, bits, rows, palette=palettes[bits], offset=0)
        yield f"palette{bits}_offset_of_palette.bmp", bmp(WIDTH, HEIGHT, bits, rows, palette=palettes[bits], offset=54)
    for bits, colours in [(4, 3), (8, 5), (8, 100)]:
        few = palettes[bits][: 4 * colours]
        indices = [value % colours for value in samples(bits, 1, 13)]
        rows = bmp_rows(WIDTH, HEIGHT, bits, indices)
        yield f"palette{bits}_of_{colours}.bmp", bmp(WIDTH, HEIGHT, bits, rows, palette=few, colours=colours)
        rows = bmp_rows(WIDTH, HEIGHT, bits, samples(bits, 1, 13))
        yield f"palette{bits}_of_{colours}_outside.bmp", bmp(WIDTH, HEIGHT, bits, rows, palette=few, colours=colours)
    black_white, white_black = bytes(4) + b"\xff\xff\xff\0", b"\xff\xff\xff\0" + bytes(4)
    five = bmp_rows(WIDTH, HEIGHT, 8, [value % 5 for value in samples(8, 1, 13)])
    yield "palette8_of_5_unsaid.bmp", bmp(WIDTH, HEIGHT, 8, five, palette=palettes[8][:20])
    ones = bmp_rows(WIDTH, HEIGHT, 1, samples(1, 1, 14))
    yield "black_white1.bmp", bmp(WIDTH, HEIGHT, 1, ones, palette=black_white)
    yield "white_black1.bmp", bmp(WIDTH, HEIGHT, 1, ones, palette=white_black)
    yield "grey1_almost_black.bmp", bmp(WIDTH, HEIGHT, 1, ones, palette=grey[:8])
    yield "black1_of_1.bmp", bmp(WIDTH, HEIGHT, 1, bmp_rows(WIDTH, HEIGHT, 1, [0] * count), palette=bytes(4), colours=1)
    bytes_ = bmp_rows(WIDTH, HEIGHT, 8, samples(8, 1, 15))
    bits_in_bytes = bmp_rows(WIDTH, HEIGHT, 8, samples(1, 1, 15))
    yield "grey8.bmp", bmp(WIDTH, HEIGHT, 8, bytes_, palette=grey)
    yield "grey8_of_100_outside.bmp", bmp(WIDTH, HEIGHT, 8, bytes_, palette=grey[:400], colours=100)
    yield "grey8_header12.bmp", bmp(WIDTH, HEIGHT, 8, bytes_, 12, palette=bytes(v for v in range(256) for _ in "rgb"))
    yield "black_white8_of_2.bmp", bmp(WIDTH, HEIGHT, 8, bits_in_bytes, palette=black_white, colours=2)
    yield "white_black8_of_2.bmp", bmp(WIDTH, HEIGHT, 8, bits_in_bytes, palette=white_black, colours=2)
    nibbles = bmp_rows(WIDTH, HEIGHT, 4, samples(4, 1, 15))
    yield "dark_grey4.bmp", bmp(WIDTH, HEIGHT, 4, nibbles, palette=grey[:64])
    yield "palette8_of_300.bmp", bmp(WIDTH, HEIGHT, 8, bytes_, palette=bytes(noise(1200, 3)), colours=300)
    yield "palette4_of_256.bmp", bmp(WIDTH, HEIGHT, 4, nibbles, palette=palettes[8], colours=256)

    pixels16, pixels24, pixels32 = samples(16, 1, 16), [], []
    for red, green, blue, alpha in zip(*[iter(noise(count * 4, 17))] * 4, strict=True):
        pixels24.append(red << 16 | green << 8 | blue)
        pixels32.append(alpha << 24 | red << 16 | green << 8 | blue)
    rows16, rows24, rows32 = (
        bmp_rows(WIDTH, HEIGHT, bits, values) for bits, values in [(16, pixels16), (24, pixels24), (32, pixels32)]
    )
    for bits, rows in [(16, rows16), (24, rows24), (32, rows32)]:
        for header in (40, 52, 56, 64, 108, 124):
            yield f"plain{bits}_header{header}.bmp", bmp(WIDTH, HEIGHT, bits, rows, header)
        yield f"plain{bits}_header12.bmp", bmp(WIDTH, HEIGHT, bits, rows, 12)
        yield f"plain{bits}_top_down.bmp", bmp(WIDTH, HEIGHT, bits, rows, top_down=True)
        yield f"plain{bits}_gap.bmp", bmp(WIDTH, HEIGHT, bits, rows, gap=14)
        yield f"plain{bits}_no_offset.bmp", bmp(WIDTH, HEIGHT, bits, rows, offset=0)
    yield "plain24_with_palette.bmp", bmp(WIDTH, HEIGHT, 24, rows24, palette=palettes[4], colours=16)
    masks = {
        16: {"565": (0xF800, 0x7E0, 0x1F), "555": (0x7C00, 0x3E0, 0x1F), "444": (0xF00, 0xF0, 0xF),
             "bgr565": (0x1F, 0x7E0, 0xF800)},
        24: {"bgr": (0xFF0000, 0xFF00, 0xFF), "rgb": (0xFF, 0xFF00, 0xFF0000)},
        32: {"bgrx": (0xFF0000, 0xFF00, 0xFF, 0), "xbgr": (0xFF000000, 0xFF0000, 0xFF00, 0),
             "bgxr": (0xFF000000, 0xFF00, 0xFF, 0), "abgr": (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
             "rgba": (0xFF, 0xFF00, 0xFF0000, 0xFF000000), "bgra": (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
             "bgar": (0xFF000000, 0xFF00, 0xFF, 0xFF0000), "none": (0, 0, 0, 0), "rgbx": (0xFF, 0xFF00, 0xFF0000, 0),
             "ten_bits": (0x3FF00000, 0xFFC00, 0x3FF, 0)},
    }  # fmt: skip
    for bits, rows in [(16, rows16), (24, rows24), (32, rows32)]:
        for name, fields in masks[bits].items():
            for header in (40, 52, 56, 108, 124):
                if header in (52, 108) and name not in ("565", "bgrx", "rgba"):
                    continue
                shown = fields[:3] if header in (40, 52) else fields
                file = bmp(WIDTH, HEIGHT, bits, rows, header, 3, shown)
                yield f"masks{bits}_{name}_header{header}.bmp", file
    yield "masks16_565_top_down.bmp", bmp(WIDTH, HEIGHT, 16, rows16, 40, 3, masks[16]["565"], top_down=True)
    yield "masks16_565_no_offset.bmp", bmp(WIDTH, HEIGHT, 16, rows16, 40, 3, masks[16]["565"], offset=0)
    yield "masks32_alpha_compression6.bmp", bmp(WIDTH, HEIGHT, 32, rows32, 40, 6, masks[32]["bgra"])
    yield "masks8.bmp", bmp(WIDTH, HEIGHT, 8, bytes_, 56, 3, masks[32]["bgrx"], palette=palettes[8])

    yield from run_length_files(palettes, grey, black_white)
    for name, compression in [("jpeg", 4), ("png", 5), ("unknown", 11)]:
        yield f"compression_{name}.bmp", bmp(WIDTH, HEIGHT, 24, rows24, compression=compression)
    for bits in (2, 64):
        yield f"plain{bits}.bmp", bmp(WIDTH, HEIGHT, bits, bytes(WIDTH * HEIGHT * 8))
    yield "header16.bmp", bmp(WIDTH, HEIGHT, 24, rows24, 16)
    yield "cut_off24.bmp", bmp(WIDTH, HEIGHT, 24, rows24)[:-50]
    yield "cut_off8.bmp", bmp(WIDTH, HEIGHT, 8, bytes_, palette=palettes[8])[:-20]
    yield "cut_off32.bmp", bmp(WIDTH, HEIGHT, 32, rows32)[:-2]
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        image = picture("RGB").quantize(20) if mode == "P" else picture("RGB").convert(mode)
        yield f"pillow_{mode}.bmp", saved(image, "BMP")


def run_length_files(palettes, grey, black_white):
    """RLE8 and RLE4: runs, literals, skipped pixels, ends of line and of the image."""
    line, end = b"\0\0", b"\0\1"

    def row8(y, close=line):
        values = samples(8, 1, 20 + y)
        return bytes([4, values[0], 0, 5, *values[1:6], 0, 3, values[6], 1, values[7]]) + close

    def row4(y, close=line):
        values = samples(8, 1, 20 + y)
        return bytes([5, values[0], 0, 4, *values[1:3], 4, values[3]]) + close

    eight = b"".join(row8(y) for y in range(HEIGHT))
    four = b"".join(row4(y) for y in range(HEIGHT))
    for bits, compression, rows, literal in [(8, 1, eight, b"\0\5abcde\0"), (4, 2, four, b"\0\5ab\xc0\0")]:
        make = lambda data, bits=bits, compression=compression, **options: bmp(
            WIDTH, HEIGHT, bits, data, compression=compression, **({"palette": palettes[bits]} | options)
        )
        name = f"rle{bits}"
        row = row8 if bits == 8 else row4
        yield f"{name}.bmp", make(rows + end)
        yield f"{name}_no_end.bmp", make(rows)
        yield f"{name}_header124.bmp", make(rows + end, header=124)
        yield f"{name}_no_offset.bmp", make(rows + end, offset=0)
        yield f"{name}_top_down.bmp", make(rows + end, top_down=True)
        yield f"{name}_no_line_ends.bmp", make(b"".join(row(y, b"") for y in range(HEIGHT)) + end)
        short = b"".join(bytes([7, 30 * y]) + line for y in range(HEIGHT))
        yield f"{name}_short_rows.bmp", make(short + end)
        yield f"{name}_skips.bmp", make(b"\3\x11\0\2\4\2\2\x33" + line + (bytes([13, 1]) + line) * 6 + end)
        yield f"{name}_skips_to_end.bmp", make(rows[: len(row(0))] + b"\0\2\3\1\2\x55" + end)
        yield f"{name}_ends_early.bmp", make(rows[: 3 * len(row(0))] + end)
        yield f"{name}_cut_off.bmp", make(rows[: 5 * len(row(0))])
        yield f"{name}_row_left_out.bmp", make(row(0) + line + b"".join(row(y) for y in range(2, HEIGHT)) + end)
        yield f"{name}_run_too_long.bmp", make(bytes([40, 0x12]) + line + b"".join(row(y) for y in range(1, HEIGHT)) + end)
        long = b"\0\x14" + bytes(noise(20 if bits == 8 else 10, 5))
        yield f"{name}_literal_too_long.bmp", make(long + line + b"".join(row(y) for y in range(1, HEIGHT)) + end)
        yield f"{name}_odd_literal.bmp", make((literal + b"\x08\x77" + line) * HEIGHT + end)
        yield f"{name}_odd_offset.bmp", make(rows + end, gap=1)
        yield f"{name}_grey.bmp", make(rows + end, palette=grey[: 4 << bits])
        two = bytes([6, 0, 7, 0x11 if bits == 4 else 1]) + line
        yield f"{name}_black_white.bmp", make(two * HEIGHT + end, palette=black_white, colours=2)
        yield f"{name}_more_rows.bmp", make(rows + row(1) + end)
    yield "rle8_of_4_bits.bmp", bmp(WIDTH, HEIGHT, 4, eight + end, compression=1, palette=palettes[4])
    yield "rle4_of_8_bits.bmp", bmp(WIDTH, HEIGHT, 8, four + end, compression=2, palette=palettes[8])
    yield "rle8_of_24_bits.bmp", bmp(WIDTH, HEIGHT, 24, eight + end, compression=1)


def other_files():
    """Formats that are not read."""
    rgb = picture()
    yield "picture.gif", saved(rgb.quantize(20), "GIF")
    yield "little_endian.tif", saved(rgb, "TIFF")
    yield "big_endian.tif", b"MM\0*" + bytes(4)
    yield "big.tif", b"II+\0\x08\0\0\0" + bytes(8)
    yield "picture.jp2", saved(rgb, "JPEG2000")
    yield "codestream.j2k", saved(rgb, "JPEG2000", no_jp2=True)
    yield "picture.avif", saved(rgb, "AVIF")
    yield "avif_named.jpg", saved(rgb, "AVIF")
    heic = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic") + bytes(16)
    yield "picture.heic", heic
    yield "heic_named.jpg", heic
    yield "heic_of_mif1.heic", struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"mif1", 0, b"mif1", b"heic") + bytes(16)
    yield "avif_of_mif1.avif", struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"mif1", 0, b"miaf", b"avif") + bytes(16)
    yield "film.mp4", struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"mp42") + bytes(16)
    yield "codestream.jxl", b"\xff\x0a" + bytes(16)
    yield "box.jxl", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(16)
    yield "rgb.ppm", saved(rgb, "PPM")
    yield "grey.pgm", saved(rgb.convert("L"), "PPM")
    yield "bits.pbm", saved(rgb.convert("1"), "PPM")
    yield "any.pam", b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nENDHDR\nabc"
    yield "icon.ico", saved(rgb, "ICO", bitmap_format="bmp")
    yield "cursor.cur", b"\0\0\2\0\1\0" + bytes(20)
    yield "picture.psd", b"8BPS\0\1" + bytes(20)
    yield "picture.qoi", b"qoif" + struct.pack(">IIBB", 1, 1, 3, 0) + bytes(12)
    yield "drawing.svg", b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'
    yield "drawing_plain.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    yield "page.pdf", b"%PDF-1.7\n" + bytes(16)
    yield "page.html", b"<!DOCTYPE html><html></html>"


def pillow_says(file):
    """Size and CRC-32 of Image.open(file).convert("RGB"), or that Pillow refuses it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(file)
            shown = image.convert("RGB")
    except Exception as problem:  # whatever kind it is, Pillow does not read the file
        return {"pillow": "refuses", "error": type(problem).__name__}
    return {"width": shown.width, "height": shown.height, "crc": zlib.crc32(shown.tobytes())}


def make(folder=FOLDER):
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: (FOLDER / name).read_bytes() for name in ARITHMETIC}
    for old in folder.iterdir():
        old.unlink()
    names = set()
    for makers in (png_files, jpeg_files, webp_files, bmp_files, other_files, kept.items):
        for name, data in makers():
            assert name not in names, name
            names.add(name)
            (folder / name).write_bytes(data)
    lines = [" " + json.dumps({"file": name} | pillow_says(folder / name)) for name in sorted(names)]
    head = json.dumps({"pillow": PIL.__version__})
    (folder / "golden.json").write_text('{"made_with": ' + head + ',\n"files": [\n' + ",\n".join(lines) + "\n]}\n")


def compare():
    """Lines that say what of the committed folder is no longer made."""
    with tempfile.TemporaryDirectory() as temporary:
        made = pathlib.Path(temporary) / "pictures"
        make(made)
        lines = []
        for name in sorted({path.name for path in made.iterdir()} | {path.name for path in FOLDER.iterdir()}):
            one, other = FOLDER / name, made / name
            if not one.exists() or not other.exists():
                lines.append(f"golden/pictures/{name}: {'no longer made' if one.exists() else 'not committed'}")
            elif one.read_bytes() != other.read_bytes():
                lines.append(f"golden/pictures/{name}: content differs")
        return lines


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        made = pathlib.Path(temporary) / "pictures"
        make(made)
        shutil.copytree(made, FOLDER, dirs_exist_ok=True)
