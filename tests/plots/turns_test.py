"""Measures by turn of conversations that go on."""

import pathlib
import tempfile
import types
import unittest

import folders
import legible

from elastikv_plots import looks, turns
from elastikv_plots.base import PlotError
from elastikv_plots.sweeps import Run


def arguments(**changes):
    return types.SimpleNamespace(**{"width": "full", "budget": None, "intervals": "auto", **changes})


class Turns(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.addCleanup(lambda: looks.plt.close("all"))
        self.folder = pathlib.Path(temporary.name)
        self.about = folders.sweep()
        folders.write(self.folder, self.about)

    def write(self, count=3):
        """Perplexity grows from turn to turn, by strategy."""
        rows = []
        for number, cell in enumerate(folders.cells_of(self.about)):
            for turn in range(1, count + 1):
                value = 2 + 0.1 * number * turn
                rows.append({"model": cell["model"], "data": cell["data"], "turn": turn, "samples": 5, "strategy": cell["strategy"],
                             "budget": cell["budget"], "measure": "ppl", "value": value, "low": value - 0.2, "high": value + 0.2})
        folders.write_table(self.folder / "turns.csv", rows)

    def drawn(self, measure="ppl", **changes):
        run = Run(self.folder)
        group = run.groups[0]
        known = looks.looks_of([(strategy.name, strategy.preset) for strategy in group.strategies])
        return turns.figure_of(group, run.measures[measure], turns.rows_of(run), arguments(**changes), known)

    def test_a_line_per_strategy_and_the_full_cache(self):
        self.write()
        chosen, figure = self.drawn()
        self.assertEqual(chosen, "0.2")
        lines = figure.axes[0].get_lines()
        self.assertEqual(len(lines), 4)
        self.assertEqual([list(line.get_xdata()) for line in lines], [[1, 2, 3]] * 4)
        elastic = next(i for i, cell in enumerate(folders.cells_of(self.about)) if cell["cell"].endswith("/elastic/0.2"))
        for turn, value in enumerate(lines[0].get_ydata(), start=1):
            self.assertAlmostEqual(value, 2 + 0.1 * elastic * turn)
        self.assertEqual(list(lines[-1].get_ydata()), [2, 2, 2])  # the full cache's
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        self.assertEqual(labels, ["elastic", "h2o-released", "snapkv", "full cache"])
        self.assertEqual(self.drawn(budget="0.5")[0], "0.5")

    def test_without_turns_there_is_nothing(self):
        self.assertEqual(turns.rows_of(Run(self.folder)), [])
        self.assertEqual(self.drawn(), (None, None))
        self.write()
        self.assertEqual(self.drawn(measure="rouge-l-pltrdy"), (None, None))

    def test_damage_is_told(self):
        self.write()
        with self.assertRaisesRegex(PlotError, "--budget: no budget '0.3'; known: 0.1, 0.2, 0.5"):
            self.drawn(budget="0.3")
        (self.folder / "turns.csv").write_text("model,data\n")
        with self.assertRaisesRegex(PlotError, "has no column 'turn'; elastikv report"):
            self.drawn()

    def test_letters_do_not_cover_each_other(self):
        self.write(count=12)
        for width in ("full", "column"):
            for intervals in ("auto", "bands", "bars"):
                self.assertEqual(legible.faults_of(self.drawn(width=width, intervals=intervals)[1]), [], width)


if __name__ == "__main__":
    unittest.main()
