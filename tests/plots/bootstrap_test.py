import csv
import math
import pathlib
import unittest

import numpy as np

from elastikv_plots import bootstrap, measures, sweeps

DATA = pathlib.Path(__file__).parent / "data"


class RandomNumbers(unittest.TestCase):
    def test_the_engine_is_the_standards(self):
        # [rand.predef]: the 10000th draw of a default-constructed mt19937_64, whose seed is 5489.
        self.assertEqual(int(bootstrap.mt19937_64(5489, 10000)[-1]), 9981545732273789042)

    def test_counts_that_do_not_fill_a_block(self):
        whole = bootstrap.mt19937_64(1, 700)
        for count in (0, 1, 311, 312, 313, 625):
            np.testing.assert_array_equal(bootstrap.mt19937_64(1, count), whole[:count])

    def test_indices_are_the_upper_half_of_the_product(self):
        draws = bootstrap.mt19937_64(7, 40 * 13)
        wanted = [(int(draw) * 13) >> 64 for draw in draws]
        self.assertEqual(bootstrap.resampled_indices(40, 7, 13).ravel().tolist(), wanted)


class Estimates(unittest.TestCase):
    def setUp(self):
        self.bootstrap = bootstrap.Bootstrap(300, 12345)

    def test_percentile_is_linear_between_neighbours(self):
        self.assertEqual(bootstrap.percentile([1.0, 2.0, 4.0], 0.5), 2.0)
        self.assertEqual(bootstrap.percentile([1.0, 2.0, 4.0], 0.75), 3.0)
        self.assertEqual(bootstrap.percentile([5.0], 0.975), 5.0)

    def test_one_sample_has_no_spread(self):
        self.assertEqual(self.bootstrap.mean([0.25]), (0.25, 0.25, 0.25))
        value, low, high = self.bootstrap.perplexity([(math.log(3) * 4, 4)])
        self.assertAlmostEqual(value, 3, 12)
        self.assertEqual((low, high), (value, value))

    def test_no_samples_and_no_numbers_have_no_estimate(self):
        self.assertIsNone(self.bootstrap.mean([]))
        self.assertIsNone(self.bootstrap.mean([1.0, math.nan]))
        self.assertIsNone(self.bootstrap.perplexity([(1.0, 0)]))
        self.assertIsNone(self.bootstrap.perplexity([(math.inf, 2)]))
        self.assertIsNone(self.bootstrap.perplexity([(1e6, 1)]), "a perplexity beyond a double's range")

    def test_samples_without_tokens_do_not_count(self):
        rows = [(3.0, 4), (5.0, 3), (2.0, 5)]
        self.assertEqual(self.bootstrap.perplexity(rows + [(0.0, 0)]), self.bootstrap.perplexity(rows))

    def test_intervals_are_those_of_the_other_implementation(self):
        # tests/golden/make_interval_values.py, as tests/unit/metrics/intervals_test.cc.
        a = [0.2, 0.5, 0.1, 0.9, 0.4, 0.4, 0.7]
        rows = list(zip([12.5, 3.25, 40, 7.75, 22, 9.5, 15], [10.0, 4, 25, 6, 12, 8, 9]))
        clusters = ["x", "y", "x", None, "y", "", "x"]
        whole = bootstrap.Bootstrap(1000, 12345)
        np.testing.assert_allclose(whole.mean(a)[1:], (0.21862580320333833, 0.7768176730202947), rtol=1e-12)
        np.testing.assert_allclose(whole.perplexity(rows)[1:], (3.363819814056325, 5.823664697254422), rtol=1e-12)
        np.testing.assert_allclose(whole.mean(a, clusters)[1:], (0.2821991473477182, 0.8857142857142857), rtol=1e-12)
        np.testing.assert_allclose(whole.perplexity(rows, clusters)[1:], (3.487199920342075, 7.270379254736931), rtol=1e-12)

    def test_intervals_end_where_values_do(self):
        shares = [0.9, 0, 0, 0.1, 0, 0.2, 0]
        self.assertLess(self.bootstrap.mean(shares)[1], 0)
        self.assertEqual(self.bootstrap.mean(shares, None, 0, 1)[1], 0)
        self.assertEqual(self.bootstrap.perplexity([(0.001, 10), (0.2, 10), (0.5, 10), (4, 10)])[1], 1)

    def test_one_cluster_and_equal_values_have_no_spread(self):
        self.assertEqual(self.bootstrap.mean([0.25, 0.75], ["p", "p"]), (0.5, 0.5, 0.5))
        self.assertEqual(self.bootstrap.mean([0.5] * 4), (0.5, 0.5, 0.5))

    def test_clusters_of_samples_without_tokens_do_not_count(self):
        rows, clusters = [(3.0, 4), (0.0, 0), (5.0, 3), (2.0, 5)], ["a", "b", "a", "c"]
        self.assertEqual(self.bootstrap.perplexity(rows, clusters),
                         self.bootstrap.perplexity([rows[0], *rows[2:]], ["a", "a", "c"]))


class Measures(unittest.TestCase):
    def test_no_divergence_is_measured_where_one_token_is_scored(self):
        measure = next(m for m in measures.measures_of({"metrics": {"perplexity": {"enabled": False}, "text": [],
                                                                    "reference": "full-cache", "agreement": True}})
                       if m.name == "mean_kl")
        records = [{"scored_tokens": 4, "mean_kl": 0.2}, {"scored_tokens": 1, "mean_kl": 0.0}, {"scored_tokens": 1},
                   {"scored_tokens": 3, "mean_kl": 0.4}]
        rows = [measure.read(record) for record in records]
        value, _, _ = measure.combine(bootstrap.Bootstrap(100, 1), rows, [None] * 4)
        self.assertAlmostEqual(value, 0.3, 12)
        self.assertIsNone(measure.combine(bootstrap.Bootstrap(100, 1), [rows[1], rows[2]], [None] * 2))

    def test_titles_of_other_words(self):
        self.assertEqual(measures.metric_title("rougeL"), "ROUGE-L (Google)")
        self.assertEqual(measures.metric_title("rougeLsum-stem"), "ROUGE-Lsum (Google, stemmed)")
        self.assertEqual(measures.metric_title("rougeLsum-unicode-sentences"), "ROUGE-Lsum (Google, Unicode words, sentences)")


class TheProgramsOwnTables(unittest.TestCase):
    """cells.csv of data/quickstart-3 was written by the program from these records."""

    def test_every_number_is_equal_to_the_last_digit(self):
        folder = DATA / "quickstart-3"
        group = sweeps.join([sweeps.Sweep(folder)])[0]
        with open(folder / "cells.csv", encoding="utf-8", newline="") as file:
            table = {row["cell"]: row for row in csv.DictReader(file)}
        shown = measures.measures_of(group.parts[0].config)
        self.assertEqual([m.name for m in shown], ["ppl", "rouge-l-pltrdy", "rougeL", "match_rate", "mean_kl"])
        compared = 0
        for measure in shown + [measures.cache_bytes("prefill"), measures.cache_bytes("end")]:
            for cell in [group.full, *group.cells.values()]:
                estimate, row = group.estimate(cell, measure), table[cell.id]
                if estimate is None:
                    self.assertEqual(row[measure.column], "", (cell.id, measure.name))
                    continue
                for value, column in zip(estimate, (measure.column, *measure.bounds)):
                    self.assertEqual(f"{value / measure.scale:.9g}", row[column], (cell.id, column))
                    compared += 1
        self.assertEqual(compared, 19 * 3 * 3 + 18 * 2 * 3 + 19 * 2)

    def test_the_table_stands_for_missing_records(self):
        folder = DATA / "quickstart-3"
        records = sweeps.Sweep(folder)
        table = sweeps.Sweep(folder)
        table.records = None
        with open(folder / "cells.csv", encoding="utf-8", newline="") as file:
            table.table = {row["cell"]: row for row in csv.DictReader(file)}
        ours, theirs = (sweeps.join([sweep])[0] for sweep in (records, table))
        self.assertEqual(ours.title, theirs.title)
        for measure in measures.measures_of(records.config) + [measures.cache_bytes("end")]:
            for key in ours.cells:
                mine, its = ours.estimate(ours.cells[key], measure), theirs.estimate(theirs.cells[key], measure)
                np.testing.assert_allclose(mine if measure.bounds else mine[:1], its if measure.bounds else its[:1], rtol=1e-8)


if __name__ == "__main__":
    unittest.main()
