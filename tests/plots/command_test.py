"""The commands as they are called, with their messages and exit codes."""

import contextlib
import hashlib
import json
import io
import pathlib
import runpy
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import folders

from elastikv_plots import looks

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(__file__).parent / "data"


def call(script, *arguments):
    """Exit code, standard output and standard error of a script."""
    out, err = io.StringIO(), io.StringIO()
    with mock.patch.object(sys, "argv", [script, *map(str, arguments)]), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_path(str(ROOT / "scripts" / script), run_name="__main__")
            code = 0
        except SystemExit as stop:
            code = stop.code
    looks.plt.close("all")
    return code, out.getvalue(), err.getvalue()


class CommandTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.run = self.folder / "run"
        about = folders.sweep(samples=3)
        folders.write(self.run, about, details=[folders.detail(about), folders.detail(about, "s1")])

    def names(self, *arguments, script="plot.py"):
        code, out, err = call(script, *arguments)
        self.assertEqual((code, err), (0, ""))
        for line in out.splitlines():
            self.assertTrue(pathlib.Path(line).is_file(), line)
        return [pathlib.Path(line).name for line in out.splitlines()]

    def refused(self, message, *arguments, script="plot.py"):
        code, out, err = call(script, *arguments)
        self.assertEqual((code, out, err), (1, "", f"error: {message}\n"))


class Sweeps(CommandTest):
    def test_everything_that_a_folder_holds(self):
        names = self.names(self.run, "--formats", "svg")
        self.assertEqual(names, ["ppl.svg", "rouge-l-pltrdy.svg", "match_rate.svg", "mean_kl.svg", "ppl-bytes.svg",
                                 "rouge-l-pltrdy-bytes.svg", "importance-s0.svg", "kept-s0-0.2.svg"])
        self.assertEqual(sorted(file.name for file in (self.run / "plots").iterdir()), sorted(names))

    def test_the_same_tables_give_the_same_bytes(self):
        sums = []
        for turn in ("first", "second"):
            self.names(self.run, "--output", self.folder / turn, "--formats", "png,svg,pdf", "--kept", "elastic")
            sums.append({file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (self.folder / turn).iterdir()})
        self.assertEqual(len(sums[0]), 3 * 9)
        self.assertEqual(*sums)

    def test_chosen_pictures_samples_and_strategies(self):
        self.assertEqual(self.names(self.run, "--formats", "png", "--pictures", "importance,kept", "--samples", "s1", "--kept", "snapkv",
                                    "--budget", "0.5", "--strategies", "snapkv,elastic", "--width", "column"),
                         ["importance-s1.png", "kept-s1-0.5.png", "kept-s1-snapkv-0.5.png"])

    def test_models_and_data_sets(self):
        run = folders.write(self.folder / "several", folders.sweep(models=("small", "large"), data=("scenes", "book"), text=()))
        self.assertEqual(self.names(run, "--formats", "svg", "--pictures", "budget")[:5],
                         ["ppl.svg", "ppl-small-fp32-scenes.svg", "ppl-small-fp32-book.svg", "ppl-large-fp32-scenes.svg",
                          "ppl-large-fp32-book.svg"])

    def test_tasks_of_several_models(self):
        about = folders.sweep(models=("small", "large"), data=("textvqa", "pope"), text=("vqa-accuracy",), reference="dataset")
        run = folders.write(self.folder / "tasks", about, tasks=folders.tasks_of(about, "vqa-accuracy"))
        self.assertEqual(self.names(run, "--formats", "svg", "--pictures", "tasks"),
                         ["tasks-relative-small-fp32.svg", "tasks-small-fp32.svg", "tasks-relative-large-fp32.svg",
                          "tasks-large-fp32.svg"])
        self.names(run, "--formats", "svg", "--pictures", "tasks", "--strategies", "elastic")
        text = (run / "plots" / "tasks-small-fp32.svg").read_text()
        self.assertIn("elastic", text)
        self.assertNotIn("snapkv", text)

    def test_tasks_of_many_strategies_stand_in_rows(self):
        about = folders.sweep(data=("textvqa", "pope"), text=("anls",), reference="dataset",
                              strategies=("full", *(f"strategy-{i}" for i in range(12))))
        run = folders.write(self.folder / "tasks", about, tasks=folders.tasks_of(about, "anls"))
        code, out, err = call("plot.py", run, "--formats", "svg", "--pictures", "tasks")
        self.assertEqual((code, out), (0, f"{run}/plots/tasks-relative.svg\n"))
        self.assertEqual(err, "stampvlm-fp32: more than 10 strategies; tasks beside each other need --strategies\n")

    def test_a_folder_without_details(self):
        (self.run / "details.jsonl").unlink()
        self.assertEqual(len(self.names(self.run, "--formats", "svg")), 6)

    def test_importance_that_is_no_number(self):
        lines = (self.run / "details.jsonl").read_text().splitlines()
        for word in ("null", '"nan"', '"-inf"'):
            first = json.loads(lines[0])
            first["importance"][0][0] = json.loads(word)
            (self.run / "details.jsonl").write_text("\n".join([json.dumps(first)] + lines[1:]) + "\n")
            names = self.names(self.run, "--formats", "svg", "--pictures", "importance")
            self.assertEqual(names, ["importance-s1.svg"], word)

    def test_the_programs_own_tables(self):
        kept = self.folder / "kept"
        shutil.copytree(DATA / "quickstart-3", kept)
        self.assertEqual(self.names(kept, "--formats", "svg"),
                         ["ppl.svg", "rouge-l-pltrdy.svg", "rougeL.svg", "first_divergence.svg", "match_rate.svg", "mean_kl.svg",
                          "ppl-bytes.svg", "rouge-l-pltrdy-bytes.svg", "rougeL-bytes.svg"])

    def test_runs_are_joined_by_the_program(self):
        self.refused(f"plot.py draws one folder; elastikv report {self.run} {self.folder}/other --output DIR joins runs, and plot.py DIR "
                     "draws them together", self.run, self.folder / "other")

    def test_published_points(self):
        self.names(self.run, "--formats", "svg", "--pictures", "budget", "--published", DATA / "published-fixture.yaml")
        self.assertIn("PrefixKV, published", (self.run / "plots" / "ppl.svg").read_text())

    def test_files_names_are_free_of_labels_slashes(self):
        about = folders.sweep(samples=1, text=())
        folders.write(self.run, about, details=[folders.detail(about, "a/b c")])
        self.assertIn("importance-a_b_c.png", self.names(self.run, "--formats", "png", "--pictures", "importance"))

    def test_refusals(self):
        self.refused(f"{self.folder}/none: holds no cells.csv; elastikv report {self.folder}/none makes it", self.folder / "none")
        self.refused("--formats: 'gif' is not one of png, svg, pdf", self.run, "--formats", "png,gif")
        self.refused("--strategies: no strategy in this sweep 'h2o'; known: elastic, h2o-released, snapkv, full", self.run,
                     "--strategies", "h2o")
        self.refused("--pictures: no picture 'bands'; known: budget, tasks, bytes, fixed-point, needle, turns, importance, kept", self.run, "--pictures", "bands")
        self.refused("--samples: no sample in details.jsonl 's2'; known: s0, s1", self.run, "--samples", "s2", "--pictures", "kept")
        self.refused("--kept: no strategy in this sweep 'full'; known: elastic, h2o-released, snapkv", self.run, "--kept", "full",
                     "--pictures", "kept")
        self.refused("--published-model and --published-data choose among the values of --published NAME, which is missing", self.run,
                     "--published-model", "X")
        self.refused(f"{self.run}: nothing to draw", self.run, "--pictures", "fixed-point")
        (self.run / "details.jsonl").unlink()
        self.refused("--samples: these folders hold no details of samples (details.jsonl)", self.run, "--samples", "s0", "--pictures", "kept")
        self.refused("--kept: these folders hold no details of samples (details.jsonl)", self.run, "--kept", "elastic", "--pictures", "kept")
        (self.folder / "file").write_text("")
        self.refused(f"{self.folder}/file/plots: cannot be made: Not a directory", self.run, "--output", self.folder / "file" / "plots")

    def test_a_sweep_that_has_just_begun(self):
        folders.write(self.run, folders.sweep(samples=0, planned=3))
        code, _, err = call("plot.py", self.run)
        self.assertEqual((code, err), (1, f"stampvlm-fp32 on scenes: no sample is complete yet\nerror: {self.run}: nothing to draw\n"))

    def test_a_python_without_matplotlib_is_told_in_one_line(self):
        program = f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); sys.modules['matplotlib'] = None\n" \
                  f"import runpy; sys.argv = ['plot.py', 'x']; runpy.run_path({str(ROOT / 'scripts' / 'plot.py')!r}, run_name='__main__')"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, "error: Python's matplotlib is missing; scripts/setup.sh puts a Python that has all of it into "
                         "~/.cache/elastikv/tools/bin, or: python3 -m pip install matplotlib numpy PyYAML\n")


class Benches(CommandTest):
    TIMING = ROOT / "results" / "timing"

    def test_kept_measurements(self):
        for name, wanted in (("smollm2", ["batch-throughput.svg", "batch-run-throughput.svg", "batch-memory.svg"]),
                             ("decode-scaling", ["decode.svg"]), ("prompt-scaling", ["decode.svg", "cost-prompt.svg"])):
            self.assertEqual(self.names(self.TIMING / name, "--output", self.folder / name, "--formats", "svg", script="plot_bench.py"), wanted)

    def test_refusals(self):
        smollm2 = self.TIMING / "smollm2"
        self.refused("--formats: '' is not one of png, svg, pdf", smollm2, "--formats", "", script="plot_bench.py")
        self.refused("--dtypes: no dtype that was measured 'fp16'; known: bf16, fp32", smollm2, "--dtypes", "fp16", script="plot_bench.py")
        self.refused("--any-device is about the values of --published NAME, which is missing", smollm2, "--any-device", script="plot_bench.py")
        self.refused(f"--published {DATA}/published-speeds.yaml: is about Published-7B; measured here: smollm2", smollm2, "--published",
                     DATA / "published-speeds.yaml", script="plot_bench.py")


if __name__ == "__main__":
    unittest.main()
