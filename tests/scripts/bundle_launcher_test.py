"""scripts/bundle/launcher with folders that stand in for LibTorch's, and a program that says how it was started."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

LAUNCHER = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "bundle" / "launcher"
PROGRAM = """#!/bin/sh
printf '%s\\n' "$0" "$LD_LIBRARY_PATH" "$ELASTIKV_CONFIGS" "$ELASTIKV_PUBLISHED" "$ELASTIKV_SOURCE_DIR"
printf '%s\\n' "$ELASTIKV_LAUNCHER" "$@"
"""
INSTALL = "Install that of PyPI (pip install 'torch==2.11.*')"


class Launcher(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()
        self.bundle = self.root / "a folder"
        for place in ("bin", "libexec"):
            (self.bundle / place).mkdir(parents=True)
        shutil.copy(LAUNCHER, self.bundle / "bin" / "elastikv")
        program = self.bundle / "libexec" / "elastikv"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        self.built_with("cpu 2.11 13")

    def built_with(self, text):
        (self.bundle / "libexec" / "built-with").write_text(text + "\n")

    def torch(self, version="2.11.0+cu130", cuda="13.0", files=("libtorch_cpu.so", "libtorch_cuda.so", "libgomp.so.1")):
        """A folder env/lib/python/site-packages/torch, as far as the launcher looks into it."""
        torch = self.root / "env" / "lib" / "python" / "site-packages" / "torch"
        (torch / "lib").mkdir(parents=True, exist_ok=True)
        quoted = f"'{cuda}'" if cuda else "None"
        (torch / "version.py").write_text("from typing import Optional\n\n__all__ = ['__version__', 'debug', 'cuda']\n"
                                          f"__version__ = '{version}'\ndebug = False\ncuda: Optional[str] = {quoted}\n"
                                          "git_version = '70d99e998b49'\nhip: Optional[str] = None\n")
        for file in files:
            (torch / "lib" / file).touch()
        return torch

    def start(self, torch=None, *, words=(), path=None, cwd=None, program=None, **variables):
        environment = {"PATH": path or os.environ["PATH"], **variables}
        if torch is not None:
            environment["ELASTIKV_TORCH"] = str(torch)
        return subprocess.run([program or self.bundle / "bin" / "elastikv", *words], cwd=cwd, env=environment,
                              capture_output=True, text=True)

    def said(self, *arguments, **options):
        result = self.start(*arguments, **options)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout.splitlines()

    def refused(self, message, *arguments, **options):
        result = self.start(*arguments, **options)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (1, "", f"error: {message}\n"))

    def python(self, torch):
        """A PATH whose python3 has this torch, or none."""
        folder = self.root / "python"
        folder.mkdir()
        program = folder / "python3"
        program.write_text(f"#!/bin/sh\n[ -n '{torch or ''}' ] || exit 1\necho '{torch or ''}'\n")
        program.chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    def test_starts_the_program_with_its_data_and_libtorch(self):
        torch = self.torch()
        self.assertEqual(self.said(torch, words=["sweep", "a b", ""]), [
            str(self.bundle / "libexec" / "elastikv"), str(torch / "lib"), str(self.bundle / "configs"),
            str(self.bundle / "results" / "published"), str(self.bundle), str(self.bundle / "bin" / "elastikv"),
            "sweep", "a b", ""])

    def test_what_the_user_has_set_stays(self):
        torch = self.torch()
        said = self.said(torch, LD_LIBRARY_PATH="/mine", ELASTIKV_CONFIGS="/c", ELASTIKV_PUBLISHED="/p")
        self.assertEqual(said[1:4], [f"{torch / 'lib'}:/mine", "/c", "/p"])

    def test_is_found_by_a_link_and_by_a_relative_name(self):
        torch = self.torch()
        link = self.root / "elastikv-here"
        link.symlink_to(self.bundle / "bin" / "elastikv")
        for program, cwd in ((link, None), ("./elastikv", self.bundle / "bin")):
            self.assertEqual(self.said(torch, program=program, cwd=cwd)[0], str(self.bundle / "libexec" / "elastikv"))
        # By the PATH, as a shell calls it.
        said = subprocess.run(["sh", "-c", "elastikv"], capture_output=True, text=True, check=True,
                              env={"PATH": f"{self.bundle / 'bin'}:{os.environ['PATH']}", "ELASTIKV_TORCH": str(torch)})
        self.assertEqual(said.stdout.splitlines()[0], str(self.bundle / "libexec" / "elastikv"))

    def test_takes_the_torch_of_python(self):
        torch = self.torch()
        self.assertEqual(self.said(path=self.python(torch))[1], str(torch / "lib"))

    def test_asks_python_for_what_is_installed_alone(self):
        torch = self.torch()
        (torch / "__init__.py").touch()
        (self.root / "torch").mkdir()  # of the current directory
        (self.root / "torch" / "__init__.py").touch()
        said = self.said(cwd=self.root, PYTHONPATH=str(torch.parent))
        self.assertEqual(said[1], str(torch / "lib"))

    def test_nvidias_wheels_and_conda_are_beside_it(self):
        torch = self.torch()
        nvidia = torch.parent / "nvidia" / "cu13" / "lib"
        nvidia.mkdir(parents=True)
        self.assertEqual(self.said(torch)[1], f"{torch / 'lib'}:{nvidia}")
        (self.root / "env" / "lib" / "libstdc++.so.6").touch()
        self.assertEqual(self.said(torch)[1], f"{torch / 'lib'}:{nvidia}:{torch}/../../..")
        link = self.root / "torch"
        link.symlink_to(torch)
        self.assertEqual(self.said(link)[1], f"{torch / 'lib'}:{nvidia}:{torch}/../../..")

    def test_an_openmp_runtime_of_another_name_is_the_only_one(self):
        torch = self.torch(files=("libtorch_cpu.so", "libgomp-24e2ab19.so.1"))
        self.assertEqual(self.said(torch)[1], f"{torch / 'lib'}:{self.bundle / 'lib' / 'openmp'}")

    def test_no_torch(self):
        self.refused(f"no LibTorch: no torch is installed for the python3 on the PATH. {INSTALL}, or let "
                     "ELASTIKV_TORCH name the folder .../site-packages/torch", path=self.python(None))
        empty = self.root / "empty"
        empty.mkdir()
        self.refused(f"no LibTorch: the folder that ELASTIKV_TORCH names, {empty}, has no version.py with a version, "
                     "or no lib/libtorch_cpu.so. It has to be the folder .../site-packages/torch", empty)

    def test_another_version(self):
        built = "these programs were built with 2.11 and run with no other"
        for version in ("2.10.0", "2.1.1", "2.110.0", "3.11.0"):
            torch = self.torch(version)
            self.refused(f"the folder that ELASTIKV_TORCH names, {torch}, is torch {version}; {built}", torch)
        self.refused(f"the torch of the python3 on the PATH, {torch}, is torch 3.11.0; {built}",
                     path=self.python(torch))
        for version in ("2.11", "2.11.1", "2.11.0+cpu", "2.11.0+cu130"):
            self.said(self.torch(version))

    def test_cuda(self):
        self.built_with("cuda 2.11 13")
        torch = self.torch()
        named = f"the folder that ELASTIKV_TORCH names, {torch},"
        self.said(torch)
        self.torch("2.11.0+cu128", "12.8")
        self.refused(f"{named} is torch 2.11.0+cu128, for CUDA 12.8; these programs need one for CUDA 13", torch)
        (torch / "lib" / "libtorch_cuda.so").unlink()
        self.torch("2.11.0+cpu", None, files=())
        self.refused(f"{named} is torch 2.11.0+cpu, which is without CUDA. {INSTALL}, or take ElastiKV's folder for "
                     "the CPU", torch)


if __name__ == "__main__":
    unittest.main()
