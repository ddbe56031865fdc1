import argparse
import dataclasses
import pathlib
import tempfile
import unittest

import folders
import legible
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.text import Text

from elastikv_plots import budget, details, fixed_point, looks, published, sizes, sweeps, tasks
from elastikv_plots.base import PlotError

DATA = pathlib.Path(__file__).parent / "data"
looks.matplotlib.rcParams["figure.dpi"] = 100  # drawn often here


def measure_of(groups, name="ppl"):
    return groups[0].run.measures[name]


def options(**changes):
    return argparse.Namespace(**{"width": "full", "intervals": "auto", "published": None, **changes})


def lines_of(axes, marker=None):
    """The lines with points, without the full cache's."""
    return [line for line in axes.lines if line.get_marker() not in ("None", None, "")
            and (marker is None or line.get_marker() == marker)]


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


class PictureTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.addCleanup(looks.plt.close, "all")
        self.folder = pathlib.Path(temporary.name)

    def groups(self, about=None, cells=None, **more):
        return sweeps.Run(folders.write(self.folder, about or folders.sweep(), cells, **more)).groups

    def looks(self, groups, extra=()):
        return looks.looks_of(list(dict.fromkeys((s.name, s.preset) for g in groups for s in g.strategies)) + list(extra))

    def assert_legible(self, figure):
        self.assertEqual(legible.faults_of(figure), [])


class Looks(PictureTest):
    def test_no_two_strategies_look_alike(self):
        names = [("elastic", "elastic"), ("variant", "elastic")] + [(f"s{i}", "other") for i in range(38)] + list(
            (name, name) for name in looks.KNOWN if name != "elastic")
        found = looks.looks_of(names)
        self.assertEqual(list(found), [name for name, _ in names])
        self.assertEqual(len(set(found.values())), len(names))

    def test_a_strategy_keeps_its_look_among_others(self):
        alone = looks.looks_of([("h2o", "h2o")])
        among = looks.looks_of([("mine", "elastic"), ("elastic", "elastic"), ("h2o", "h2o")])
        self.assertEqual(alone["h2o"], among["h2o"])
        self.assertEqual(looks.looks_of([("mine", "elastic")])["mine"], looks.KNOWN["elastic"])
        self.assertEqual(looks.KNOWN["elastic-released"][0], looks.KNOWN["elastic"][0])
        self.assertNotIn(looks.KNOWN["elastic"], [looks.KNOWN["elastic-released"], looks.KNOWN["h2o"]])

    def test_first_looks_differ_without_colour(self):
        found = looks.looks_of([(f"s{i}", "other") for i in range(10)]).values()
        self.assertEqual(len({(marker, dashes) for _, marker, dashes in found}), 10)


class Budget(PictureTest):
    def test_points_are_the_estimates(self):
        groups = self.groups()
        figure = budget.figure_of(groups, measure_of(groups), "generation", options(), self.looks(groups))
        axes, = figure.axes
        for line, name in zip(lines_of(axes), ("elastic", "h2o-released", "snapkv")):
            wanted = [groups[0].cells[name, text].estimate(measure_of(groups))[0] for text in ("0.1", "0.2", "0.5")]
            np.testing.assert_array_equal(line.get_xdata(), [0.1, 0.2, 0.5])
            np.testing.assert_array_equal(line.get_ydata(), wanted)
        self.assertEqual(legend_of(figure), ["elastic", "h2o-released", "snapkv", "full cache"])
        self.assertEqual(figure._suptitle.get_text(), "stampvlm-fp32 on scenes, 5 samples")

    def test_bands_hold_the_intervals(self):
        groups = self.groups()
        figure = budget.figure_of(groups, measure_of(groups), "generation", options(intervals="bands"), self.looks(groups))
        bands = [c for c in figure.axes[0].collections if c.get_alpha() == 0.2]
        self.assertEqual(len(bands), 3)
        _, low, high = groups[0].cells["elastic", "0.1"].estimate(measure_of(groups))
        at_first = [y for x, y in bands[0].get_paths()[0].vertices if x == 0.1]
        self.assertEqual((min(at_first), max(at_first)), (low, high))

    def test_bars_stand_side_by_side(self):
        groups = self.groups()
        figure = budget.figure_of(groups, measure_of(groups), "generation", options(intervals="bars"), self.looks(groups))
        places = [container.lines[0].get_xdata()[0] for container in figure.axes[0].containers]
        self.assertEqual(len(set(places)), 3)
        self.assertAlmostEqual(np.mean(places), 0.1)

    def test_bands_that_cover_each_other_become_bars(self):
        apart = [("a", [(0.1, 1, 0.9, 1.1)]), ("b", [(0.1, 2, 1.9, 2.1)]), ("c", [(0.1, 3, 2.9, 3.1)])]
        upon = [(name, [(0.1, 1, 0.9, 1.1)]) for name in "abc"]
        self.assertFalse(budget.muddled(apart))
        self.assertTrue(budget.muddled(upon))
        self.assertFalse(budget.muddled(upon[:2]), "two bands can be told apart")
        self.assertFalse(budget.muddled([]))

    def test_a_cell_out_of_memory_has_no_point(self):
        about = folders.sweep()
        cells = [folders.without_numbers(row) if row["cell"].endswith("elastic/0.2") else row for row in folders.cells_of(about)]
        groups = self.groups(about, cells)
        figure = budget.figure_of(groups, measure_of(groups), "generation", options(), self.looks(groups))
        np.testing.assert_array_equal(lines_of(figure.axes[0])[0].get_xdata(), [0.1, 0.5])

    def test_nothing_measured_is_no_picture(self):
        groups = self.groups()
        unknown = dataclasses.replace(measure_of(groups), columns=("rougeL", "rougeL_low", "rougeL_high"))
        self.assertIsNone(budget.figure_of(groups, unknown, "generation", options(), self.looks(groups)))
        self.assertIsNone(budget.figure_of(groups, measure_of(groups), "prompt", options(), self.looks(groups)))

    def test_panels_of_models_and_data(self):
        groups = self.groups(folders.sweep(models=("small", "large"), data=("scenes", "book")))
        for width in looks.WIDTHS:
            figure = budget.figure_of(groups, measure_of(groups), "generation", options(width=width), self.looks(groups))
            self.assertEqual([" ".join(axes.get_title(loc="left").split()) for axes in figure.axes],
                             ["small-fp32 on scenes, 5 samples", "large-fp32 on scenes, 5 samples",
                              "small-fp32 on book, 5 samples", "large-fp32 on book, 5 samples"])
            self.assertEqual(figure.get_figwidth(), looks.WIDTHS[width])
            self.assert_legible(figure)

    def test_pictures_can_be_read_in_both_widths(self):
        names = ("full", "elastic", "elastic-released", "h2o", "h2o-released", "streaming-llm", "local-released", "random",
                 "a-strategy-with-a-very-long-name")
        many = {"keep": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], "growth": ["generation", "prompt"], "keep_tokens": [16, 64, 256]}
        groups = self.groups(folders.sweep(strategies=names, budgets=many, text=("rouge-l-pltrdy", "rougeLsum-stem")))
        for width in looks.WIDTHS:
            for measure in groups[0].run.measures.values():
                for growth in ("generation", "prompt", "tokens"):
                    with self.subTest(width=width, measure=measure.name, growth=growth):
                        figure = budget.figure_of(groups, measure, growth, options(width=width), self.looks(groups))
                        self.assert_legible(figure)
                        looks.plt.close(figure)

    def test_rows_for_many_strategies(self):
        about = folders.sweep(strategies=("full", *(f"strategy-{i}" for i in range(24))))
        cells = [dict(row, ppl=9e4, ppl_low=8e4, ppl_high=9.5e4) if "strategy-7/0.1" in row["cell"] else row
                 for row in folders.cells_of(about)]
        groups = self.groups(about, cells)
        for width in looks.WIDTHS:
            figure = budget.rows_figure(groups[0], measure_of(groups), "generation", options(width=width))
            self.assertEqual([t.get_text() for t in figure.axes[0].get_yticklabels()], [f"strategy-{i}" for i in range(24)])
            self.assert_legible(figure)
            value = groups[0].cells["strategy-7", "0.1"].estimate(measure_of(groups))[0]
            self.assertIn(f"{value:.3g}", [t.get_text() for t in figure.axes[0].texts], "what lies far outside has its number")


    def test_labels_are_no_formulas(self):
        groups = self.groups(folders.sweep(strategies=("full", "cost $5 or $6 {x}", "h\u00e4lfte")))
        figure = budget.figure_of(groups, measure_of(groups), "generation", options(), self.looks(groups))
        self.assertEqual(legend_of(figure)[:2], ["cost $5 or $6 {x}", "h\u00e4lfte"])
        self.assert_legible(figure)

    def test_when_rows_read_better(self):
        def wanted(strategies, budgets, style="auto"):
            groups = self.groups(folders.sweep(strategies=strategies, budgets=budgets))
            return budget.rows_wanted(groups, "generation", style)
        one, three = ({"keep": keep, "growth": ["generation"]} for keep in ([0.5], [0.1, 0.2, 0.5]))
        few, some, many = (tuple(f"s{i}" for i in range(count)) for count in (4, 5, budget.LINES + 1))
        self.assertEqual([wanted(s, b) for s in (few, some, many) for b in (one, three)], [False, False, True, False, True, True])
        self.assertFalse(wanted(many, one, "lines"))
        self.assertTrue(wanted(few, three, "rows"))


class Published(PictureTest):
    def published(self, groups, name=DATA / "published-fixture.yaml", **more):
        return published.PublishedPoints(str(name), groups, **more)

    def draw(self, groups, points, **more):
        measure = measure_of(groups)
        extra = points.looks_wanted(groups, [measure])
        return budget.figure_of(groups, measure, "generation", options(published=points, **more), self.looks(groups, extra))

    def hollow(self, figure):
        return {line.get_marker() + to_hex(line.get_markeredgecolor()): list(zip(line.get_xdata(), line.get_ydata()))
                for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"}

    def test_hollow_points_have_their_strategies_looks(self):
        groups = self.groups()
        figure = self.draw(groups, self.published(groups))
        def key(look):
            return look[1] + look[0].lower()
        self.assertEqual(self.hollow(figure), {
            key(looks.KNOWN["elastic"]): [(0.1, 9.0), (0.2, 5.5), (0.9, 2.0)],
            key(looks.KNOWN["h2o-released"]): [(0.2, 6.5), (0.9, 3.0)],
            key(looks.look_at(3)): [(0.1, 4.0), (0.2, 3.5), (0.9, 1.75)]})
        self.assertEqual(legend_of(figure)[-3:], ["Elastic, published", "H2O, published", "PrefixKV, published"])
        self.assertEqual(" ".join(figure.legends[0].get_title().get_text().split()),
                         "Hollow: published for Published-7B (Invented et al., arXiv 0000.00000, Table 1)")
        for width in looks.WIDTHS:
            self.assert_legible(self.draw(groups, self.published(groups), width=width))

    def test_rows_have_them_too(self):
        groups = self.groups()
        for width in looks.WIDTHS:
            figure = budget.rows_figure(groups[0], measure_of(groups), "generation", options(published=self.published(groups), width=width))
            rows = [t.get_text() for t in figure.axes[0].get_yticklabels()]
            self.assertEqual(rows, ["elastic", "h2o-released", "snapkv", "published PrefixKV"])
            hollow = [[(line.get_xdata()[0], rows[line.get_ydata()[0]]) for line in axes.lines if line.get_markerfacecolor() == "none"]
                      for axes in figure.axes[:3]]
            self.assertEqual(hollow, [[(9.0, "elastic"), (4.0, "published PrefixKV")],
                                      [(5.5, "elastic"), (6.5, "h2o-released"), (3.5, "published PrefixKV")], []])
            self.assertIn("Hollow: published for Published-7B", figure._supxlabel.get_text())
            self.assert_legible(figure)

    def test_a_legend_that_is_too_high_goes_below(self):
        groups = self.groups(folders.sweep(strategies=("full", *(f"strategy-{i}" for i in range(20)))))
        figure = budget.figure_of(groups, measure_of(groups), "generation", options(), self.looks(groups))
        self.assertEqual(figure.legends[0]._outside_loc, "lower")
        self.assert_legible(figure)

    def test_the_released_code_comes_first(self):
        groups = self.groups(folders.sweep(strategies=("elastic", "elastic-released")))
        row = self.published(groups).rows_for(groups[0], measure_of(groups), "generation")[0]
        self.assertEqual((row.name, row.strategy), ("Elastic", "elastic-released"))

    def test_only_where_the_run_is_alike(self):
        groups = self.groups()
        points = self.published(groups)
        self.assertEqual(points.rows_for(groups[0], measure_of(groups), "prompt"), [], "another kind of budget")
        other = self.groups(folders.sweep(data=("book",)))
        with self.assertRaises(PlotError) as caught:
            self.published(other)
        self.assertEqual(str(caught.exception), f"--published {DATA}/published-fixture.yaml: is about Published-7B and "
                         "Published-13B on Published-Data, and no run here is (stampvlm-fp32 on book); --published-model and "
                         "--published-data name what to draw all the same")
        self.assertEqual(len(self.published(other, data="Published-Data").rows_for(other[0], measure_of(other), "generation")), 3)

    def test_another_model_by_its_name(self):
        groups = self.groups()
        text = measure_of(groups, "rouge-l-pltrdy")
        self.assertEqual(self.published(groups).rows_for(groups[0], text, "generation"), [])
        rows = self.published(groups, model="Published-13B").rows_for(groups[0], text, "generation")
        self.assertEqual([(row.name, row.model, row.points) for row in rows], [("Elastic", "Published-13B", ((0.5, 0.5),))])
        with self.assertRaises(PlotError) as caught:
            self.published(groups, model="LLaVA")
        self.assertEqual(str(caught.exception), f"--published-model: {DATA}/published-fixture.yaml has no 'LLaVA'; known: "
                         "Published-7B, Published-13B")

    def test_texts_against_another_reference_are_another_measure(self):
        groups = self.groups(folders.sweep(models=("large",), reference="dataset"))
        self.assertEqual(self.published(groups).rows_for(groups[0], measure_of(groups, "rouge-l-pltrdy"), "generation"), [])

    def test_files_that_cannot_be_drawn(self):
        groups = self.groups()
        def refused(text, message):
            file = self.folder / "mine.yaml"
            file.write_text(text)
            with self.assertRaises(PlotError) as caught:
                self.published(groups, file)
            self.assertEqual(str(caught.exception), message.format(file=file))
        whole = (DATA / "published-fixture.yaml").read_text()
        refused(whole.replace("runs: sweep", "runs: bench"), "--published {file}: stands beside a bench, not a sweep; "
                "scripts/plot_bench.py draws it")
        refused(whole.replace('"9.00"', '"nine"'), "{file}: 'nine' is neither a number nor OOM")
        refused(whole.replace('"9.00", ', ""), "{file}: Elastic has 2 values for 3 budgets")
        refused("runs: sweep\n", "{file}: does not say what a published table needs ('models')")
        refused("runs: [\n", "{file}:2: expected the node content, but found '<stream end>'")
        refused(whole[:whole.index("grids:")], "--published {file}: holds differences alone, no values to draw")

    def test_accuracies_in_percent_and_budgets_in_entries(self):
        about = folders.sweep(text=("anls",), reference="dataset", budgets={"keep": [0.1, 0.2], "keep_tokens": [64, 256]})
        groups = self.groups(about)
        file = self.folder / "mine.yaml"
        file.write_text("runs: sweep\nprotocol: {growth: generation}\nsource: {citation: Us, where: Table 1}\n"
                        "models: {M: {labels: ['*']}}\ndata: {D: {labels: ['*']}}\nstrategies: {Elastic: {paper: [elastic]}}\n"
                        "out_of: {anls: 100}\ngrids:\n"
                        "  - {model: M, data: D, measure: anls, budgets: [256t, 64t], rows: {Elastic: ['62.5', '50']}}\n"
                        "  - {model: M, data: D, measure: anls, budgets: [0.1], rows: {Elastic: ['25']}}\n")
        points, measure = self.published(groups, file), measure_of(groups, "anls")
        def of(growth):
            return [(row.strategy, row.points) for row in points.rows_for(groups[0], measure, growth)]
        self.assertEqual(of("tokens"), [("elastic", ((64.0, 0.5), (256.0, 0.625)))])
        self.assertEqual(of("generation"), [("elastic", ((0.1, 0.25),))])
        self.assertEqual(of("prompt"), [])

    def test_an_unknown_name(self):
        with self.assertRaises(PlotError) as caught:
            published.read_document("no-such-table")
        self.assertTrue(str(caught.exception).startswith("--published no-such-table: "), caught.exception)


class Tasks(PictureTest):
    METRIC = "vqa-accuracy"

    def models(self, metric=METRIC, rows=None, **about):
        about = folders.sweep(**{"data": ("textvqa", "docvqa", "pope"), "text": (self.METRIC,), "reference": "dataset", **about})
        rows = folders.tasks_of(about, metric) if rows is None else rows
        run = sweeps.Run(folders.write(self.folder, about, tasks=rows))
        return tasks.tasks_of(run, run.groups), run.groups

    def test_the_average_is_the_tables_in_percent(self):
        (model,), groups = self.models()
        figure = tasks.relative_figure(model, "generation", options(style="auto"), self.looks(groups))
        rows = {(row["strategy"], row["budget"]): float(row["value"])
                for row in folders.tasks_of(folders.sweep(data=("textvqa", "docvqa", "pope"), text=(self.METRIC,)), self.METRIC)
                if row["task"] == "(all)"}
        for line, name in zip(lines_of(figure.axes[0]), ("elastic", "h2o-released", "snapkv")):
            np.testing.assert_allclose(line.get_ydata(), [100 * rows[name, text] for text in ("0.1", "0.2", "0.5")])
        self.assertEqual([line.get_ydata()[0] for line in figure.axes[0].lines if line.get_color() == "black"], [100])
        self.assertEqual(figure._suptitle.get_text(), "stampvlm-fp32, mean over 3 tasks")
        self.assertEqual(legend_of(figure), ["elastic", "h2o-released", "snapkv", "full cache"])

    def test_each_task_in_its_own_metric(self):
        (model,), groups = self.models()
        figure = tasks.figure_of(model, "generation", options(), self.looks(groups))
        self.assertEqual([axes.get_title(loc="left") for axes in figure.axes],
                         [f"{data}: vqa-accuracy" for data in ("textvqa", "docvqa", "pope")])
        for axes, group in zip(figure.axes, groups):
            measure = measure_of(groups, self.METRIC)
            wanted = [group.cells["elastic", text].estimate(measure)[0] for text in ("0.1", "0.2", "0.5")]
            np.testing.assert_array_equal(lines_of(axes)[0].get_ydata(), wanted)
            self.assertIn(group.full.estimate(measure)[0], [line.get_ydata()[0] for line in axes.lines])

    def test_data_sets_without_a_metric_of_their_own_are_left_out(self):
        about = folders.sweep(data=("textvqa", "docvqa", "pope"), text=(self.METRIC,), reference="dataset")
        rows = folders.tasks_of(about, self.METRIC)
        (model,), _ = self.models(rows=[row for row in rows if row["task"] != "docvqa"])
        self.assertEqual([group.data for group, _ in model.panels], ["textvqa", "pope"])
        self.assertEqual(self.models(rows=[row for row in rows if row["task"] == "pope"])[0], [], "one task has a picture of its own")

    def test_a_folder_without_tasks(self):
        self.assertEqual(tasks.tasks_of(self.groups()[0].run, self.groups()), [])

    def test_models_apart_and_a_hidden_full_cache(self):
        found, _ = self.models(models=("small", "large"), strategies=("elastic", "snapkv"))
        self.assertEqual([model.model for model in found], ["small-fp32", "large-fp32"])
        self.assertEqual([s.name for s in found[1].average.strategies], ["elastic", "snapkv"])
        self.assertEqual(found[1].average.full.estimate(tasks.RELATIVE), (100, 100, 100))

    def test_readable_in_both_widths(self):
        budgets = {"keep": [0.1, 0.2, 0.5], "growth": ["generation", "prompt"], "keep_tokens": [16, 64, 256]}
        for strategies in (folders.STRATEGIES, ("full", *(f"strategy-{i}" for i in range(14)))):
            (model,), groups = self.models(data=("textvqa", "scienceqa-img", "seed-image", "pope", "mmmu-val"), budgets=budgets,
                                           strategies=strategies)
            self.assertEqual(model.growths, ["generation", "prompt", "tokens"])
            for width in looks.WIDTHS:
                for growth in model.growths:
                    with self.subTest(width=width, growth=growth, strategies=len(strategies)):
                        chosen = options(width=width, style="auto")
                        self.assert_legible(tasks.relative_figure(model, growth, chosen, self.looks(groups)))
                        if len(strategies) < budget.LINES:
                            self.assert_legible(tasks.figure_of(model, growth, chosen, self.looks(groups)))


class Sizes(PictureTest):
    def test_quality_stands_over_bytes(self):
        groups = self.groups()
        figure = sizes.figure_of(groups[0], measure_of(groups), "generation", options(), self.looks(groups))
        after, end = figure.axes
        np.testing.assert_allclose(lines_of(after)[0].get_xdata(), [0.4, 0.8, 2.0])
        wanted = [groups[0].cells["elastic", text].held("end") for text in ("0.1", "0.2", "0.5")]
        np.testing.assert_array_equal(lines_of(end)[0].get_xdata(), wanted)
        star, = lines_of(after, "*")
        self.assertEqual(list(star.get_xdata()), [4.0])
        self.assertEqual(figure._suptitle.get_text(), "stampvlm-fp32 on scenes, 5 samples; along each line budgets 0.1, 0.2, 0.5")

    def test_readable_in_both_widths(self):
        groups = self.groups(folders.sweep(strategies=("full", "elastic", "h2o", "streaming-llm", "snapkv", "random")))
        for width in looks.WIDTHS:
            for measure in groups[0].run.measures.values():
                self.assert_legible(sizes.figure_of(groups[0], measure, "generation", options(width=width), self.looks(groups)))

    def test_cells_without_bytes_make_no_picture(self):
        about = folders.sweep()
        cells = [{key: value for key, value in row.items() if not key.startswith("cache_bytes")} for row in folders.cells_of(about)]
        groups = self.groups(about, cells)
        self.assertIsNone(sizes.figure_of(groups[0], measure_of(groups), "generation", options(), self.looks(groups)))


class FixedPoint(PictureTest):
    PLACES = [("at-0", "elastic", {"generation": "{kind: fixed_point, share: 0}"}),
              ("at-half", "elastic", {"generation.share": "0.5"}),
              ("at-1", "elastic", {"generation": "{kind: fixed_point, share: 1}"}),
              ("evict-at-0", "elastic", {"compaction": "evict", "generation": "{kind: fixed_point, share: 0}"}),
              ("evict-at-1", "elastic", {"generation": "{kind: fixed_point, share: 1}", "compaction": "evict"}),
              ("before-5", "elastic", {"generation": "{kind: fixed_point, distance: 5}"}),
              ("before-25", "elastic", {"generation.distance": "25"})]

    def test_places_are_read_from_overrides(self):
        found = {name: fixed_point.place_of(sweeps.Strategy(name, preset, tuple(overrides.items())))
                 for name, preset, overrides in self.PLACES}
        self.assertEqual(found["at-half"], fixed_point.Place("elastic", "share", 0.5))
        self.assertEqual(found["evict-at-0"], fixed_point.Place("elastic, compaction: evict", "share", 0.0))
        self.assertEqual(found["evict-at-1"].base, found["evict-at-0"].base)
        self.assertEqual(found["before-25"], fixed_point.Place("elastic", "distance", 25.0))
        for overrides in ({}, {"generation": "oldest"}, {"generation": "{kind: random}"}, {"generation": "{kind: ["},
                          {"generation.kind": "oldest", "generation.share": "0.5"}, {"compaction": "evict"}):
            self.assertIsNone(fixed_point.place_of(sweeps.Strategy("x", "elastic", tuple(overrides.items()))), overrides)

    def test_a_line_per_preset_and_budget(self):
        groups = self.groups(folders.sweep(strategies=("full", *self.PLACES), budgets={"keep": [0.2, 0.5], "growth": ["generation"]}))
        for width in looks.WIDTHS:
            figure = fixed_point.figure_of(groups[0], "generation", options(width=width))
            shares, distances = figure.axes
            self.assertEqual([list(line.get_xdata()) for line in lines_of(shares)], [[0, 0.5, 1]] * 2 + [[0, 1]] * 2)
            self.assertEqual([list(line.get_xdata()) for line in lines_of(distances)], [[5, 25]] * 2)
            self.assertGreater(*distances.get_xlim())
            self.assertEqual([" ".join(entry.split()) for entry in legend_of(figure)],
                             ["elastic, budget 0.2", "elastic, budget 0.5", "elastic, compaction: evict, budget 0.2",
                              "elastic, compaction: evict, budget 0.5", "full cache"])
            self.assert_legible(figure)

    def test_one_place_is_no_curve(self):
        groups = self.groups(folders.sweep(strategies=("full", "elastic", self.PLACES[0], self.PLACES[5])))
        self.assertIsNone(fixed_point.figure_of(groups[0], "generation", options()))


class Details(PictureTest):
    def detail(self, **changes):
        head = folders.sweep(strategies=("full", "elastic", "h2o-released", "snapkv", "random"))
        groups = self.groups(head, details=[folders.detail(head, **changes)])
        return details.details_of(groups[0])[0]

    def test_shares_of_groups_that_keep_a_position(self):
        detail = self.detail()
        cell = detail.group.cells["elastic", "0.2"]
        shares, kept = detail.shares(cell), detail.kept[cell.id]
        self.assertEqual(shares.shape, (folders.KEPT_LAYERS, folders.PROMPT))
        np.testing.assert_allclose(shares.sum(axis=1), [np.mean([len(g) for g in layer]) for layer in kept])
        position = kept[0][0][0]
        self.assertEqual(shares[0, position], 1.0 if position in kept[0][1] else 0.5)
        self.assertIsNone(detail.shares(detail.group.full))

    def test_the_images_tokens_are_marked(self):
        detail = self.detail()
        figure = details.importance_figure(detail, "0.2", "full")
        line = figure.axes[0]
        np.testing.assert_allclose(line.lines[0].get_ydata(), detail.importance.mean(axis=0))
        self.assertEqual(line.get_yscale(), "log")
        self.assertEqual([edge.get_xdata()[0] for edge in line.lines[1:3]], [3.5, 19.5])
        strips = figure.axes[2]
        self.assertEqual([t.get_text() for t in strips.get_yticklabels()], ["elastic", "h2o-released", "snapkv", "random"])
        np.testing.assert_allclose(strips.images[0].get_array()[0], detail.shares(detail.group.cells["elastic", "0.2"]).mean(axis=0))

    def test_kept_patches_show_the_image(self):
        image = np.full((8, 8, 3), [1.0, 0.0, 0.0])
        shown = details.faded(image, np.array([[1.0, 0.0], [0.5, 0.0]]))
        np.testing.assert_allclose(shown[0, 0], [1, 0, 0])
        np.testing.assert_allclose(shown[0, 7], [0.87] * 3)
        np.testing.assert_allclose(shown[7, 0], [0.935, 0.435, 0.435])

    def test_layers_from_first_to_last(self):
        self.assertEqual(details.few_layers(32, 5), [0, 8, 16, 23, 31])
        self.assertEqual(details.few_layers(2, 4), [0, 1])
        self.assertEqual(details.few_layers(1, 4), [0])

    def test_images_that_do_not_divide_evenly(self):
        self.assertEqual(details.faded(np.zeros((7, 5, 3)), np.ones((4, 4))).shape, (7, 5, 3))

    def test_readable_in_both_widths(self):
        detail = self.detail()
        for width in looks.WIDTHS:
            self.assert_legible(details.importance_figure(detail, "0.2", width))
            self.assert_legible(details.overview_figure(detail, "0.2", width))
            self.assert_legible(details.layers_figure(detail, "elastic", "0.2", width))

    def test_text_alone_has_no_image(self):
        detail = self.detail(image=[0, 0], grid=[0, 0], thumbnail="")
        self.assertIsNone(details.overview_figure(detail, "0.2", "full"))
        self.assertIsNone(details.layers_figure(detail, "elastic", "0.2", "full"))
        figure = details.importance_figure(detail, "0.2", "full")
        self.assertNotIn("image's tokens", [t.get_text() for t in figure.findobj(Text)])

    def test_several_images_have_no_grid(self):
        self.assertIsNone(details.overview_figure(self.detail(grid=[0, 0]), "0.2", "full"))

    def test_an_engine_without_importance(self):
        self.assertIsNone(details.importance_figure(self.detail(importance=[]), "0.2", "full"))

    def test_zeros_have_no_logarithm(self):
        values = [[0.0] * folders.PROMPT for _ in range(3)]
        self.assertIsNone(details.importance_figure(self.detail(importance=values), "0.2", "full"))
        values[0][3] = 2.0
        self.assert_legible(details.importance_figure(self.detail(importance=values), "0.2", "full"))

    def test_damage_is_told_with_its_line(self):
        place = f"{self.folder}/details.jsonl:1: damaged: "
        def refused(message, **changes):
            with self.assertRaises(PlotError) as caught:
                detail = self.detail(**changes)
                detail.shares(detail.group.cells["elastic", "0.1"])
            self.assertEqual(str(caught.exception)[:len(place + message)], place + message)
        refused("5 importances of 24 tokens", importance=[[1.0] * 5])
        refused("a grid of 3 x 4 for 16 image tokens", grid=[3, 4])
        refused("the thumbnail is no PNG: ", thumbnail="AAAA")
        refused("the thumbnail is no PNG: ", thumbnail="%")
        cells = len(folders.cells_of(folders.sweep(strategies=("full", "elastic", "h2o-released", "snapkv", "random"))))
        refused("stampvlm-fp32/scenes/elastic/0.1 keeps position 24 of 24", kept=[[[[24]]]] * cells)

    def test_the_budget_nearest_to_a_fifth(self):
        groups = self.groups(folders.sweep(budgets={"keep": [0.5, 0.25, 0.1], "growth": ["generation"], "keep_tokens": [1]}))
        self.assertEqual(details.choose_budget(groups[0], None), "0.25")
        self.assertEqual(details.choose_budget(groups[0], "1t"), "1t")
        with self.assertRaises(PlotError) as caught:
            details.choose_budget(groups[0], "0.3")
        self.assertEqual(str(caught.exception), "--budget: no budget '0.3'; known: 0.5, 0.25, 0.1, 1t")


if __name__ == "__main__":
    unittest.main()
