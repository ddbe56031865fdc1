import argparse
import json
import pathlib
import tempfile
import unittest

import legible
import numpy as np

from elastikv_plots import bench, looks
from elastikv_plots.base import PlotError

DATA = pathlib.Path(__file__).parent / "data"
looks.matplotlib.rcParams["figure.dpi"] = 100  # drawn often here


def spread(median):
    return {"median": median, "q1": 0.9 * median, "q3": 1.2 * median, "count": 5}


def cell(strategy="full", batch=1, prompt=512, new=65, model="llava-7b", dtype="fp32", device="cuda", slots=None):
    kept = slots or (prompt if strategy == "full" else prompt // 5)
    step = 0.01 + 1e-6 * kept * batch
    return {"model": model, "dtype": dtype, "device": device, "batch": batch, "prompt_tokens": prompt, "new_tokens": new,
            "strategy": strategy, "preset": strategy, "budget": "1" if strategy == "full" else "0.2", "skipped": None,
            "needed_bytes": {"caches": kept * batch * 46080}, "kept_slots": {"after_prompt": kept, "at_end": kept + new},
            "cache_bytes": {"at_end": kept * batch * 46080}, "memory_bytes": {"before": 2**30, "peak": 2**30 + kept * batch * 60000},
            "prefill_seconds": spread(0.001 * prompt), "statistics_seconds": spread(1e-5), "compression_seconds": spread(1e-5 * prompt),
            "decode_step_seconds": spread(step), "decode_tokens_per_second": spread(batch / step),
            "total_seconds": spread(0.001 * prompt + step * new),
            "throughput_tokens_per_second": spread(batch * new / (0.001 * prompt + step * new)),
            "bound": {"step_seconds": step / 2}}


def skipped(*arguments, **more):
    whole = cell(*arguments, **more)
    return {key: whole[key] for key in ("model", "dtype", "device", "batch", "prompt_tokens", "new_tokens", "strategy", "preset",
                                        "budget", "needed_bytes")} | {"skipped": "too large"}


class BenchTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.addCleanup(looks.plt.close, "all")
        self.folder = pathlib.Path(temporary.name)

    def bench(self, *cells, device="NVIDIA A100-SXM4-80GB", free=None):
        models = [{"label": label, "dtype": dtype, "device": where, "device_name": device, "available_bytes": free}
                  for label, dtype, where in dict.fromkeys((c["model"], c["dtype"], c["device"]) for c in cells)]
        (self.folder / "bench.json").write_text(json.dumps({"schema": bench.SCHEMA, "models": models, "cells": cells}))
        return bench.Bench([self.folder])

    def assert_legible(self, figure):
        self.assertEqual(legible.faults_of(figure), [])


def arguments(width="full"):
    return argparse.Namespace(width=width)


class Batches(BenchTest):
    BATCHES = [cell(strategy, batch, prompt, dtype=dtype) for strategy in ("full", "elastic") for batch in (1, 8, 32)
               for prompt in (512, 1024) for dtype in ("fp32", "bf16")]

    def test_throughput_stands_beside_its_bound(self):
        measured = self.bench(*(cell(s, b) for s in ("full", "elastic") for b in (8, 1)))
        figure = bench.draw_throughput(measured, arguments(), "decode", None)
        axes, = figure.axes
        bounds = [line for line in axes.lines if line.get_markersize() == 2.5]
        np.testing.assert_array_equal(bounds[0].get_xdata(), [1, 8])
        np.testing.assert_allclose(bounds[0].get_ydata(), [2 * b / (0.01 + 1e-6 * 512 * b) for b in (1, 8)])
        medians = axes.containers[0].lines[0]
        np.testing.assert_allclose([2 * y for y in medians.get_ydata()], bounds[0].get_ydata())
        self.assertEqual(axes.get_title(loc="left"), "512 prompt and 65 new tokens per row")
        self.assertIn("dotted: bound of bandwidth and arithmetic", [t.get_text() for t in figure.legends[0].get_texts()])

    def test_a_panel_per_lengths_readable_in_both_widths(self):
        measured = self.bench(*self.BATCHES)
        for width in looks.WIDTHS:
            for what in bench.THROUGHPUTS:
                figure = bench.draw_throughput(measured, arguments(width), what, None)
                self.assertEqual(len(figure.axes), 2)
                self.assert_legible(figure)
            self.assert_legible(bench.draw_memory(measured, arguments(width)))

    def test_one_batch_is_no_picture(self):
        measured = self.bench(cell(batch=4), cell("elastic", batch=4))
        self.assertIsNone(bench.draw_throughput(measured, arguments(), "decode", None))
        self.assertIsNone(bench.draw_memory(measured, arguments()))

    def test_memory_shows_what_did_not_fit(self):
        measured = self.bench(cell(batch=1), cell(batch=8), skipped(batch=64), free=300 * 2**20)
        figure = bench.draw_memory(measured, arguments())
        axes, = figure.axes
        cross, = [line for line in axes.lines if line.get_marker() == "x"]
        np.testing.assert_allclose([cross.get_xdata()[0], cross.get_ydata()[0]], [64, 512 * 64 * 46080 / 2**20])
        labels = [t.get_text() for t in figure.legends[0].get_texts()]
        self.assertIn("did not fit: what its caches need", labels)
        self.assertIn("memory at hand", labels)
        self.assert_legible(figure)

    def test_memory_that_was_held_already_can_be_drawn(self):
        idle = cell(batch=8)
        idle["memory_bytes"]["peak"] = idle["memory_bytes"]["before"]
        figure = bench.draw_memory(self.bench(cell(batch=1), idle), arguments())
        self.assertTrue(all(min(line.get_ydata()) > 0 for line in figure.axes[0].lines))


class Costs(BenchTest):
    def test_exponents(self):
        self.assertAlmostEqual(bench.fitted_exponent([(x, 3 * x**1.5) for x in (1, 2, 4)]), 1.5)
        self.assertIsNone(bench.fitted_exponent([(1, 1), (2, 2)]))
        self.assertIsNone(bench.fitted_exponent([(2, 1), (2, 2), (2, 3)]))

    def test_costs_against_the_prompt(self):
        measured = self.bench(*(cell("elastic", prompt=p) for p in (128, 256, 512, 1024)))
        for width in looks.WIDTHS:
            figure = bench.draw_cost(measured, arguments(width), *bench.COSTS[0][1:])
            labels = [" ".join(t.get_text().split()) for t in figure.legends[0].get_texts()]
            self.assertEqual(labels, ["llava-7b fp32, cuda: elastic 0.2, prefill ~ n^1.00",
                                      "llava-7b fp32, cuda: elastic 0.2, compression ~ n^1.00"])
            self.assert_legible(figure)

    def test_decode_against_kept_slots(self):
        measured = self.bench(*(cell("elastic", prompt=p, device="cpu") for p in (128, 512, 4096)), cell(prompt=2048, device="cpu"))
        for width in looks.WIDTHS:
            figure = bench.draw_decode(measured, arguments(width))
            self.assertEqual([t.get_text() for t in figure.legends[0].get_texts()],
                             ["llava-7b fp32: elastic", "llava-7b fp32: full", "llava-7b fp32: bound of the machine"])
            self.assert_legible(figure)


class Published(BenchTest):
    NAME = str(DATA / "published-speeds.yaml")

    def refused(self, message, *cells, any_device=False, **more):
        with self.assertRaises(PlotError) as caught:
            bench.PublishedSpeeds(self.NAME, self.bench(*cells, **more), any_device)
        self.assertEqual(str(caught.exception), f"--published {self.NAME}: {message}")

    def test_points_of_whole_runs(self):
        measured = self.bench(*(cell(s, b) for s in ("full", "elastic") for b in (1, 8)))
        points = bench.PublishedSpeeds(self.NAME, measured, False)
        for width in looks.WIDTHS:
            figure = bench.draw_throughput(measured, arguments(width), "run", points)
            hollow = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"]
            # Where no throughput is printed it is that of the latency: 8 rows x 65 tokens in 1.3 s.
            self.assertEqual(sorted((line.get_xdata()[0], line.get_ydata()[0], line.get_marker()) for line in hollow),
                             [(8, 400.0, looks.KNOWN["full"][1]), (8, 800.0, looks.KNOWN["elastic"][1])])
            self.assertEqual([" ".join(t.get_text().split()) for t in figure.legends[0].get_texts()][-2:],
                             ["Elastic 0.2, Published-7B, published", "Full, Published-7B, published"])
            self.assert_legible(figure)

    def test_another_device_is_refused(self):
        self.refused("was measured on one A100; these cells on NVIDIA H100 80GB HBM3; --any-device draws it all the same",
                     cell(), device="NVIDIA H100 80GB HBM3")
        self.refused("was measured on one A100; these cells on Some A1000; --any-device draws it all the same", cell(),
                     device="Some A1000")
        measured = self.bench(cell(batch=1), cell(batch=8), device="Xeon")
        self.assertEqual(len(bench.PublishedSpeeds(self.NAME, measured, True).points(measured.cells, "512+65")), 2)

    def test_other_models_and_lengths_are_refused(self):
        self.refused("is about Published-7B; measured here: smollm2", cell(model="smollm2"))
        self.refused("has values at 512+65 tokens; measured here: 128+65", cell(prompt=128))

    def test_a_table_of_perplexities_is_refused(self):
        with self.assertRaises(PlotError) as caught:
            bench.PublishedSpeeds(str(DATA / "published-fixture.yaml"), self.bench(cell()), False)
        self.assertEqual(str(caught.exception), f"--published {DATA}/published-fixture.yaml: stands beside a sweep, not a bench; "
                         "scripts/plot.py draws it")


class Reading(BenchTest):
    def refused(self, text, message):
        (self.folder / "bench.json").write_text(text)
        with self.assertRaises(PlotError) as caught:
            bench.Bench([self.folder])
        self.assertEqual(str(caught.exception), message.format(file=self.folder / "bench.json", folder=self.folder))

    def test_damage(self):
        self.refused("{\n", "{file}:2: no JSON: Expecting property name enclosed in double quotes")
        self.refused('{"schema": "x"}', "{file}: schema is 'x', 'elastikv-bench-1' is needed")
        self.refused("[]", "{file}: schema is None, 'elastikv-bench-1' is needed")
        self.refused('{"schema": "elastikv-bench-1", "cells": [{"skipped": "too large"}]}', "{folder}: no cell was run")
        with self.assertRaises(PlotError) as caught:
            bench.Bench([self.folder / "none.json"])
        self.assertEqual(str(caught.exception), f"{self.folder}/none.json: No such file or directory")

    def test_choosing(self):
        measured = self.bench(cell(), cell("elastic"))
        measured.choose("strategies", "strategy", "elastic")
        self.assertEqual([c["strategy"] for c in measured.cells], ["elastic"])
        with self.assertRaises(PlotError) as caught:
            measured.choose("dtypes", "dtype", "fp8")
        self.assertEqual(str(caught.exception), "--dtypes: no dtype that was measured 'fp8'; known: fp32")


if __name__ == "__main__":
    unittest.main()
