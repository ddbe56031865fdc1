import json
import pathlib
import tempfile
import unittest

import folders
from elastikv_plots import measures, sweeps
from elastikv_plots.base import PlotError


class FolderTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def write(self, name, head, records=None, **more):
        return folders.write(self.folder / name, head, folders.all_records(head) if records is None else records, **more)

    def group(self, head, records=None, **more):
        return sweeps.join([sweeps.Sweep(self.write("run", head, records, **more))])[0]

    def refused(self, message, call):
        with self.assertRaises(PlotError) as caught:
            call()
        self.assertEqual(str(caught.exception), message)


class Reading(FolderTest):
    def test_a_torn_last_line_is_no_damage(self):
        head = folders.header()
        self.assertEqual(self.group(head, torn='{"cell": "x", "sa').samples, ["s0", "s1", "s2", "s3", "s4"])

    def test_the_last_record_of_a_sample_counts(self):
        head = folders.header(samples=1)
        records = folders.all_records(head)
        again = dict(next(r for r in records if r["cell"].endswith("elastic/0.2")), nll_sum=0.0)
        group = self.group(head, records + [again])
        self.assertEqual(group.estimate(group.cells["elastic", "0.2"], measures.perplexity())[0], 1.0)

    def test_damage_is_told_with_its_place(self):
        self.refused(f"{self.folder}/none: holds no sweep (sweep.json is missing)", lambda: sweeps.Sweep(self.folder / "none"))
        run = self.write("run", folders.header(), [])
        (run / "records.jsonl").write_text('{"cell": "a", "sample": "b", "status": "ok"}\n{"cell": \n')
        self.refused(f"{run}/records.jsonl:2: not valid JSON", lambda: sweeps.Sweep(run))
        (run / "records.jsonl").write_text('[1]\n')
        self.refused(f"{run}/records.jsonl:1: is not a JSON object", lambda: sweeps.Sweep(run))
        (run / "records.jsonl").write_text('{"cell": "a"}\n')
        self.refused(f"{run}/records.jsonl:1: is no record (cell, sample or status is missing)", lambda: sweeps.Sweep(run))
        (run / "records.jsonl").unlink()
        self.refused(f"{run}: holds no results (neither records.jsonl nor cells.csv, the table made of it)",
                     lambda: sweeps.Sweep(run))
        (run / "sweep.json").write_text('{"format": "another"}')
        self.refused(f"{run}/sweep.json: is not the description of a sweep's records", lambda: sweeps.Sweep(run))
        (run / "sweep.json").write_text('{"format": "elastikv-sweep-2"}')
        self.refused(f"{run}/sweep.json: damaged: config is missing", lambda: sweeps.Sweep(run))
        (run / "sweep.json").write_text('{\n"format"}')
        self.refused(f"{run}/sweep.json:2: not valid JSON: Expecting ':' delimiter", lambda: sweeps.Sweep(run))

    def test_details_that_contradict_themselves(self):
        head = folders.header()
        run = self.write("run", head, details=[folders.detail(head, kept=[])])
        cells = len(folders.cells_of(head))
        self.refused(f"{run}/details.jsonl:1: damaged: 0 kept sets of {cells} cells", sweeps.Sweep(run).details)
        line = folders.detail(head)
        del line["grid"]
        self.write("run", head, details=[line])
        self.refused(f"{run}/details.jsonl:1: damaged: grid is missing", sweeps.Sweep(run).details)

    def test_a_folder_without_details_has_none(self):
        self.assertEqual(sweeps.Sweep(self.write("run", folders.header())).details(), [])

    def test_a_sample_looked_at_again_replaces_itself(self):
        head = folders.header()
        details = [folders.detail(head), folders.detail(head, "s1"), folders.detail(head, prompt_tokens=99)]
        found = sweeps.Sweep(self.write("run", head, details=details)).details()
        self.assertEqual([(line["sample"], line["prompt_tokens"]) for _, line in found], [("s1", folders.PROMPT), ("s0", 99)])


class Samples(FolderTest):
    def test_only_samples_that_every_cell_has(self):
        head = folders.header(samples=3)
        records = [r for r in folders.all_records(head) if (r["cell"][-7:], r["sample"]) != ("ikv/0.5", "s1")]
        records = [r for r in records if not (r["cell"].endswith("snapkv/0.5") and r["sample"] == "s1")]
        group = self.group(head, records)
        self.assertEqual(group.samples, ["s0", "s2"])
        self.assertEqual(group.title, "stampvlm-fp32 on scenes, 2 of 3 samples")

    def test_a_sample_that_failed_everywhere_is_left_out_for_all(self):
        head = folders.header(samples=4)
        records = [folders.failed(r["cell"], r["sample"], "sample") if r["sample"] == "s2" else r
                   for r in folders.all_records(head)]
        group = self.group(head, records)
        self.assertEqual(group.title, "stampvlm-fp32 on scenes, 3 of 4 samples")
        self.assertIsNotNone(group.estimate(group.cells["elastic", "0.2"], measures.perplexity()))

    def test_a_cell_with_a_failed_sample_has_no_value(self):
        for status in ("failed", "oom"):
            head = folders.header(samples=3)
            records = [folders.failed(r["cell"], r["sample"], status)
                       if r["cell"].endswith("elastic/0.5") and r["sample"] == "s1" else r for r in folders.all_records(head)]
            group = self.group(head, records)
            self.assertEqual(group.samples, ["s0", "s1", "s2"])
            self.assertIsNone(group.estimate(group.cells["elastic", "0.5"], measures.perplexity()))
            self.assertIsNotNone(group.estimate(group.cells["elastic", "0.2"], measures.perplexity()))

    def test_one_sample_is_not_several(self):
        self.assertEqual(self.group(folders.header(samples=1)).title, "stampvlm-fp32 on scenes, 1 sample")

    def test_the_full_cache_may_be_a_hidden_reference(self):
        group = self.group(folders.header(strategies=("elastic",)))
        self.assertEqual(group.full.id, "stampvlm-fp32/scenes/(full)")
        self.assertEqual([s.name for s in group.strategies], ["elastic"])

    def test_choosing_strategies_leaves_the_samples(self):
        head = folders.header(samples=3)
        records = [r for r in folders.all_records(head) if not (r["cell"].endswith("snapkv/0.5") and r["sample"] == "s1")]
        group = self.group(head, records)
        group.keep_strategies(["elastic"])
        self.assertEqual((group.samples, [s.name for s in group.strategies]), (["s0", "s2"], ["elastic"]))


class Excludes(FolderTest):
    def left(self, *rules, **more):
        head = folders.header(exclude=rules, models=("small", "large"), **more)
        kept = [r for r in folders.all_records(head)]
        run = self.write("run", head, kept)
        return {f"{g.model}/{name}/{text}" for g in sweeps.join([sweeps.Sweep(run)]) for name, text in g.cells}

    def test_rules_with_globs(self):
        everything = self.left()
        self.assertEqual(len(everything), 2 * 3 * 3)
        self.assertEqual(everything - self.left({"strategy": "h2o*", "budget": "0.1"}),
                         {"small-fp32/h2o-released/0.1", "large-fp32/h2o-released/0.1"})
        self.assertEqual(everything - self.left({"model": "large", "strategy": "snapkv"}),
                         {f"large-fp32/snapkv/{b}" for b in ("0.1", "0.2", "0.5")})
        self.assertEqual(everything - self.left({"model": "large-fp32", "budget": 0.5}),
                         {f"large-fp32/{s}/0.5" for s in ("elastic", "h2o-released", "snapkv")})
        self.assertEqual(everything - self.left({"data": "other"}), set())
        # As the program writes it: lists in every part.
        self.assertEqual(everything - self.left({"model": ["small", "large-fp32"], "strategy": ["elas*c", "h2o"], "budget": ["0.1"]}),
                         {"small-fp32/elastic/0.1", "large-fp32/elastic/0.1"})

    def test_only_the_star_is_special(self):
        self.assertTrue(sweeps.fits("a[b]*", "a[b]c"))
        self.assertFalse(sweeps.fits("a?c", "abc"))
        self.assertTrue(sweeps.fits(1.0, "1"))
        self.assertFalse(sweeps.fits([], "x"))

    def test_a_full_cache_that_is_excluded_is_a_hidden_reference(self):
        head = folders.header(exclude=[{"strategy": ["full"]}], samples=2)
        records = [dict(r, cell="stampvlm-fp32/scenes/(full)") if r["cell"].endswith("/full") else r for r in folders.all_records(head)]
        group = self.group(head, records)
        self.assertEqual((group.full.id, group.samples), ("stampvlm-fp32/scenes/(full)", ["s0", "s1"]))

    def test_excluded_cells_need_no_records(self):
        head = folders.header(exclude=[{"strategy": "snapkv", "budget": "0.5"}], samples=3)
        records = [r for r in folders.all_records(head) if not r["cell"].endswith("snapkv/0.5")]
        self.assertEqual(len(self.group(head, records).samples), 3)

    def test_a_group_that_is_excluded_altogether_is_none(self):
        head = folders.header(models=("small", "large"), exclude=[{"model": "large"}])
        run = self.write("run", head, [r for r in folders.all_records(head) if r["cell"].startswith("small")])
        self.assertEqual([g.model for g in sweeps.join([sweeps.Sweep(run)])], ["small-fp32"])


class Joining(FolderTest):
    def join(self, *heads, names=("a", "b")):
        return sweeps.join([sweeps.Sweep(self.write(name, head)) for name, head in zip(names, heads)])

    def test_strategies_of_both_over_the_same_samples(self):
        group, = self.join(folders.header(strategies=("full", "elastic"), samples=5),
                           folders.header(strategies=("full", "h2o-released"), samples=3))
        self.assertEqual([s.name for s in group.strategies], ["elastic", "h2o-released"])
        self.assertEqual(group.title, "stampvlm-fp32 on scenes, 3 samples")
        for key in (("elastic", "0.2"), ("h2o-released", "0.2")):
            self.assertIsNotNone(group.estimate(group.cells[key], measures.perplexity()))

    def test_budgets_of_both_make_one_line(self):
        group, = self.join(folders.header(strategies=("elastic",), budgets={"keep": [0.5], "growth": ["generation"]}),
                           folders.header(strategies=("elastic",), budgets={"keep": [0.1, 0.5], "growth": ["generation"]}))
        self.assertEqual([cell.budget.text for cell in group.of_strategy("elastic", "generation")], ["0.1", "0.5"])
        self.assertEqual([s.name for s in group.strategies], ["elastic"])

    def test_other_settings_are_another_strategy(self):
        other = folders.header(strategies=(("elastic", "elastic", {"compaction": "evict"}),), name="second")
        group, = self.join(folders.header(strategies=("elastic",)), other)
        self.assertEqual([s.name for s in group.strategies], ["elastic", "elastic (second)"])

    def test_other_models_stand_beside(self):
        found = self.join(folders.header(), folders.header(models=("large",), data=("scenes", "book")))
        self.assertEqual([g.name for g in found], ["stampvlm-fp32 on scenes", "large-fp32 on scenes", "large-fp32 on book"])

    def test_what_cannot_be_joined(self):
        first, second = self.folder / "a", self.folder / "b"
        head = folders.header()
        def differing(message, **changes):
            other = json.loads(json.dumps(head))
            for path, value in changes.items():
                *where, last = path.split("__")
                at = other
                for key in where:
                    at = at[key]
                at[last] = value
            self.refused(message, lambda: self.join(head, other))
        differing(f"{second}: differs from {first} in the weights of model 'stampvlm-fp32'; draw the two apart",
                  engines={"stampvlm-fp32": {"weights": "others", "tokenizer": "t"}})
        differing(f"{second}: differs from {first} in metrics.perplexity; draw the two apart",
                  config__metrics__perplexity={"enabled": True, "score_last_token": False})
        differing(f"{second}: differs from {first} in metrics.reference; draw the two apart", config__metrics__reference="dataset")
        differing(f"{second}: differs from {first} in generation.max_new_tokens; draw the two apart",
                  config__generation={"max_new_tokens": 4})
        differing(f"{second}: shares no sample of 'scenes' with {first}", data__scenes__samples=["other"])

    def test_samples_of_other_content_are_not_joined(self):
        head = folders.header(samples=2)
        first, second = ([dict(r, item=f"{r['sample']}{changed}") for r in folders.all_records(head)] for changed in ("", "'"))
        for record in second:
            record["item"] = "s0" if record["sample"] == "s0" else record["item"]
        runs = [sweeps.Sweep(self.write(name, head, records)) for name, records in (("a", first), ("b", second))]
        self.refused(f"{self.folder}/b: differs from {self.folder}/a in the content of sample 's1' of 'scenes'; draw the two apart",
                     lambda: sweeps.join(runs))

    def test_another_number_of_samples_is_no_other_data(self):
        heads = folders.header(strategies=("elastic",)), folders.header(strategies=("h2o",), samples=2)
        heads[1]["data"]["scenes"]["content"] = "the hash of two samples"
        group, = self.join(*heads)
        self.assertEqual(group.samples, ["s0", "s1"])

    def test_tables_alone_are_not_joined(self):
        head = folders.header()
        run = self.write("a", head)
        (run / "records.jsonl").unlink()
        (run / "cells.csv").write_text("cell,samples\n")
        self.refused(f"{run}: records.jsonl is missing; runs are joined by their samples' records",
                     lambda: sweeps.join([sweeps.Sweep(run), sweeps.Sweep(self.write("b", head))]))


class Budgets(unittest.TestCase):
    def test_texts_are_those_of_cell_names(self):
        found = sweeps.budgets_of({"budgets": {"keep": [0.05, 1.0], "growth": ["generation", "prompt"], "keep_tokens": [256]}})
        self.assertEqual([b.text for b in found], ["0.05", "1", "0.05p", "1p", "256t"])

    def test_one_stands_for_a_list(self):
        self.assertEqual(sweeps.budgets_of({"budgets": {"keep": 0.2, "growth": "prompt"}}), [sweeps.Budget("0.2p", 0.2, "prompt")])
        self.assertEqual(sweeps.budgets_of({"budgets": {"keep": [0.2]}}), [sweeps.Budget("0.2", 0.2, "generation")])
        self.assertEqual(sweeps.budgets_of({}), [])


if __name__ == "__main__":
    unittest.main()
