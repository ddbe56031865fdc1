"""scripts/bundle/prove-gpu.sh on the emulated device, and prove_gpu.py on results made by hand.

Its argument is the folder of the build's programs."""

import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCES = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = SOURCES / "scripts" / "bundle" / "prove-gpu.sh"
PAGE = SOURCES / "scripts" / "bundle" / "prove_gpu.py"
PROGRAMS = None  # of the command line


def spread(median):
    return {"median": median, "q1": median, "q3": median, "count": 1}


def bench_cell(strategy, batch, step, bound, statistics=0.1):
    return {"model": "llava-1.5-7b", "dtype": "bf16", "batch": batch, "prompt_tokens": 1024, "new_tokens": 512,
            "strategy": strategy, "budget": "1" if strategy == "full" else "0.2", "skipped": None,
            "prefill_seconds": spread(4.0), "prefill_tokens_per_second": spread(4096.0),
            "statistics_seconds": spread(statistics), "decode_step_seconds": spread(step),
            "throughput_tokens_per_second": spread(1000.0), "memory_bytes": {"before": 0, "peak": 2**34},
            "bound": {"step_seconds": bound}}


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def python(self, *arguments):
        return subprocess.run([sys.executable, PAGE, *arguments], capture_output=True, text=True)


class Script(Folder):
    def start(self, *arguments, **variables):
        return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, cwd=self.folder,
                              env={**os.environ, "OMP_NUM_THREADS": "1", **variables})

    def test_all_parts_on_the_emulated_device(self):
        output = self.folder / "a folder"
        self.write("a folder/old.json", {"part": "kernels", "state": "passed"})
        said = self.start("--device", "emulated", "--quick", "--bin", PROGRAMS, "--output", output)
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        found = json.loads((output / "prove-gpu.json").read_text())
        states = {part["part"]: part["state"] for part in found["parts"]}
        expected = ["device", "tests", "families", "sweep", "kernels", "7b-2", "7b-1", "direct-1", "13b-2", "qwen-2"]
        self.assertEqual([part for part, state in states.items() if state == "passed"],
                         sorted(expected, key=list(states).index))
        self.assertEqual(states["gaps"], "left out")
        self.assertEqual(found["tests"]["families"]["ran"], 3)
        self.assertEqual(found["tests"]["families"]["skipped"], 0)
        self.assertEqual(len(found["tests"]["families"]["furthest"]), 3)
        self.assertGreaterEqual(found["tests"]["tests"]["ran"], 4)
        self.assertIn("2 of 2 answers have the same tokens", (output / "sweep.log").read_text())
        names = {line["kernel"] for line in found["kernels"]}
        self.assertLessEqual({"decode attention", "column sums", "chunk attention", "rotate_and_append", "join",
                              "nearest keys", "rms_norm", "gated_silu", "gather and merge",
                              "begin a step (update_slots)"}, names)
        self.assertEqual(sorted(found["bench"]), ["13b-2", "7b-1", "7b-2", "direct-1", "qwen-2"])
        page = (output / "page.md").read_text()
        for heading in ("Parts", "Goals", "Tests", "Families against golden data", "Kernels", "Decoding beside the bound"):
            self.assertIn(f"\n## {heading}\n", page)

    def test_a_part_that_fails_or_takes_too_long_is_told(self):
        programs = self.folder / "bin"
        programs.mkdir()
        for name, text in (("emulated_elastikv", "echo 'error: no memory'; exit 3"), ("cuda_emulation_test", "sleep 60"),
                           ("kernel_timings", "exit 0")):
            program = programs / name
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)
        said = self.start("--device", "emulated", "--bin", "bin", "--output", "out", "--seconds", "7",
                          "--only", "7b-1,tests,kernels")
        self.assertEqual(said.returncode, 1, said.stdout + said.stderr)
        parts = {part["part"]: part for part in json.loads((self.folder / "out" / "prove-gpu.json").read_text())["parts"]}
        self.assertEqual({name: part["state"] for name, part in parts.items()},
                         {"7b-1": "failed", "tests": "out of time", "kernels": "left out"})
        self.assertEqual(parts["7b-1"]["last_lines"], ["error: no memory"])
        self.assertEqual(parts["kernels"]["what"], "the 7 s were over")
        page = (self.folder / "out" / "page.md").read_text()
        self.assertIn("| tests | **ran past its limit** |", page)
        self.assertIn("```\nerror: no memory\n```", page)

    def test_what_is_wrong_with_options(self):
        for arguments, message in (
                (["--fast"], "unknown option '--fast' (--device, --quick, --bin, --output, --seconds, --only)"),
                (["--seconds", "soon"], "--seconds needs a number of seconds, not 'soon'"),
                (["--seconds"], "--seconds needs a value"),
                (["--device", "tpu"], "unknown device 'tpu' (cuda, emulated)"),
                (["--bin", "none"], "--bin: there is no folder 'none'"),
                (["--bin", "."], f"there is no program {self.folder.resolve()}/elastikv")):
            said = self.start(*arguments)
            self.assertEqual((said.returncode, said.stdout, said.stderr), (1, "", f"error: {message}\n"))
        said = self.start("--only", "tests,all")
        self.assertIn("error: --only: there is no part 'all'; use device, tests, families,", said.stderr)


class Page(Folder):
    def made(self):
        said = self.python("page", self.folder)
        self.assertEqual((said.returncode, said.stderr), (0, ""))
        return (self.folder / "page.md").read_text()

    def test_a_run_that_was_cut_off_tells_what_it_knows(self):
        self.write("kernels.json", {"part": "kernels", "state": "cut off", "seconds": 0, "limit": 60, "what": "bin/k"})
        self.write("kernels.log", '{"device": "NVIDIA Z1", "copied_bytes_per_second": 4e12, "product": 8192, '
                                  '"product_operations_per_second": 7e14}\n'
                                  '{"kernel": "decode attention", "shape": "16 x 1536 slots", "seconds": 1.2e-4, '
                                  '"with_host": false, "of_bandwidth": 0.86}\n{"kernel": "join", "sha')
        page = self.made()
        self.assertIn("on NVIDIA Z1.", page)
        self.assertIn("| kernels | **cut off** | 0 | 60 | `bin/k` |", page)
        self.assertIn("| decode attention | 16 x 1536 slots | 120.0 µs | 86.0 % |  |", page)
        self.assertIn("| decode attention, share of the memory bandwidth | at least 85.0 % | 16 x 1536 slots | 86.0 % | yes |",
                      page)
        self.assertIn("| a step's gaps between kernels | at most 10.0 % | not measured |", page)

    def test_goals_of_the_bench(self):
        cells = [bench_cell("full", 16, 0.010, 0.009), bench_cell("elastic", 16, 0.0055, 0.0045, statistics=0.3)]
        self.write("bench-7b-16/bench.json", {"cells": cells})
        page = self.made()
        # 1.82 of 2 times; 0.3 s beside 4 s.
        self.assertIn("| llava-1.5-7b, batch 16: 1.82 of 2.00 times | 90.9 % | yes |", page)
        self.assertIn("| llava-1.5-7b, batch 16, 1024 tokens | 7.5 % | **no** |", page)
        self.assertIn("| llava-1.5-7b | full | 1 | 16 | 1024+512 | 4,096 | 10.00 ms | 9.00 ms | 1.11 | 1,000 | 16.0 |", page)

    def test_gaps(self):
        path = self.folder / "trace.csv"
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["Start (ns)", "Duration (ns)", "Name"])
            # A kernel of 60 ns, and one of 30 ns beginning before its end, every 100 ns.
            for i in range(32 * 16 + 1):
                writer.writerow([100 * i, 60, "void attend_split<float, 8>(DecodeTask, int)"])
                writer.writerow([100 * i + 50, 30, "gemm"])
        said = self.python("gaps", path)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertAlmostEqual(json.loads(said.stdout)["share"], 0.2)
        path.write_text("Start (ns),Duration (ns),Name\n")
        said = self.python("gaps", path)
        self.assertEqual((said.returncode, said.stderr),
                         (1, f"error: {path} has 0 calls of decode attention, 513 are needed\n"))

    def test_same_tokens(self):
        def records(name, *tokens, status="ok"):
            return self.write(name, '{"elastikv": 1}\n' + "".join(
                json.dumps({"cell": "full", "sample": str(i), "status": status, "token_ids": ids}) + "\n"
                for i, ids in enumerate(tokens)))

        one = records("a", [1, 2], [3])
        said = self.python("same-tokens", one, records("b", [1, 2], [3]))
        self.assertEqual((said.returncode, said.stdout),
                         (0, "2 of 2 answers have the same tokens; 3 tokens in all\n"))
        said = self.python("same-tokens", one, records("c", [1, 2], [4]))
        self.assertEqual((said.returncode, said.stdout), (1, "full, 1: ok, [3]; on the device ok, [4]\n1 of 2 answers "
                                                             "have the same tokens; 3 tokens in all\n"))
        said = self.python("same-tokens", one, records("d", [1, 2]))
        self.assertEqual((said.returncode, said.stdout.splitlines()[0]),
                         (1, "full, 1: ok, [3]; on the device not there, None"))
        said = self.python("same-tokens", one, records("e", [1, 2], [3], status="failed"))
        self.assertEqual(said.returncode, 1)
        said = self.python("same-tokens", self.folder / "none", one)
        self.assertEqual((said.returncode, said.stdout), (1, f"{self.folder / 'none'} has no records\n"))


if __name__ == "__main__":
    PROGRAMS = sys.argv.pop(1)
    unittest.main()
