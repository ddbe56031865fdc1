"""The program's own functions, of the extension module."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from . import _torch

DATA = Path(__file__).parent / "data"


def native() -> ModuleType:
    """The extension module, loaded with LibTorch when it is first asked for. Error where the environment has no LibTorch that fits."""
    module = sys.modules.get("elastikv._native")
    if module is None:
        _torch.prepare()
        # What the program looks up lies in the package; what a user has set stays.
        os.environ.setdefault("ELASTIKV_CONFIGS", str(DATA / "configs"))
        os.environ.setdefault("ELASTIKV_PUBLISHED", str(DATA / "results/published"))
        try:
            from . import _native as module
        except ImportError as error:
            raise _torch.not_loaded(error) from error
    return module


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program `elastikv` in this process, as the command of that name does.

    `arguments` are the words behind the program's name, such as ["report", "results/quickstart"]; without them, those of this
    process. Output goes to the process's standard output and error. Returns the exit code: 0 complete, 1 a wrong word or input, 2
    some cells failed, 130 interrupted. The first Ctrl-C lets a sweep end in order. Error where LibTorch cannot be loaded.
    """
    program = native()
    sys.stdout.flush()
    return program.main(["elastikv", *(sys.argv[1:] if arguments is None else arguments)])
