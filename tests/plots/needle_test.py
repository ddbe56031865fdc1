"""Maps of a needle by depth and length."""

import pathlib
import tempfile
import types
import unittest

import folders
import legible
import numpy as np

from elastikv_plots import looks, needle
from elastikv_plots.base import PlotError
from elastikv_plots.sweeps import Run

METRIC = "string-match-all"


def arguments(**changes):
    return types.SimpleNamespace(**{"width": "full", "budget": None, **changes})


class Needles(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.addCleanup(lambda: looks.plt.close("all"))
        self.folder = pathlib.Path(temporary.name)
        self.about = folders.sweep(data=("needle",), text=(METRIC,), reference="dataset")
        folders.write(self.folder, self.about)

    def write(self, lengths=(1024, 2048), depths=("0", "50", "100"), more=()):
        """A needle is found where the length times the strategy's place is small."""
        rows = [{"model": "stampvlm-fp32", "data": "needle", "category": f"length {length} at depth {depth}", "samples": 2,
                 "strategy": cell["strategy"], "budget": cell["budget"], "measure": measure,
                 "value": max(0.0, 1 - length * float(depth) / 1e6) if measure == METRIC else 9.0}
                for cell in folders.cells_of(self.about) for length in lengths for depth in depths
                for measure in ("ppl", METRIC)]
        folders.write_table(self.folder / "categories.csv", [*rows, *more])

    def drawn(self, **changes):
        run = Run(self.folder)
        return needle.figure_of(run.groups[0], needle.rows_of(run), arguments(**changes))

    def test_a_map_per_strategy_the_full_cache_first(self):
        self.write()
        budget, figure = self.drawn()
        self.assertEqual(budget, "0.2")
        shown = [axes for axes in figure.axes if axes.get_images() and axes.get_title()]
        self.assertEqual([axes.get_title() for axes in shown], ["full", "elastic", "h2o-released", "snapkv"])
        grid = shown[0].get_images()[0].get_array()
        np.testing.assert_allclose(grid, [[1, 1], [1 - 0.0512, 1 - 0.1024], [1 - 0.1024, 1 - 0.2048]])
        self.assertEqual([label.get_text() for label in shown[0].get_xticklabels()], ["1024", "2048"])
        self.assertEqual([label.get_text() for label in shown[0].get_yticklabels()], ["0", "50", "100"])
        self.assertEqual(self.drawn(budget="0.5")[0], "0.5")

    def test_what_was_not_measured_is_left_open(self):
        self.write(more=[{"model": "stampvlm-fp32", "data": "needle", "category": "length 4096 at depth 0", "samples": 1,
                          "strategy": "elastic", "budget": "0.2", "measure": METRIC, "value": 0.5}])
        _, figure = self.drawn()
        full, elastic = figure.axes[0].get_images()[0].get_array(), figure.axes[1].get_images()[0].get_array()
        self.assertTrue(np.isnan(np.ma.filled(full, np.nan)[:, 2]).all())
        self.assertEqual(elastic[0, 2], 0.5)

    def test_other_categories_are_no_needles(self):
        self.assertEqual(needle.rows_of(Run(self.folder)), [])  # no table at all
        folders.write_table(self.folder / "categories.csv", [
            {"model": "stampvlm-fp32", "data": "needle", "category": "conv", "samples": 1, "strategy": "elastic",
             "budget": "0.2", "measure": METRIC, "value": 1}])
        self.assertEqual(self.drawn(), (None, None))

    def test_damage_is_told(self):
        self.write()
        with self.assertRaisesRegex(PlotError, "--budget: no budget '0.3'; known: 0.1, 0.2, 0.5"):
            self.drawn(budget="0.3")
        (self.folder / "categories.csv").write_text("model,data\n")
        with self.assertRaisesRegex(PlotError, "has no column 'category'; elastikv report"):
            self.drawn()

    def test_letters_do_not_cover_each_other(self):
        self.write(lengths=(1024, 2048, 4096, 8192))
        for width in ("full", "column"):
            self.assertEqual(legible.faults_of(self.drawn(width=width)[1]), [], width)


if __name__ == "__main__":
    unittest.main()
