"""What the makers of golden data share: files, manifests with versions, and comparison."""

import hashlib
import importlib.metadata
import json
import platform
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).resolve().parent / "data"


def versions(*packages):
    """{package: version} of the installed packages, and Python's."""
    found = {package: importlib.metadata.version(package) for package in packages}
    return {"python": platform.python_version(), **found}


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def to_numpy(value):
    """An array as it goes into a file; tensors are taken off the graph."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.ascontiguousarray(value)


def save_tensors(path, tensors):
    """Writes a safetensors file and returns {name: {dtype, shape}} for the manifest."""
    arrays = {name: to_numpy(value) for name, value in sorted(tensors.items())}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, path)
    return {
        name: {"dtype": str(array.dtype), "shape": list(array.shape)}
        for name, array in arrays.items()
    }


def load_tensors(path):
    return load_file(path)


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def differences(expected, actual, tolerance_of):
    """Lines that say where two dictionaries of arrays differ.

    tolerance_of(name) is the largest absolute difference allowed to a tensor; 0 means equal.
    """
    lines = []
    for name in sorted(expected.keys() | actual.keys()):
        if name not in actual or name not in expected:
            lines.append(f"{name}: {'no longer made' if name in expected else 'not committed'}")
            continue
        one, other = expected[name], actual[name]
        if one.shape != other.shape or one.dtype != other.dtype:
            lines.append(f"{name}: {one.dtype} {one.shape} became {other.dtype} {other.shape}")
            continue
        tolerance = tolerance_of(name)
        if tolerance == 0:
            count = int((one != other).sum())
            if count:
                lines.append(f"{name}: {count} of {one.size} values differ")
            continue
        largest = float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max(initial=0))
        if not largest <= tolerance:  # so that NaN counts as a difference
            lines.append(f"{name}: differs by {largest:.3g}, allowed {tolerance:g}")
    return lines
