import csv
import pathlib
import tempfile
import unittest

import folders
from elastikv_plots import looks, sweeps
from elastikv_plots.base import PlotError

DATA = pathlib.Path(__file__).parent / "data"


class FolderTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name) / "run"

    def run_of(self, about, cells=None, **more):
        return sweeps.Run(folders.write(self.folder, about, cells, **more))

    def group(self, about, cells=None):
        return self.run_of(about, cells).groups[0]

    def refused(self, message, call):
        with self.assertRaises(PlotError) as caught:
            call()
        self.assertEqual(str(caught.exception), message)


class Reading(FolderTest):
    def test_missing_tables_are_told_with_what_makes_them(self):
        run = self.folder
        self.refused(f"{run}: holds no cells.csv; elastikv report {run} makes it", lambda: sweeps.Run(run))
        folders.write(run, folders.sweep())
        (run / "measures.csv").unlink()
        self.refused(f"{run}: holds no measures.csv; elastikv report {run} makes it", lambda: sweeps.Run(run))
        (run / "measures.csv").write_text("model,data\n")
        self.refused(f"{run}/measures.csv: has no column 'measure'; elastikv report {run} makes it anew", lambda: sweeps.Run(run))
        (run / "cells.csv").write_text("")
        self.refused(f"{run}/cells.csv: has no column 'cell'; elastikv report {run} makes it anew", lambda: sweeps.Run(run))

    def test_fields_that_mean_nothing(self):
        about = folders.sweep()
        def refused(message, strategy="elastic", **changes):
            cells = [{**row, **(changes if row["strategy"] == strategy else {})} for row in folders.cells_of(about)]
            self.refused(message, lambda: self.group(about, cells).cells["elastic", "0.1"].held("end"))
        refused("cells.csv: 'x' is no budget", budget="x")
        refused("cells.csv: stampvlm-fp32/scenes/elastic/0.1: samples: 'x' is no number", samples="x")
        refused("cells.csv: stampvlm-fp32/scenes/elastic/0.1: cache_bytes_end: 'x' is no number", cache_bytes_end="x")
        refused("cells.csv: the settings of elastic are no JSON object", settings="[")
        refused("cells.csv: the settings of elastic are no JSON object", settings="[1]")

    def test_details_that_contradict_themselves(self):
        about = folders.sweep()
        place = f"{self.folder}/details.jsonl:1: damaged: "
        cells = len(folders.cells_of(about))
        run = self.run_of(about, details=[folders.detail(about, kept=[])])
        self.refused(f"{place}0 kept sets of {cells} cells", lambda: run.details)
        line = folders.detail(about)
        del line["grid"]
        run = self.run_of(about, details=[line])
        self.refused(f"{place}grid is missing", lambda: run.details)
        (self.folder / "details.jsonl").write_text("[1]\n")
        self.refused(f"{self.folder}/details.jsonl:1: is not a JSON object", lambda: sweeps.Run(self.folder).details)
        (self.folder / "details.jsonl").write_text('{"cell": \n')
        self.refused(f"{self.folder}/details.jsonl:1: not valid JSON", lambda: sweeps.Run(self.folder).details)

    def test_a_torn_last_line_is_no_damage(self):
        about = folders.sweep()
        self.assertEqual(len(self.run_of(about, details=[folders.detail(about)], torn='{"mod').details), 1)

    def test_a_folder_without_details_has_none(self):
        self.assertEqual(self.run_of(folders.sweep()).details, [])

    def test_a_sample_looked_at_again_replaces_itself(self):
        about = folders.sweep()
        details = [folders.detail(about), folders.detail(about, "s1"), folders.detail(about, prompt_tokens=99)]
        found = self.run_of(about, details=details).details
        self.assertEqual([(line["sample"], line["prompt_tokens"]) for _, line in found], [("s1", folders.PROMPT), ("s0", 99)])


class Groups(FolderTest):
    def test_titles_count_samples(self):
        for samples, planned, wanted in ((5, 5, "5 samples"), (1, 1, "1 sample"), (2, 3, "2 of 3 samples"), (0, 4, "0 of 4 samples")):
            self.assertEqual(self.group(folders.sweep(samples=samples, planned=planned)).title, f"stampvlm-fp32 on scenes, {wanted}")

    def test_models_and_data_sets_stand_beside_each_other(self):
        run = self.run_of(folders.sweep(models=("small", "large"), data=("scenes", "book")))
        self.assertEqual([group.name for group in run.groups], ["small-fp32 on scenes", "small-fp32 on book", "large-fp32 on scenes",
                                                                "large-fp32 on book"])

    def test_the_full_cache_may_be_a_hidden_reference(self):
        group = self.group(folders.sweep(strategies=("elastic",)))
        self.assertEqual((group.full.id, group.full.hidden), ("stampvlm-fp32/scenes/(full)", True))
        self.assertEqual([s.name for s in group.strategies], ["elastic"])

    def test_a_cell_that_failed_has_no_value(self):
        about = folders.sweep()
        cells = [folders.without_numbers(row) if row["cell"].endswith("elastic/0.5") else row for row in folders.cells_of(about)]
        run = self.run_of(about, cells)
        group = run.groups[0]
        self.assertIsNone(group.cells["elastic", "0.5"].estimate(run.measures["ppl"]))
        self.assertIsNotNone(group.cells["elastic", "0.2"].estimate(run.measures["ppl"]))

    def test_without_an_interval_its_ends_are_the_value(self):
        about = folders.sweep()
        cells = [{**row, "ppl_low": "", "ppl_high": "", "kl": "inf"} for row in folders.cells_of(about)]
        run = self.run_of(about, cells)
        cell = run.groups[0].cells["elastic", "0.2"]
        value, low, high = cell.estimate(run.measures["ppl"])
        self.assertEqual((low, high), (value, value))
        self.assertIsNone(cell.estimate(run.measures["mean_kl"]), "beyond a double's range")

    def test_choosing_strategies(self):
        group = self.group(folders.sweep(samples=3))
        group.keep_strategies(["elastic"])
        self.assertEqual((group.samples, [s.name for s in group.strategies]), (3, ["elastic"]))
        self.assertEqual({name for name, _ in group.cells}, {"elastic"})

    def test_settings_are_the_strategies(self):
        group = self.group(folders.sweep(strategies=("full", ("mine", "elastic", {"compaction": "evict"}))))
        self.assertEqual(group.strategies, [sweeps.Strategy("mine", "elastic", (("compaction", "evict"),))])

    def test_budgets_are_those_of_cell_names(self):
        group = self.group(folders.sweep(budgets={"keep": [0.05, 1.0], "growth": ["generation", "prompt"], "keep_tokens": [256]}))
        self.assertEqual(group.budgets, [sweeps.Budget("0.05", 0.05, "generation"), sweeps.Budget("1", 1.0, "generation"),
                                         sweeps.Budget("0.05p", 0.05, "prompt"), sweeps.Budget("1p", 1.0, "prompt"),
                                         sweeps.Budget("256t", 256.0, "tokens")])
        self.assertEqual([cell.budget.text for cell in group.of_strategy("elastic", "prompt")], ["0.05p", "1p"])


class Measures(FolderTest):
    def test_what_the_full_cache_says_nothing_of(self):
        measures = self.run_of(folders.sweep()).measures
        self.assertEqual([measure.name for measure in measures.values() if measure.has_full], ["ppl"])
        self.assertTrue(self.run_of(folders.sweep(reference="dataset")).measures["rouge-l-pltrdy"].has_full)

    def test_axes(self):
        measures = self.run_of(folders.sweep()).measures
        self.assertEqual((measures["ppl"].log_from, measures["ppl"].most, measures["match_rate"].most), (4.0, None, 1.0))

    def test_long_labels_have_two_lines(self):
        self.assertEqual(looks.two_lines("Perplexity of the answers"), "Perplexity of the answers")
        self.assertEqual(looks.two_lines("ROUGE-L (pltrdy) F against the full cache"), "ROUGE-L (pltrdy) F\nagainst the full cache")
        self.assertEqual(looks.two_lines("KL from the full cache (nats per token)"), "KL from the full cache\n(nats per token)")
        self.assertEqual(looks.two_lines("x" * 40), "x" * 40)


class TheProgramsOwnTables(unittest.TestCase):
    """data/quickstart-3 was written by the program."""

    def test_every_number_is_read(self):
        folder = DATA / "quickstart-3"
        run = sweeps.Run(folder)
        group, = run.groups
        with open(folder / "cells.csv", encoding="utf-8", newline="") as file:
            table = {row["cell"]: row for row in csv.DictReader(file)}
        self.assertEqual(list(run.measures), ["ppl", "rouge-l-pltrdy", "rougeL", "first_divergence", "match_rate", "mean_kl"])
        read = 0
        for measure in run.measures.values():
            for cell in [group.full, *group.cells.values()]:
                estimate, row = cell.estimate(measure), table[cell.id]
                if estimate is None:
                    self.assertEqual(row[measure.columns[0]], "", (cell.id, measure.name))
                    continue
                for value, column in zip(estimate, measure.columns):
                    self.assertEqual(f"{value:.9g}", row[column], (cell.id, column))
                    read += 1
        self.assertEqual(read, 19 * 3 * 3 + 18 * 3 * 3)


if __name__ == "__main__":
    unittest.main()
