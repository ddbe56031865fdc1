"""Sweeps and their tables through the installed module. scripts/wheel_test.sh runs it; EXPECTED is the folder of the same sweep by the
release build."""

import csv
import os
import signal
import tempfile
import unittest
from pathlib import Path

import elastikv as ek

try:
    import pandas
except ModuleNotFoundError:
    pandas = None

SWEEP = "configs/tiny-sweep.yaml"
EXPECTED = Path(os.environ["EXPECTED"])


def rows(name):
    with open(EXPECTED / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Sweep(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.output = Path(folder.name, "run")

    def test_results_are_those_of_the_program(self):
        seen = []
        run = ek.sweep(SWEEP, output=self.output, progress=lambda *told: seen.append(told))
        self.assertEqual((self.output / "cells.csv").read_text(), (EXPECTED / "cells.csv").read_text())
        self.assertEqual(run.folders, [self.output])
        done, total, line = seen[-1]
        self.assertEqual(done, total)
        self.assertRegex(line, rf"^{total}/{total} samples")

    def test_options_are_the_programs(self):
        run = ek.sweep(SWEEP, output=self.output, limit=1, set={"budgets.keep": 0.5, "strategies": "full,h2o"}, dtype="fp32", device="cpu",
                       options=["--threads", "1"])
        self.assertIn("1 sample", run.report)
        with self.assertRaisesRegex(ek.Error, "other settings"):
            ek.sweep(SWEEP, output=self.output)

    def test_errors_are_the_programs_sentences(self):
        with self.assertRaisesRegex(ek.Error, r"nowhere\.yaml"):
            ek.sweep("nowhere.yaml")
        with self.assertRaisesRegex(ek.Error, "budgets.kep"):
            ek.sweep(SWEEP, output=self.output, set={"budgets.kep": 0.5})
        with self.assertRaisesRegex(ek.Error, "--limitt"):
            ek.sweep(SWEEP, options=["--limitt", "1"])
        self.assertFalse(self.output.exists())

    def test_ctrl_c_ends_in_order_and_resume_goes_on(self):
        def interrupt(done, total, line):
            if done == 1:
                os.kill(os.getpid(), signal.SIGINT)

        with self.assertRaises(KeyboardInterrupt):
            ek.sweep(SWEEP, output=self.output, progress=interrupt)
        self.assertLess(len((self.output / "records.jsonl").read_text().splitlines()),
                        len((EXPECTED / "records.jsonl").read_text().splitlines()))
        ek.sweep(SWEEP, output=self.output, resume=True)
        self.assertEqual((self.output / "cells.csv").read_text(), (EXPECTED / "cells.csv").read_text())
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)

    def test_what_progress_raises_ends_the_sweep(self):
        def fail(done, total, line):
            raise LookupError("mine")

        with self.assertRaisesRegex(LookupError, "mine"):
            ek.sweep(SWEEP, output=self.output, progress=fail)

    def test_main_can_be_called_again_and_again(self):
        for _ in range(2):
            self.assertEqual(ek.main(["sweep", SWEEP, "--limit", "1", "--set", "strategies=full", "--output", str(self.output), "--resume"]
                                     if self.output.exists() else
                                     ["sweep", SWEEP, "--limit", "1", "--set", "strategies=full", "--output", str(self.output)]), 0)
        self.assertEqual(ek.main(["sweep", "nowhere.yaml"]), 1)


@unittest.skipIf(pandas is None, "pandas is not installed")
class Tables(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.run_ = ek.load(EXPECTED)

    def test_table_has_the_reports_numbers(self):
        table = self.run_.table("ppl")
        expected = {row["strategy"]: row for row in rows("ppl.csv")}
        self.assertEqual(list(table.index), list(expected))
        for strategy, row in table.iterrows():
            for budget, value in row.items():
                text = expected[strategy][budget]
                self.assertTrue(text == "" and value != value or float(text) == value, (strategy, budget))
        low = self.run_.table("ppl", intervals=True)["0.2", "low"]["elastic"]
        self.assertEqual(low, float(expected["elastic"]["0.2_low"]))

    def test_difference_is_the_reports_either_way_round(self):
        wanted = ("elastic", "h2o", "0.2", "log_ppl")
        expected, = (row for row in rows("pairs.csv") if (row["a"], row["b"], row["budget"], row["measure"]) == wanted)
        as_asked = self.run_.difference("elastic", "h2o", "ppl").set_index("budget").loc["0.2"]
        turned = self.run_.difference("h2o", "elastic", "log_ppl").set_index("budget").loc["0.2"]
        for column in ("difference", "low", "high", "p_value", "p_holm"):
            self.assertEqual(as_asked[column], float(expected[column]))
        self.assertEqual((turned["difference"], turned["low"], turned["high"]),
                         (-as_asked["difference"], -as_asked["high"], -as_asked["low"]))
        full = self.run_.difference("h2o", "full", "ppl")
        expected = [float(row["difference"]) for row in rows("differences.csv")
                    if (row["strategy"], row["baseline"], row["measure"]) == ("h2o", "full", "log_ppl")]
        self.assertEqual(list(full["difference"]), expected)

    def test_records_cells_samples_measures(self):
        run = self.run_
        self.assertEqual(len(run.records), len((EXPECTED / "records.jsonl").read_text().splitlines()))
        self.assertEqual(len(run.cells), len(rows("cells.csv")))
        self.assertEqual(list(run.samples["id"]), list(dict.fromkeys(run.records["sample"])))
        self.assertEqual(list(run.measures["measure"])[0], "ppl")
        self.assertEqual(len(run.details), len((EXPECTED / "details.jsonl").read_text().splitlines()))
        self.assertEqual(run.strategies, ["full", "elastic", "h2o", "streaming-llm"])
        self.assertRegex(run.report, r"\| elastic +\|")

    def test_names_that_are_not_there(self):
        with self.assertRaisesRegex(ek.Error, "no measure 'pll' in this run, did you mean 'ppl'?"):
            self.run_.table("pll")
        with self.assertRaisesRegex(ek.Error, "no strategy 'elastics' in this run, did you mean 'elastic'?"):
            self.run_.difference("elastics", "h2o")
        with self.assertRaisesRegex(ek.Error, "twice"):
            self.run_.difference("h2o", "h2o")
        with self.assertRaisesRegex(ek.Error, "sweep.json"):
            ek.load("configs")

    def test_a_line_that_was_torn_or_evaluated_again(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("records.jsonl", "samples.jsonl", "sweep.json"):
                Path(folder, name).write_text((EXPECTED / name).read_text())
            lines = (EXPECTED / "records.jsonl").read_text().splitlines(keepends=True)
            with open(Path(folder, "records.jsonl"), "a", encoding="utf-8") as file:
                file.write(lines[0] + lines[1][:20])
            self.assertEqual(len(ek.load(folder).records), len(lines))


if __name__ == "__main__":
    unittest.main()
