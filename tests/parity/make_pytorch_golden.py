"""Writes the golden files of tests/unit/weights/data that torch.save makes, and the same values as safetensors.

pytorch_2.bin, pytorch_5.bin   a state dict with every dtype, with shared, strided, empty and scalar tensors, by pickle
                               protocol 2 and 5
pytorch_plain.bin              a plain dict, without a byteorder file, as PyTorch 1.6 wrote it
pytorch_nested.bin             {"state_dict": a state dict}
pytorch_legacy.bin             the form from before PyTorch 1.6
pytorch.safetensors            the values of pytorch_2.bin and pytorch_5.bin, contiguous

Run: python tests/parity/make_pytorch_golden.py   (safetensors 0.8.0, torch 2.11.0)
"""

import collections
import zipfile

import torch
from safetensors.torch import save_file

from make_safetensors_golden import DATA, TYPES


def state_dict():
    tensors = collections.OrderedDict()
    for name, dtype in TYPES.items():
        step = 0.5 if dtype.is_floating_point or dtype.is_complex else 1
        tensors[name] = (torch.arange(6, dtype=torch.float64) * step).reshape(2, 3).to(dtype)
    tensors["BOOL"] = torch.tensor([True, False, True])
    tensors["scalar"] = torch.tensor(-7.25)
    tensors["empty"] = torch.empty(0, 4)
    tensors["parameter"] = torch.nn.Parameter(torch.arange(4).to(torch.bfloat16))
    # Views of one storage.
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tensors["shared.whole"] = base
    tensors["shared.rows"] = base[1:3]
    tensors["shared.columns"] = base[:, 2:5]
    tensors["shared.transposed"] = base.t()
    tensors["shared.steps"] = base[::2, 1::3]
    tensors["shared.nothing"] = base[:, 6:]
    tensors["shared.element"] = base[3, 5]
    tensors["half.transposed"] = torch.arange(6).reshape(2, 3).to(torch.float16).t()
    tensors["channels_last"] = torch.arange(24.0).reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    tensors["position_ids"] = torch.arange(5).expand((1, -1))
    tensors["odd_stride"] = torch.arange(4.0).as_strided((1, 4), (1000, 1))
    tensors["bool.columns"] = torch.tensor([[True, False], [False, True]])[:, 1]
    tensors._metadata = collections.OrderedDict([("", {"version": 1}), ("layer", {"version": 2})])
    return tensors


def without_byteorder(file):
    # Stored members, one after the other, unaligned.
    with zipfile.ZipFile(file) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(file, "w") as new:
        for name, data in members.items():
            if name.endswith(("/data.pkl", "/version")) or "/data/" in name:
                new.writestr(zipfile.ZipInfo(name), data)


def main():
    tensors = state_dict()
    torch.save(tensors, DATA / "pytorch_2.bin")
    torch.save(tensors, DATA / "pytorch_5.bin", pickle_protocol=5)
    save_file({name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()},
              DATA / "pytorch.safetensors")
    small = {"a": torch.arange(3.0), "b": torch.tensor(5)}
    torch.save(small, DATA / "pytorch_plain.bin")
    without_byteorder(DATA / "pytorch_plain.bin")
    torch.save({"state_dict": collections.OrderedDict(small)}, DATA / "pytorch_nested.bin")
    torch.save(small, DATA / "pytorch_legacy.bin", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
