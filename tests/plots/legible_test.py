"""The checker of pictures finds what it is for."""

import unittest

import legible

from elastikv_plots import looks


class Checker(unittest.TestCase):
    def setUp(self):
        self.addCleanup(looks.plt.close, "all")
        self.figure, panels = looks.panels("column", 1, 1, 2.0)
        self.axes = panels[0][0]
        self.axes.plot([0, 1], [0, 1], label="line")

    def faults(self):
        return " ".join(legible.faults_of(self.figure))

    def test_a_good_picture_has_no_faults(self):
        looks.legend(self.figure, "column", self.axes.lines)
        looks.heading(self.figure, "a heading", "column")
        self.assertEqual(legible.faults_of(self.figure), [])

    def test_small_text(self):
        self.axes.text(0.5, 0.5, "small", fontsize=6)
        self.assertIn("'small' has 6 points", self.faults())

    def test_text_over_the_page(self):
        self.axes.set_xlabel("a label that is much longer than the width of a column of print can ever hold")
        self.assertIn("reaches over the page", self.faults())

    def test_ticks_upon_each_other(self):
        self.axes.set_xticks([0.5, 0.52], ["first tick", "second tick"])
        self.assertIn("'first tick' lies upon 'second tick'", self.faults())

    def test_a_label_upon_its_neighbours(self):
        figure, panels = looks.panels("column", 1, 2, 2.0)
        for axes in panels[0]:
            axes.set_xlabel("a label that is wider than its own panel")
        self.assertIn("lies upon 'a label that is wider than its own panel'", " ".join(legible.faults_of(figure)))

    def test_a_legend_upon_axes(self):
        self.figure.legend(loc="center")
        self.assertIn("axes 0 lies upon legend 0", self.faults())


if __name__ == "__main__":
    unittest.main()
