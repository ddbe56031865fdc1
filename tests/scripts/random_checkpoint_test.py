"""scripts/random_checkpoint.py, shallow: what it makes is whole for the program, and runs."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "random_checkpoint.py"
PROGRAM = sys.argv.pop(1)
# One with images and one without, as small as published shapes come.
SMALL = ["smolvlm-256m-instruct", "qwen2.5-0.5b-instruct"]


def run(*arguments):
    return subprocess.run([str(one) for one in arguments], capture_output=True, text=True)


class RandomCheckpointTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def make(self, preset, *more):
        folder = self.folder / preset
        made = run(sys.executable, SCRIPT, preset, folder, "--layers", 1, "--program", PROGRAM, *more)
        self.assertEqual(made.returncode, 0, made.stderr)
        return folder

    def test_what_it_makes_is_complete_and_generates(self):
        for preset in SMALL:
            with self.subTest(preset):
                folder = self.make(preset)
                inspected = run(PROGRAM, "inspect", folder, "--prompt", "What is it?", "--strict")
                self.assertEqual(inspected.returncode, 0, inspected.stdout + inspected.stderr)
                generated = run(PROGRAM, "generate", "--model", folder, "--prompt", "What is it?", "--max-new-tokens", 3)
                self.assertEqual(generated.returncode, 0, generated.stderr)

    def test_images_become_as_many_tokens_as_published(self):
        folder = self.make("smolvlm-256m-instruct")
        image = next((ROOT / "datasets" / "stamp-scenes").rglob("*.png"))
        inspected = run(PROGRAM, "inspect", folder, "--prompt", "What is it?", "--image", image)
        self.assertEqual(inspected.returncode, 0, inspected.stderr)
        # A square is enlarged to 2048 pixels: 4 x 4 tiles and the whole, 64 tokens each.
        self.assertIn("of them 1088 for images", inspected.stdout)

    def test_values_have_the_scale_of_untrained_weights_and_follow_the_seed(self):
        folder = self.make("qwen2.5-0.5b-instruct", "--dtype", "fp32")
        with open(folder / "model.safetensors", "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
            data = file.read()

        def values(name):
            begin, end = header[name]["data_offsets"]
            return np.frombuffer(data[begin:end], "<f4")

        up = values("model.layers.0.mlp.up_proj.weight")
        self.assertAlmostEqual(float(up.mean()), 0, delta=1e-3)
        self.assertGreater(float(up.std()), 0.5 / 896**0.5)
        self.assertLess(float(up.std()), 2 / 896**0.5)
        norm = values("model.layers.0.input_layernorm.weight")
        self.assertAlmostEqual(float(norm.mean()), 1, delta=0.01)

    def test_faults_are_sentences(self):
        for arguments, words in [
            (["no-such-model", self.folder / "x"], "no preset 'no-such-model'; there are "),
            (["llava-v1.5-7b", self.folder / "x"], "the shape of 'llava-v1.5-7b' is not kept here"),
            (["qwen-vl-chat", self.folder / "x"], "QWenLMHeadModel cannot be made"),
            (["smolvlm-256m-instruct", self.folder], f"{self.folder} exists"),
            (["smolvlm-256m-instruct", self.folder / "x", "--layers", 99], "--layers 99: the decoder has 30"),
            (["smolvlm-256m-instruct", self.folder / "x", "--program", "/nowhere/elastikv"], "/nowhere/elastikv is not there"),
        ]:
            with self.subTest(words):
                made = run(sys.executable, SCRIPT, "--program", PROGRAM, *arguments)
                self.assertEqual(made.returncode, 1)
                self.assertIn("error: ", made.stderr)
                self.assertIn(words, made.stderr)
                self.assertFalse((self.folder / "x").exists())


if __name__ == "__main__":
    unittest.main()
