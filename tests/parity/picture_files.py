"""Writes image files byte by byte, of kinds that Pillow reads but does not write.

Everything is whole numbers, so that every machine writes the same bytes.
"""

import struct
import zlib


def noise(count, seed=0):
    """Whole numbers from 0 to 255 that look random: the top byte of a 32-bit hash of the index."""
    values = []
    for index in range(count):
        value = (index + 1 + 7919 * seed) * 2654435761 & 0xFFFFFFFF
        value ^= value >> 15
        value = value * 2246822519 & 0xFFFFFFFF
        values.append((value ^ value >> 13) >> 24)
    return values


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


# Adam7 (PNG, section 8.2): first column and row of each pass, and the steps between.
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def png(width, height, bits, colour, samples, before=b"", between=b"", interlaced=False, pieces=1):
    """A PNG of `samples`, one number each, row by row; `before` are chunks behind IHDR, `between` behind IDAT."""
    channels = CHANNELS[colour]

    def row_bytes(row):
        if bits == 16:
            return struct.pack(f">{len(row)}H", *row)
        text = "".join(f"{sample:0{bits}b}" for sample in row)
        text += "0" * (-len(text) % 8)
        return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))

    pixel = lambda x, y: samples[(y * width + x) * channels : (y * width + x + 1) * channels]
    data = b""
    for left, top, over, down in PASSES if interlaced else [(0, 0, 1, 1)]:
        columns = range(left, width, over)
        for y in range(top, height, down) if len(columns) else []:
            data += b"\0" + row_bytes([sample for x in columns for sample in pixel(x, y)])
    packed = zlib.compress(data, 9)
    step = -(-len(packed) // pieces)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced))
    body = b"".join(chunk(b"IDAT", packed[at : at + step]) for at in range(0, len(packed), step))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + body + between + chunk(b"IEND", b"")


def bmp(width, height, bits, data, header=40, compression=0, masks=(), palette=b"", colours=0, top_down=False, gap=0,
        offset=None):  # fmt: skip
    """A BMP with a header of 12 to 124 bytes. Masks stand in headers of 52 bytes and more, else behind the header."""
    if header == 12:
        info = struct.pack("<IHHHH", header, width, height, 1, bits)
    else:
        rows = -height if top_down else height
        info = struct.pack("<IiiHHIIiiII", header, width, rows, 1, bits, compression, len(data), 0, 0, colours, 0)
        fields = b"".join(struct.pack("<I", mask) for mask in masks)
        info = (info + fields if header == 40 else (info + fields).ljust(header, b"\0")) + palette
    if header == 12:
        info += palette
    if offset is None:
        offset = 14 + len(info) + gap
    return struct.pack("<2sIHHI", b"BM", 14 + len(info) + gap + len(data), 0, 0, offset) + info + bytes(gap) + data


def bmp_rows(width, height, bits, values):
    """Rows of `bits` wide numbers, each padded to four bytes."""
    data = b""
    for y in range(height):
        row = values[y * width : (y + 1) * width]
        if bits < 8:
            text = "".join(f"{value:0{bits}b}" for value in row)
            text += "0" * (-len(text) % 8)
            line = bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
        else:
            line = b"".join(value.to_bytes(bits // 8, "little") for value in row)
        data += line + bytes(-len(line) % 4)
    return data


# The order in which a block's coefficients are written does not matter to an image of noise; their codes are plain:
# every DC category has 4 bits, every AC symbol 8.
DC_CODES = {size: (size, 4) for size in range(12)}
AC_SYMBOLS = [0x00, 0xF0] + [run << 4 | size for run in range(16) for size in range(1, 11)]
AC_CODES = {symbol: (code, 8) for code, symbol in enumerate(AC_SYMBOLS)}


def segment(marker, data):
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


JFIF = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")


def adobe(transform):
    return segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))


class Bits:
    """Bits as the entropy-coded data of a JPEG holds them (ITU-T T.81, F.1.2.3)."""

    def __init__(self):
        self.text = []

    def put(self, value, count):
        if count:
            self.text.append(f"{value:0{count}b}")

    def take(self):
        text = "".join(self.text)
        self.text = []
        text += "1" * (-len(text) % 8)
        data = bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
        return data.replace(b"\xff", b"\xff\0")


def put_number(bits, codes, run, value):
    """A coefficient: the code of its run and size, then its bits (T.81, F.1.2.1)."""
    size = abs(value).bit_length()
    bits.put(*codes[run << 4 | size])
    bits.put(value if value >= 0 else value + (1 << size) - 1, size)


def put_block(bits, before, random):
    """A block of noise, whose mean follows `before`; returns its DC."""
    mean = max(-50, min(50, before + (next(random) - 128) // 6))
    put_number(bits, DC_CODES, 0, mean - before)
    run = 0
    for place in range(1, 24):
        value = next(random) // 8 - 16 if place < 6 and next(random) < 150 else 0
        value = value // place
        if value == 0:
            run += 1
            continue
        if run >= 16:
            bits.put(*AC_CODES[0xF0])
            run -= 16
        put_number(bits, AC_CODES, run, value)
        run = 0
    bits.put(*AC_CODES[0x00])
    return mean


def jpeg(width, height, components, markers=JFIF, frame=0xC0, precision=8, interval=0, apart=False, wide_table=False,
         end=b"\xff\xd9", seed=0, stated_height=None):  # fmt: skip
    """A JPEG of noise with Huffman codes. `components` are (id, horizontal, vertical sampling); `apart` gives each a
    scan of its own, `interval` sets restart markers, `wide_table` quantizes by 16-bit numbers."""
    random = iter(noise(200000, seed))
    step = 9
    table = b"\x10" + struct.pack(">64H", *[step] * 64) if wide_table else b"\0" + bytes([step] * 64)
    data = b"\xff\xd8" + markers + segment(0xDB, table)
    stated = height if stated_height is None else stated_height
    fields = b"".join(bytes([name, across << 4 | down, 0]) for name, across, down in components)
    data += segment(frame, struct.pack(">BHHB", precision, stated, width, len(components)) + fields)
    data += segment(0xC4, b"\x00" + bytes([0, 0, 0, 12] + [0] * 12) + bytes(range(12)))
    data += segment(0xC4, b"\x10" + bytes([0] * 7 + [len(AC_SYMBOLS)] + [0] * 8) + bytes(AC_SYMBOLS))
    if interval:
        data += segment(0xDD, struct.pack(">H", interval))
    most_across = max(across for _, across, _ in components)
    most_down = max(down for _, _, down in components)
    for scan in [[one] for one in components] if apart else [components]:
        data += segment(0xDA, bytes([len(scan)]) + b"".join(bytes([name, 0]) for name, _, _ in scan) + b"\0\x3f\0")
        if len(scan) == 1:  # its blocks row by row, only those that hold pixels (T.81, A.2.2)
            _, across, down = scan[0]
            units_x = -(-(-(-width * across // most_across)) // 8)
            units_y = -(-(-(-height * down // most_down)) // 8)
            blocks = [1]
        else:
            units_x, units_y = -(-width // (8 * most_across)), -(-height // (8 * most_down))
            blocks = [across * down for _, across, down in scan]
        bits, means = Bits(), [0] * len(scan)
        for unit in range(units_x * units_y):
            if interval and unit and unit % interval == 0:
                data += bits.take() + bytes([0xFF, 0xD0 + (unit // interval - 1) % 8])
                means = [0] * len(scan)
            for which, count in enumerate(blocks):
                for _ in range(count):
                    means[which] = put_block(bits, means[which], random)
        data += bits.take()
    return data + end
