"""The installed wheel: the command, the module, what is loaded. scripts/wheel_test.sh runs it in an environment of its own."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from importlib import metadata
from pathlib import Path
from unittest import mock

import elastikv as ek
from elastikv import _torch
from elastikv._program import native

PARQUET = Path("vqav2.parquet")


def command(*words, **environment):
    return subprocess.run(["elastikv", *words], capture_output=True, text=True, env={**os.environ, **environment})


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


class Command(unittest.TestCase):
    def test_version_is_the_wheels(self):
        self.assertEqual(command("--version").stdout.strip(), ek.__version__)
        self.assertEqual(ek.__version__, metadata.version("elastikv"))

    def test_presets_lie_in_the_package(self):
        listed = command("list", "strategies")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertIn("elastic-plus", listed.stdout)
        self.assertIn("elastic-cache-table3", command("compare", "--list").stdout)

    def test_a_users_own_files_go_first(self):
        with tempfile.TemporaryDirectory() as folder:
            listed = command("list", "strategies", ELASTIKV_CONFIGS=folder)
            self.assertNotIn("elastic-plus", listed.stdout)

    def test_a_wrong_word_is_told_as_by_the_program(self):
        wrong = command("swep", "x.yaml")
        self.assertEqual(wrong.returncode, 1)
        self.assertRegex(wrong.stderr, r"^error: .*swep")
        self.assertEqual(subprocess.run([sys.executable, "-m", "elastikv", "swep"], capture_output=True).returncode, 1)

    def test_a_reader_that_leaves_ends_it_in_silence(self):
        ended = subprocess.run("elastikv list strategies | head -1; echo ${PIPESTATUS[0]}", shell=True, executable="/bin/bash",
                               capture_output=True, text=True)
        self.assertEqual(ended.stderr, "")


class Environment(unittest.TestCase):
    def test_the_package_is_light_until_something_is_computed(self):
        loaded = python("import sys, elastikv; print([name for name in sys.modules if name in ('torch', 'pandas', 'elastikv._native')])")
        self.assertEqual(loaded.stdout.strip(), "[]", loaded.stderr)

    def test_torch_is_never_imported(self):
        self.assertEqual(python("import sys, elastikv; code = elastikv.main(['list', 'strategies']); sys.exit(2 * ('torch' in sys.modules))")
                         .returncode, 0)

    def test_wheel_names_its_torch(self):
        self.assertIn("torch==2.11.*", metadata.requires("elastikv"))

    def test_nothing_of_the_machine_is_loaded_but_the_c_and_cpp_runtimes(self):
        native()
        files = set(re.findall(r"(/\S+\.so[.\d]*)$", Path("/proc/self/maps").read_text(), re.MULTILINE))
        own = (str(Path(sys.prefix)), str(Path(os.__file__).parent), sys.base_prefix + "/lib/libpython", sys.base_prefix + "/lib/python")
        allowed = re.compile(r"/(ld-linux-x86-64|libc|libm|libdl|libpthread|librt|libutil|libstdc\+\+|libgcc_s"
                             r"|libz|libexpat|libffi|libcrypto|libssl|liblzma|libbz2|libuuid)[-.\d]*\.so[.\d]*$")
        others = [file for file in files if not file.startswith(own) and not allowed.search(file)]
        self.assertEqual(others, [])

    def test_another_torch_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            torch = Path(folder, "torch")
            (torch / "lib").mkdir(parents=True)
            (torch / "lib/libtorch_cpu.so").touch()
            (torch / "version.py").write_text("__version__ = '2.10.1+cpu'\n")
            with mock.patch.object(_torch, "PACKAGE", Path(folder, "elastikv")):
                with self.assertRaisesRegex(ek.Error, r"is torch 2\.10\.1\+cpu; this ElastiKV was built with 2\.11"):
                    _torch.prepare()

    def test_no_torch_says_what_to_install(self):
        with mock.patch.object(_torch, "PACKAGE", Path("/nowhere/elastikv")), \
                mock.patch.object(_torch.importlib.util, "find_spec", return_value=None):
            with self.assertRaisesRegex(ek.Error, r"no torch is installed for .*; pip install 'torch==2\.11\.\*'"):
                _torch.prepare()

    def test_torch_may_lie_elsewhere(self):
        """As with a torch of the system and this package of the user."""
        code = ("from pathlib import Path; from elastikv import _torch; real = _torch.folder(); "
                "_torch.PACKAGE = Path('/nowhere/elastikv'); _torch.folder = lambda: real; import elastikv; "
                "raise SystemExit(elastikv.main(['list', 'models']))")
        ended = python(code)
        self.assertEqual(ended.returncode, 0, ended.stderr)


class Parquet(unittest.TestCase):
    def test_arrow_is_that_of_the_environment(self):
        shown = command("inspect-data", str(PARQUET))
        if any(Path(place, "pyarrow/libparquet.so.2600").exists() for place in sys.path):
            self.assertEqual(shown.returncode, 0, shown.stderr)
            self.assertNotIn("Arrow", shown.stderr)
        else:
            self.assertEqual(shown.returncode, 1)
            self.assertIn("pip install 'elastikv[parquet]'", shown.stderr)


if __name__ == "__main__":
    unittest.main()
