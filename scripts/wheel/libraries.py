#!/usr/bin/env python3
"""Copies the system's libraries that the modules of WHEEL need into FOLDER, where auditwheel takes them from.

    scripts/wheel/libraries.py WHEEL FOLDER

They are stripped, and mended as those of the folder that runs elsewhere are (scripts/bundle/libraries.py), so that they run with the
libstdc++ of RHEL 9. LibTorch's and Arrow's stay outside: the environment has them.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bundle"))
import libraries as bundle  # noqa: E402  (found by the line before)

OUTSIDE = ("libarrow.", "libparquet.")


def main():
    wheel, folder = map(Path, sys.argv[1:])
    paths = bundle.library_paths()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as unpacked:
        with zipfile.ZipFile(wheel) as archive:
            waiting = [Path(archive.extract(name, unpacked)) for name in archive.namelist() if ".so" in Path(name).name]
        while waiting:
            file = waiting.pop()
            for name in bundle.needed_by(file):
                target = folder / name
                if bundle.SYSTEM.fullmatch(name) or bundle.TORCH.fullmatch(name) or name.startswith(OUTSIDE) or target.exists():
                    continue
                if name not in paths:
                    sys.exit(f"error: {file.name} needs {name}, which this machine has not")
                shutil.copy(paths[name].resolve(), target)
                subprocess.run(["strip", "--strip-unneeded", target], check=True)
                bundle.use_older_wait(target)
                waiting.append(target)
    print("with " + ", ".join(sorted(file.name for file in folder.iterdir())))


if __name__ == "__main__":
    main()
