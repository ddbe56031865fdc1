"""LibTorch is that of the environment's torch, which is never imported: that would take seconds."""

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

from ._errors import Error

NEEDED = "2.11"
PACKAGE = Path(__file__).parent
INSTALL = f"pip install 'torch=={NEEDED}.*'"


def folder() -> Path:
    """The folder `torch` of the environment's packages. Error when there is none."""
    beside = PACKAGE.parent / "torch"
    if (beside / "lib/libtorch_cpu.so").exists():
        return beside
    found = importlib.util.find_spec("torch")
    places = found.submodule_search_locations if found else None
    if not places:
        raise Error(f"no torch is installed for {sys.executable}, whose LibTorch computes; {INSTALL}")
    return Path(places[0])


def version(torch: Path) -> str:
    """What torch/version.py says, such as "2.11.0+cpu"."""
    try:
        lines = (torch / "version.py").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Error(f"{torch} is no torch: {error.strerror} reading its version.py; {INSTALL}") from error
    return next((line.split("'")[1] for line in lines if line.startswith("__version__ = '")), "unknown")


def prepare() -> None:
    """Makes the extension module find LibTorch. Error when the environment's is missing or another version."""
    torch = folder()
    if (found := version(torch)) != NEEDED and not found.startswith(f"{NEEDED}."):
        raise Error(f"{torch} is torch {found}; this ElastiKV was built with {NEEDED} and runs with no other; {INSTALL}")
    wait_briefly()
    libraries = torch / "lib"
    if not (libraries / "libgomp.so.1").exists():
        # This torch has its OpenMP runtime under a name of its own; a second one would fight with it over the cores.
        ctypes.CDLL(str(PACKAGE / "openmp/libgomp.so.1"))
    if torch.parent != PACKAGE.parent:
        # Not beside this package, where the module looks for it: what is loaded is known by its name from here on.
        for name in ("libc10.so", "libtorch_cpu.so"):
            ctypes.CDLL(str(libraries / name))


def wait_briefly() -> None:
    """Lets OpenMP's threads sleep soon while they wait for each other (apps/elastikv/waiting.cpp says why), where the runtime has not
    begun yet and the user has not said how long they should spin."""
    if os.environ.get("GOMP_SPINCOUNT") is not None or os.environ.get("OMP_WAIT_POLICY"):
        return
    if "libgomp" not in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace"):
        os.environ["GOMP_SPINCOUNT"] = "1000"


def not_loaded(error: ImportError) -> Error:
    """The sentence for an extension module that cannot be loaded."""
    return Error(f"LibTorch of {folder()} cannot be loaded ({error}); {INSTALL}")
