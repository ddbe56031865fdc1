"""Reads and writes safetensors files with numpy alone, bf16 included.

A safetensors file is a little-endian u64 (the header's length), a JSON header that gives every
tensor's dtype, shape and byte range, and the raw data. numpy has no bf16, so bf16 tensors are read
as float32 (exactly) and written from float32 by rounding to the nearest even.
"""

import json
import os
import struct

import numpy as np

_READABLE = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1"}


def round_to_bf16(values):
    """The upper 16 bits of float32 `values` after rounding to the nearest even, as uint16."""
    bits = np.ascontiguousarray(values, dtype="<f4").view("<u4")
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = ((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)).astype("<u2")
    # Adding the rounding term could turn a NaN into infinity: keep its upper half, made quiet.
    nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    return np.where(nan, (bits >> np.uint32(16)).astype("<u2") | np.uint16(0x40), rounded)


def widen_bf16(bits):
    """float32 values of bf16 `bits` (uint16); exact."""
    return (np.asarray(bits, dtype="<u2").astype("<u4") << np.uint32(16)).view("<f4")


def read_tensors(path):
    """Returns ({name: array}, metadata) of a safetensors file; bf16 tensors come as float32."""
    with open(path, "rb") as file:
        (header_bytes,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(header_bytes))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        raw = data[begin:end]
        if entry["dtype"] == "BF16":
            values = widen_bf16(np.frombuffer(raw, "<u2"))
        elif entry["dtype"] in _READABLE:
            values = np.frombuffer(raw, _READABLE[entry["dtype"]])
        else:
            raise ValueError(f"{path}: tensor '{name}' has dtype {entry['dtype']}")
        tensors[name] = values.reshape(entry["shape"])
    return tensors, metadata


def write_bf16_tensors(path, shapes, produce, metadata):
    """Writes the tensors named by `shapes` ({name: shape}) as bf16, in order of their names.

    `produce(name)` returns one tensor as float32 when its turn comes, so that only one is held in
    memory at a time. The bytes depend on names, values and metadata only.
    """
    header, offset = {"__metadata__": dict(sorted(metadata.items()))}, 0
    for name in sorted(shapes):
        size = 2 * int(np.prod(shapes[name], dtype=np.int64))
        header[name] = {
            "dtype": "BF16",
            "shape": list(shapes[name]),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the data begins at a multiple of 8
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for name in sorted(shapes):
            values = produce(name)
            if tuple(values.shape) != tuple(shapes[name]):
                raise ValueError(f"tensor '{name}' is {values.shape}, expected {shapes[name]}")
            file.write(round_to_bf16(values).tobytes())
        file.flush()
        os.fsync(file.fileno())
