"""Sweeps in this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ._program import native
from ._runs import Run, load

if TYPE_CHECKING:
    Watch = Callable[[int, int, str], object]


def sweep(file: str | os.PathLike[str], *, output: str | os.PathLike[str] | None = None, resume: bool = False,
          limit: int | None = None, set: Mapping[str, Any] | Sequence[str] = (), device: str | None = None,
          dtype: str | None = None, options: Sequence[str] = (), progress: bool | Watch = False) -> Run:
    """Runs every model, data set, strategy and budget of a YAML file in this process, as `elastikv sweep` does, and loads the run.

    output, resume, limit, device, dtype   as the program's options of those names
    set       values that replace those of the file: {"budgets.keep": "0.1-0.9+0.2"}, or ["budgets.keep=0.2"]
    options   further words of the command line, such as ["--sample-id", "test_0007", "--threads", "4"]
    progress  True: a line, or a notebook's, that says how far it is. Or a function of (samples done, of how many, line), called
              whenever there is something to say; what it raises ends the sweep.

    Ctrl-C (in a notebook: interrupt) ends the sweep in order, with KeyboardInterrupt; `resume=True` goes on. Samples that fail are
    recorded, and `run.cells` says so in `status`; warnings go to standard error. Error, with the program's sentence, for a wrong
    file, key, value or input, before weights are loaded. Threads are set for the whole process, as torch.set_num_threads does.
    """
    words = [os.fspath(file)]
    for text in (f"{key}={value}" for key, value in set.items()) if isinstance(set, Mapping) else set:
        words += ["--set", text]
    for option, value in (("--output", output), ("--limit", limit), ("--device", device), ("--dtype", dtype)):
        if value is not None:
            words += [option, os.fspath(value) if isinstance(value, os.PathLike) else str(value)]
    words += ["--resume"] * resume + list(options)
    line = Line() if progress is True else None
    try:
        _, folder = native().sweep(words, line or (progress or None))
    finally:
        if line:
            line.end()
    return load(folder)


class Line:
    """Shows how far a sweep is: one line that is rewritten, on a terminal or in a notebook's cell."""

    WIDTH = 40

    def __init__(self) -> None:
        self.handle: Any = None
        self.in_place = sys.stderr.isatty()
        self.done = -1
        if "ipykernel" in sys.modules:
            from IPython.display import display
            self.handle = display({"text/plain": ""}, raw=True, display_id=True)

    def __call__(self, done: int, total: int, line: str) -> None:
        if self.handle is not None:
            full = self.WIDTH * done // max(total, 1)
            self.handle.update({"text/plain": f"[{'#' * full}{'.' * (self.WIDTH - full)}] {line}"}, raw=True)
        elif self.in_place:
            print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)
        elif done != self.done:
            print(line, file=sys.stderr, flush=True)
        self.done = done

    def end(self) -> None:
        if self.handle is None and self.in_place:
            print(file=sys.stderr)
