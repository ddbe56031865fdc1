"""Errors as one line, and files with the same bytes for the same records."""

import os
import re
import sys

FORMATS = ("png", "svg", "pdf")


class PlotError(Exception):
    """Something the user can mend."""


def run(main):
    """Calls main; what the user can mend ends as one line and exit code 1."""
    try:
        main()
    except PlotError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:  # whoever read the files' names has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except ModuleNotFoundError as error:
        module = (error.name or "").split(".")[0]
        if module not in ("matplotlib", "numpy", "yaml"):
            raise
        print(f"error: Python's {module} is missing; scripts/setup.sh puts a Python that has all of it into "
              "~/.cache/elastikv/tools/bin, or: python3 -m pip install matplotlib numpy PyYAML", file=sys.stderr)
        sys.exit(1)


def comma_list(option, text, known, what):
    """The entries of a comma list; PlotError for one that is not known."""
    entries = text.split(",")
    for entry in entries:
        if entry not in known:
            raise PlotError(f"--{option}: no {what} {entry!r}; known: {', '.join(known)}")
    return entries


def formats_of(text):
    formats = list(dict.fromkeys(text.split(",")))
    unknown = [entry for entry in formats if entry not in FORMATS]
    if unknown:
        raise PlotError(f"--formats: {unknown[0]!r} is not one of {', '.join(FORMATS)}")
    return formats


def file_part(text):
    """A label as a part of a file's name."""
    return re.sub(r"[^\w.+-]+", "_", text)


def settle(figure):
    """Lays a figure out once for all formats. The layout's solver goes by memory addresses, so that its last bits differ from one
    run to the next."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position([round(edge, 6) for edge in axes.get_position(original=True).bounds])


class Album:
    """The folder that pictures are saved to."""

    def __init__(self, folder, formats):
        self.folder, self.formats, self.names = folder, formats, set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PlotError(f"{folder}: cannot be made: {error.strerror}") from error

    def save(self, name, figure):
        """Saves a picture (None: there is nothing to show) in all formats, and prints the files' names."""
        if figure is None:
            return
        from matplotlib import pyplot
        name = file_part(name)
        number, free = 1, name
        while free in self.names:  # labels that differ only in what a file's name cannot hold
            number += 1
            free = f"{name}-{number}"
        self.names.add(free)
        settle(figure)
        for kind in self.formats:
            file = self.folder / f"{free}.{kind}"
            # No dates and no versions: the same records give the same bytes.
            metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None},
                        "pdf": {"CreationDate": None, "Producer": None, "Creator": None}}[kind]
            try:
                figure.savefig(file, metadata=metadata)
            except OSError as error:
                raise PlotError(f"{file}: cannot be written: {error.strerror}") from error
            print(file)
        pyplot.close(figure)
