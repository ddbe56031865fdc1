#include "sweep/config.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "sweep/plan.h"

namespace elastikv {
namespace {

constexpr const char* kHead = "models: {path: models/tiny}\ndata: {path: d.json}\n";

SweepConfig parse(const std::string& tail, const SweepOverrides& overrides = {}) {
  return parse_sweep(kHead + tail, "s.yaml", overrides);
}

std::vector<std::string> budget_texts(const SweepConfig& config) {
  std::vector<std::string> texts;
  for (const BudgetChoice& budget : config.budgets) texts.push_back(budget.text());
  return texts;
}

using Texts = std::vector<std::string>;

TEST(SweepConfig, DefaultsAreFilledIn) {
  const SweepConfig config = parse("strategies: [full]\n");
  EXPECT_EQ(config.name, "s");
  EXPECT_EQ(config.output, "results/s");
  EXPECT_EQ(config.models[0].label, "tiny");
  EXPECT_EQ(config.models[0].dtype, "fp32");
  EXPECT_EQ(config.data[0].name, "d");
  EXPECT_EQ(config.max_new_tokens, 128);
  EXPECT_EQ(config.bootstrap.iterations, 1000);
  EXPECT_EQ(config.metrics.text, Texts{"rouge-l-pltrdy"});
  EXPECT_TRUE(config.evaluation().generate);
}

TEST(SweepConfig, ReadsEveryKey) {
  const SweepConfig config = parse_sweep(R"(
name: all
models:
  - {path: a/m, label: one, device: cpu, dtype: [fp32, bfloat16], prompt_format: vicuna}
data:
  - {path: x.json, format: llava, name: x, turn: 2, image_root: pics, limit: 3, offset: 1,
     sample_ids: [p, q]}
  - {path: y.txt, format: text, context_words: 10, answer_words: 5}
strategies:
  - elastic
  - preset: elastic
    name: mine
    set: {generation.distance: 12, selection: {sinks: 2}, compaction: {kind: merge_nearest, share: 1}}
budgets: {keep: [0.5, 1], keep_tokens: [64], growth: prompt}
metrics:
  perplexity: {enabled: true, score_last_token: false}
  text: [rougeL, rougeLsum]
  reference: dataset
  agreement: false
generation: {max_new_tokens: 7}
bootstrap: {iterations: 10, seed: 3}
compare_with: [mine, elastic]
seed: 5
output: out/here
)",
                                         "s.yaml");
  ASSERT_EQ(config.models.size(), 2U);
  EXPECT_EQ(config.models[1].dtype, "bf16");
  EXPECT_EQ(config.models[1].prompt_format, "vicuna");
  EXPECT_EQ(config.data[0].turn, "2");
  EXPECT_EQ(config.data[0].limit, 3);
  EXPECT_EQ(config.data[0].offset, 1);
  EXPECT_EQ(config.data[0].sample_ids, (Texts{"p", "q"}));
  EXPECT_EQ(config.data[0].image_root, "pics");
  EXPECT_EQ(config.data[1].answer_words, 5);
  EXPECT_EQ(config.strategies[1].label, "mine");
  EXPECT_EQ(config.strategies[1].origin, "s.yaml:11");
  EXPECT_EQ(config.strategies[1].overrides,
            (std::vector<std::pair<std::string, std::string>>{
                {"generation.distance", "12"},
                {"selection.sinks", "2"},
                {"compaction", "{kind: merge_nearest, share: 1}"}}));
  EXPECT_EQ(config.compare_with, (Texts{"mine", "elastic"}));
  EXPECT_EQ(budget_texts(config), (Texts{"0.5p", "1p", "64t"}));
  EXPECT_FALSE(config.metrics.score_last_token);
  EXPECT_EQ(config.metrics.reference, TextReference::kDataSet);
  EXPECT_EQ(config.seed, 5U);
  EXPECT_EQ(config.bootstrap.seed, 3U);
  EXPECT_EQ(config.output, "out/here");

  // What sweep.json keeps reads back as the same sweep.
  const SweepConfig again = parse_sweep(config.json(), "sweep.json");
  EXPECT_EQ(again.json(), config.json());
  EXPECT_EQ(again.records_hash(), config.records_hash());
}

TEST(SweepConfig, UnknownKeysNameLineAndNearest) {
  EXPECT_ERROR(parse("strategies: [full]\nbudget: {keep: [0.1]}\n"),
               "s.yaml:4: unknown key 'budget'; did you mean 'budgets'?");
  EXPECT_ERROR(parse("strategies: [full]\ncells: alone\n"),
               "s.yaml:4: key 'cells' is 'alone'; 'together' or 'one-by-one' is needed");
  EXPECT_ERROR(
      parse("strategies: [full]\ncells: one-by-one\n"),
      "s.yaml:4: key 'cells' one-by-one times perplexity alone: 'metrics' needs text: [] and "
      "agreement: false");
  EXPECT_ERROR(parse("strategies: [full]\nmetrics: {perplexty: true}\n"),
               "s.yaml:4: unknown key 'metrics.perplexty'; did you mean 'perplexity'?");
  EXPECT_ERROR(parse("strategies: [full]\nmetrics: {text: [rouge-l-pltry]}\n"),
               "s.yaml:4: key 'metrics.text' is not usable: metric 'rouge-l-pltry' is not known; "
               "did you mean 'rouge-l-pltrdy'?");
  EXPECT_ERROR(
      parse_sweep("models: {path: m, dtype: fp23}\ndata: {path: d}\nstrategies: [full]", "s.yaml"),
      "s.yaml:1: key 'models.dtype' is not usable: dtype 'fp23' is not known; did you "
      "mean 'fp32'?");
  EXPECT_ERROR(
      parse_sweep("models: {path: m}\ndata: {path: d, format: lava}\nstrategies: [full]", "s.yaml"),
      "s.yaml:2: key 'data.format' is 'lava', no known format; did you mean 'llava'?");
}

TEST(SweepConfig, ComparesWithItsOwnStrategies) {
  const auto of = [](const std::string& strategies, const std::string& more = "") {
    return parse("strategies: " + strategies + "\nbudgets: {keep: 0.5}\n" + more).compare_with;
  };
  EXPECT_EQ(of("[full, elastic, h2o]"), Texts{"elastic"});
  EXPECT_EQ(of("[full, h2o]"), Texts{});
  EXPECT_EQ(of("[full, h2o]", "compare_with: h2o\n"), Texts{"h2o"});
  EXPECT_EQ(of("[full, elastic]", "compare_with: []\n"), Texts{});
  EXPECT_ERROR(of("[full, h2o]", "compare_with: [h2p]\n"),
               "s.yaml:5: key 'compare_with[0]' names no strategy of this sweep: 'h2p'; did you "
               "mean 'h2o'?");
}

TEST(SweepConfig, BudgetsOutsideTheirRangeAreErrors) {
  const auto keep = [](const std::string& value) {
    return parse("strategies: [elastic]\nbudgets:\n  keep: [0.5, " + value + "]\n");
  };
  const std::string rule = ", a budget is a fraction kept: above 0 and at most 1";
  EXPECT_ERROR(keep("0"), "s.yaml:5: key 'budgets.keep[1]' is 0" + rule);
  EXPECT_ERROR(keep("-0.5"), "s.yaml:5: key 'budgets.keep[1]' is -0.5" + rule);
  EXPECT_ERROR(keep("1.5"), "s.yaml:5: key 'budgets.keep[1]' is 1.5" + rule);
  EXPECT_ERROR(keep("nan"), "s.yaml:5: key 'budgets.keep[1]' is nan" + rule);
  EXPECT_ERROR(keep("inf"), "s.yaml:5: key 'budgets.keep[1]' is inf" + rule);
  EXPECT_ERROR(keep(".nan"), "s.yaml:5: key 'budgets.keep[1]' needs a number, not '.nan'");
  EXPECT_ERROR(keep("half"), "s.yaml:5: key 'budgets.keep[1]' needs a number, not 'half'");
  EXPECT_ERROR(keep("0.5"), "s.yaml:5: key 'budgets.keep[1]' gives the budget 0.5 twice");
  EXPECT_ERROR(keep("0.1-0.3"),
               "s.yaml:5: key 'budgets.keep[1]' is not usable: range '0.1-0.3' needs a step, for "
               "example 0.1-0.3+0.1");
  EXPECT_ERROR(keep("0.9-0.1+0.1"),
               "s.yaml:5: key 'budgets.keep[1]' is not usable: range '0.9-0.1+0.1' needs first <= "
               "last and a step that leads from one to the other");
  EXPECT_ERROR(
      parse("strategies: [elastic]\nbudgets: {keep_tokens: [0]}\n"),
      "s.yaml:4: key 'budgets.keep_tokens[0]' is 0, needs a whole number of tokens from 1");
  EXPECT_ERROR(parse("strategies: [elastic]\nbudgets: {keep_tokens: 2.5}\n"),
               "s.yaml:4: key 'budgets.keep_tokens' is 2.5, needs a whole number of tokens from 1");
  EXPECT_ERROR(parse("strategies: [elastic]\n"), "s.yaml:1: key 'budgets' is missing");
  EXPECT_ERROR(parse("strategies: [elastic]\nbudgets: {growth: prompt}\n"),
               "s.yaml:4: key 'budgets' needs 'keep' or 'keep_tokens'");
  EXPECT_ERROR(parse("strategies: [elastic]\nbudgets: {keep: [0.1], growth: no}\n"),
               "s.yaml:4: key 'budgets.growth' is 'no', needs generation or prompt");
}

TEST(SweepConfig, TextIsCutIntoWordsOrTokens) {
  const auto data = [](const std::string& keys) {
    return parse_sweep("models: {path: m}\ndata:\n  path: d.txt\n" + keys + "strategies: [full]\n",
                       "s.yaml");
  };
  const SweepConfig config = data("  prompt_tokens: 512\n  answer_tokens: 4096\n");
  ASSERT_TRUE(config.data[0].tokens);
  EXPECT_EQ(config.data[0].tokens->prompt_tokens, 512);
  EXPECT_EQ(config.data[0].tokens->answer_tokens, 4096);
  EXPECT_EQ(config.data[0].tokens->step(), 4608);
  EXPECT_FALSE(data("").data[0].tokens);
  // What sweep.json keeps reads back, and windows are part of what makes a record.
  EXPECT_EQ(parse_sweep(config.json(), "sweep.json").json(), config.json());
  const SweepConfig other = data("  prompt_tokens: 512\n  answer_tokens: 4096\n  stride: 4096\n");
  EXPECT_EQ(other.data[0].tokens->step(), 4096);
  EXPECT_NE(other.records_hash(), config.records_hash());
  EXPECT_NE(data("").records_hash(), config.records_hash());

  EXPECT_ERROR(data("  prompt_tokens: 512\n"), "s.yaml:2: key 'data.answer_tokens' is missing");
  EXPECT_ERROR(data("  stride: 512\n  answer_tokens: 5\n"),
               "s.yaml:2: key 'data.prompt_tokens' is missing");
  EXPECT_ERROR(data("  prompt_tokens: 512\n  answer_words: 5\n  answer_tokens: 5\n"),
               "s.yaml:5: key 'data.answer_words' excludes 'answer_tokens': a text is cut into "
               "windows of words or of tokens");
  EXPECT_ERROR(data("  prompt_tokens: 0\n  answer_tokens: 5\n"),
               "s.yaml:4: key 'data.prompt_tokens' is 0, needs to be at least 1");
  EXPECT_ERROR(data("  prompt_tokens: 5\n  answer_tokens: 5\n  stride: 0\n"),
               "s.yaml:6: key 'data.stride' is 0, needs to be at least 1");
  EXPECT_ERROR(data("  prompt_token: 5\n"),
               "s.yaml:4: unknown key 'data.prompt_token'; did you mean 'prompt_tokens'?");
}

TEST(SweepConfig, NamesMustBeDistinctAndFitForTables) {
  EXPECT_ERROR(
      parse("strategies: [full, full]\n"),
      "s.yaml:3: key 'strategies' has two entries named 'full'; give them different names");
  EXPECT_ERROR(
      parse("strategies:\n - {preset: elastic, name: a/b}\nbudgets: {keep: 0.5}\n"),
      "s.yaml:4: key 'strategies[0].name' is 'a/b', a name may have letters, digits and the "
      "characters . _ - +");
}

TEST(SweepConfig, CommandLineWinsOverTheFile) {
  SweepOverrides overrides;
  overrides.set = {parse_set_option("budgets.keep=0.1,0.3-0.5+0.1"),
                   parse_set_option("strategies=full,elastic"),
                   parse_set_option("generation.max_new_tokens=3"),
                   parse_set_option("metrics.perplexity.score_last_token=false")};
  overrides.limit = 2;
  overrides.device = "cuda:1";
  overrides.dtype = "bf16,fp32";
  overrides.output = "elsewhere";
  const SweepConfig config = parse("strategies: [full]\n", overrides);
  EXPECT_EQ(budget_texts(config), (Texts{"0.1", "0.3", "0.4", "0.5"}));
  EXPECT_EQ(config.strategies[1].preset, "elastic");
  EXPECT_EQ(config.max_new_tokens, 3);
  EXPECT_FALSE(config.metrics.score_last_token);
  EXPECT_EQ(config.data[0].limit, 2);
  ASSERT_EQ(config.models.size(), 2U);
  EXPECT_EQ(config.models[0].dtype, "bf16");
  EXPECT_EQ(config.models[1].device, "cuda:1");
  EXPECT_EQ(config.output, "elsewhere");

  overrides = {};
  overrides.limit = 0;
  EXPECT_ERROR(parse("strategies: [full]\n", overrides), "--limit is 0, needs to be at least 1");
  overrides = {};
  overrides.device = "gpu";
  EXPECT_ERROR(parse("strategies: [full]\n", overrides),
               "device 'gpu' is not known; use cpu, cuda or cuda:N");
  overrides = {};
  overrides.set = {parse_set_option("budgets.keep=2")};
  EXPECT_ERROR(parse("strategies: [elastic]\n", overrides),
               "s.yaml:1: key 'budgets.keep' is 2, a budget is a fraction kept: above 0 and at "
               "most 1 (with --set budgets.keep=2)");
  EXPECT_ERROR(parse_set_option("=3"), "--set =3: needs the form key.subkey=value");
  EXPECT_ERROR(parse_set_option("x"), "--set x: needs the form key.subkey=value");
}

TEST(SweepConfig, HashNamesWhatChangesRecords) {
  const SweepConfig base = parse("strategies: [elastic]\nbudgets: {keep: [0.5]}\n");
  const auto hash = [](const std::string& tail, const SweepOverrides& overrides = {}) {
    return parse("strategies: [elastic]\n" + tail, overrides).records_hash();
  };
  SweepOverrides selection;
  selection.limit = 3;
  selection.output = "x";
  EXPECT_EQ(hash("budgets: {keep: [0.5]}\nname: other\nbootstrap: {seed: 1}\n", selection),
            base.records_hash());
  EXPECT_NE(hash("budgets: {keep: [0.5, 0.6]}\n"), base.records_hash());
  EXPECT_NE(hash("budgets: {keep: [0.5], growth: prompt}\n"), base.records_hash());
  EXPECT_NE(hash("budgets: {keep: [0.5]}\nseed: 1\n"), base.records_hash());
  EXPECT_NE(hash("budgets: {keep: [0.5]}\nmetrics: {perplexity: {score_last_token: false}}\n"),
            base.records_hash());
}

TEST(ExpandRange, StepsAreRoundedToTheDecimalsWritten) {
  // 0.1 + 2 * 0.1 is 0.30000000000000004 in binary; the range must mean 0.3.
  EXPECT_EQ(expand_range("0.1-0.9+0.1"),
            (std::vector<double>{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}));
  EXPECT_EQ(expand_range("0.1-0.5+0.25"), (std::vector<double>{0.1, 0.35}));
  EXPECT_EQ(expand_range("64-512*2"), (std::vector<double>{64, 128, 256, 512}));
  EXPECT_EQ(expand_range("2-4"), (std::vector<double>{2, 3, 4}));
  EXPECT_TRUE(expand_range("0.5").empty());
  EXPECT_TRUE(expand_range("1e-3").empty());
  EXPECT_TRUE(expand_range("-0.5").empty());
  EXPECT_TRUE(expand_range("a-b").empty());
  EXPECT_ERROR(expand_range("0.1-0.9+0"),
               "range '0.1-0.9+0' needs first <= last and a step that leads from one to the other");
  EXPECT_ERROR(expand_range("0-1000000"), "range '0-1000000' has over 1000 values");
}

TEST(PlanCells, FullComesFirstAndOnce) {
  const std::vector<CellGroup> groups =
      plan_cells(parse("strategies: [elastic, full, h2o]\nbudgets: {keep: [0.5, 0.2]}\n"));
  ASSERT_EQ(groups.size(), 1U);
  Texts ids;
  for (const Cell& cell : groups[0].cells) ids.push_back(cell.id);
  EXPECT_EQ(ids, (Texts{"tiny-fp32/d/full", "tiny-fp32/d/elastic/0.5", "tiny-fp32/d/elastic/0.2",
                        "tiny-fp32/d/h2o/0.5", "tiny-fp32/d/h2o/0.2"}));
  EXPECT_FALSE(groups[0].cells[0].hidden);
  EXPECT_EQ(groups[0].shown_cells(), 5);
}

TEST(PlanCells, FullIsAddedHiddenWhenItIsNotListed) {
  const std::vector<CellGroup> groups =
      plan_cells(parse("strategies: [elastic]\nbudgets: {keep_tokens: 64-256*2}\n"));
  ASSERT_EQ(groups[0].cells.size(), 4U);
  EXPECT_TRUE(groups[0].cells[0].hidden);
  EXPECT_TRUE(groups[0].cells[0].is_full());
  EXPECT_EQ(groups[0].cells[3].id, "tiny-fp32/d/elastic/256t");
  EXPECT_EQ(groups[0].shown_cells(), 3);
}

TEST(RecordKey, EveryPartCounts) {
  CellIdentity identity;
  identity.engine = {"w", "t", "i", "p"};
  const std::string base = record_key(identity);
  std::string CellIdentity::*parts[] = {&CellIdentity::data_item, &CellIdentity::strategy,
                                        &CellIdentity::budget,    &CellIdentity::device,
                                        &CellIdentity::dtype,     &CellIdentity::evaluation,
                                        &CellIdentity::batch,     &CellIdentity::program};
  std::vector<std::string> keys{base};
  for (const auto part : parts) {
    CellIdentity changed = identity;
    changed.*part = "x";
    keys.push_back(record_key(changed));
  }
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(std::unique(keys.begin(), keys.end()), keys.end());
}

TEST(SweepConfig, CellsRunTogetherAndInOnePassUnlessToldOtherwise) {
  const SweepConfig usual = parse("strategies: [full]\n");
  EXPECT_TRUE(usual.evaluation().cells_together);
  EXPECT_TRUE(usual.evaluation().one_pass);
  EXPECT_EQ(usual.json().find("one_pass"), std::string::npos);
  const SweepConfig alone = parse(
      "strategies: [full]\ncells: one-by-one\n"
      "metrics: {text: [], agreement: false, perplexity: {one_pass: false}}\n");
  EXPECT_FALSE(alone.evaluation().cells_together);
  EXPECT_FALSE(alone.evaluation().one_pass);
  const SweepConfig again = parse_sweep(alone.json(), "sweep.json");
  EXPECT_FALSE(again.evaluation().cells_together);
  EXPECT_FALSE(again.evaluation().one_pass);
}

}  // namespace
}  // namespace elastikv
