#include "sweep/config.h"

#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>

#include "base/configs.h"
#include "models/registry.h"
#include "support/expect_error.h"
#include "sweep/plan.h"
#include "sweep/ranges.h"

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
  EXPECT_EQ(config.models[1].prompt.format, "vicuna");
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
  EXPECT_FALSE(config.data[0].tokens->stride);
  EXPECT_EQ(config.data[0].tokens->bos, BosRule::kAuto);
  EXPECT_FALSE(data("").data[0].tokens);
  // What sweep.json keeps reads back, and windows are part of what makes a record.
  EXPECT_EQ(parse_sweep(config.json(), "sweep.json").json(), config.json());
  const SweepConfig other = data("  prompt_tokens: 512\n  answer_tokens: 4096\n  stride: 4096\n");
  EXPECT_EQ(other.data[0].tokens->stride, 4096);
  EXPECT_NE(other.records_hash(), config.records_hash());
  EXPECT_NE(data("").records_hash(), config.records_hash());
  const SweepConfig without = data("  prompt_tokens: 512\n  answer_tokens: 4096\n  bos: never\n");
  EXPECT_EQ(without.data[0].tokens->bos, BosRule::kNever);
  EXPECT_NE(without.records_hash(), config.records_hash());
  EXPECT_EQ(parse_sweep(without.json(), "sweep.json").json(), without.json());

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
  EXPECT_ERROR(data("  prompt_tokens: 8\n  answer_tokens: 5\n  stride: 4\n"),
               "s.yaml:6: key 'data.stride' is 4, below answer_tokens, which is 5: tokens would be "
               "scored in several windows");
  EXPECT_ERROR(data("  prompt_tokens: 8\n  answer_tokens: 5\n  bos: yes\n"),
               "s.yaml:6: key 'data.bos' is 'yes', needs auto, always or never");
  EXPECT_ERROR(data("  bos: auto\n"), "s.yaml:2: key 'data.prompt_tokens' is missing");
  EXPECT_ERROR(data("  prompt_token: 5\n"),
               "s.yaml:4: unknown key 'data.prompt_token'; did you mean 'prompt_tokens'?");
}

TEST(SweepConfig, ImagesAreReadAsStoredUnlessAskedFor) {
  const auto data = [](const std::string& keys) {
    return parse_sweep("models: {path: m}\ndata:\n  path: d.json\n" + keys + "strategies: [full]\n",
                       "s.yaml");
  };
  const SweepConfig config = data("");
  EXPECT_EQ(config.data[0].image_orientation, ImageOrientation::kStored);
  const SweepConfig exif = data("  image_orientation: exif\n");
  EXPECT_EQ(exif.data[0].image_orientation, ImageOrientation::kExif);
  EXPECT_NE(exif.records_hash(), config.records_hash());
  EXPECT_EQ(parse_sweep(exif.json(), "sweep.json").json(), exif.json());
  const SweepConfig both = data("  image_orientation: [stored, exif]\n");
  ASSERT_EQ(both.data.size(), 2U);
  EXPECT_NE(both.data[0].name, both.data[1].name);
  EXPECT_ERROR(data("  image_orientation: up\n"),
               "s.yaml:4: key 'data.image_orientation' is 'up', needs stored or exif");
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
  identity.engine = {"w", "t", "i", "p", "s"};
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

TEST(SweepConfig, TheEndOfAnAnswerMayBeScored) {
  const SweepConfig usual = parse("strategies: [full]\n");
  EXPECT_FALSE(usual.evaluation().score_end);
  EXPECT_EQ(usual.json().find("score_end"), std::string::npos);
  const SweepConfig with = parse("strategies: [full]\nmetrics: {perplexity: {score_end: true}}\n");
  EXPECT_TRUE(with.evaluation().score_end);
  EXPECT_TRUE(parse_sweep(with.json(), "sweep.json").evaluation().score_end);
  EXPECT_NE(with.records_hash(), usual.records_hash());
  EXPECT_NE(evaluation_text(with), evaluation_text(usual));
  EXPECT_ERROR_CONTAINS(
      parse("strategies: [full]\nmetrics: {perplexity: {score_end: true, score_last_token: "
            "false}}\n"),
      "scores what follows the last token, which score_last_token: false leaves out");
}

TEST(SweepConfig, RougeTakesOtherWordsByName) {
  const auto names = [&](const std::string& metrics) {
    return parse("strategies: [full]\nmetrics: {" + metrics + "}\n").metrics.text;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names("text: [rouge-l-pltrdy, rougeL, rougeLsum], rouge: {tokenizer: characters}"),
            (Names{"rouge-l-pltrdy", "rougeL-characters", "rougeLsum-characters"}));
  EXPECT_EQ(names("text: [rouge1, rougeLsum], rouge: {tokenizer: unicode, sentences: marks}"),
            (Names{"rouge1-unicode", "rougeLsum-unicode-sentences"}));
  EXPECT_EQ(names("text: [rougeLsum], rouge: {tokenizer: words, sentences: marks}"),
            Names{"rougeLsum-sentences"});
  EXPECT_EQ(names("text: [rougeL-unicode]"), Names{"rougeL-unicode"});
  // What is kept is the names, which say all.
  const SweepConfig config =
      parse("strategies: [full]\nmetrics: {text: [rougeL], rouge: {tokenizer: unicode}}\n");
  EXPECT_EQ(parse_sweep(config.json(), "sweep.json").metrics.text, Names{"rougeL-unicode"});
  EXPECT_ERROR_CONTAINS(names("text: [rougeL], rouge: {tokenizer: letters}"),
                        "is 'letters', needs one of words, characters, unicode");
  EXPECT_ERROR_CONTAINS(names("rouge: {tokenizer: unicode}"),
                        "speaks of rouge1, rouge2, rougeL and rougeLsum, and 'text' lists none");
  EXPECT_ERROR_CONTAINS(names("text: [rougeL], rouge: {sentences: marks}"),
                        "speaks of rougeLsum, which 'text' does not list");
}

TEST(SweepConfig, ModelsComeFromPresetsToo) {
  const std::string tail = "data: {path: d.json}\nstrategies: [full]\n";
  const SweepConfig config =
      parse_sweep("models: {preset: llava-1.5-7b-hf, device: cuda}\n" + tail, "s.yaml");
  const ModelChoice& model = config.models.at(0);
  EXPECT_EQ(model.path, "checkpoints/llava-1.5-7b-hf");
  EXPECT_EQ(model.label, "llava-1.5-7b-hf");
  EXPECT_EQ(model.dtype, "bf16");
  EXPECT_EQ(model.prompt.format, "llava-v1-elastic-cache");
  EXPECT_EQ(model.image_aspect_ratio, ImageAspectRatio::kPad);
  EXPECT_EQ(model.published_config.filename(), "llava-1.5-7b-hf.config.json");
  // What the sweep says wins, and a kept sweep reads back as it was.
  const SweepConfig changed = parse_sweep(
      "models: {preset: llava-1.5-7b-hf, path: x/y, dtype: fp16, prompt_format: vicuna-v1, "
      "image_aspect_ratio: crop, image_place: after}\n" +
          tail,
      "s.yaml");
  EXPECT_EQ(changed.models[0].label, "y");
  EXPECT_EQ(changed.models[0].dtype, "fp16");
  EXPECT_EQ(changed.models[0].prompt.format, "vicuna-v1");
  EXPECT_EQ(changed.models[0].image_aspect_ratio, ImageAspectRatio::kCrop);
  EXPECT_EQ(changed.models[0].prompt.place, ImagePlace::kAfter);
  EXPECT_NE(changed.records_hash(), config.records_hash());
  EXPECT_EQ(parse_sweep(changed.json(), "sweep.json").json(), changed.json());
  EXPECT_EQ(parse_sweep(config.json(), "sweep.json").records_hash(), config.records_hash());

  EXPECT_ERROR_CONTAINS(parse_sweep("models: {preset: llava-1.5-7b}\n" + tail, "s.yaml"),
                        "s.yaml:1: key 'models.preset' is 'llava-1.5-7b', which ");
  EXPECT_ERROR_CONTAINS(parse_sweep("models: {preset: llava-1.5-7b}\n" + tail, "s.yaml"),
                        "did you mean 'llava-v1.5-7b'?");
  EXPECT_ERROR(
      parse_sweep("models: {path: m, image_aspect_ratio: square}\n" + tail, "s.yaml"),
      "s.yaml:1: key 'models.image_aspect_ratio' is not usable: unknown image_aspect_ratio "
      "'square'; known: crop, pad");
  EXPECT_ERROR(parse_sweep("models: {path: m, picture_place: behind}\n" + tail, "s.yaml"),
               "s.yaml:1: key 'models.picture_place' is 'behind', needs auto, before or after");
}

TEST(SweepConfig, AModelsPixelsAreSaidWhereTheyAreNotPillows) {
  const std::string tail = "data: {path: d.json}\nstrategies: [full]\n";
  const SweepConfig usual = parse_sweep("models: {path: m}\n" + tail, "s.yaml");
  EXPECT_EQ(usual.models.at(0).pixels, PixelBackend::kPil);
  EXPECT_EQ(usual.json().find("pixels"), std::string::npos);
  const SweepConfig pil = parse_sweep("models: {path: m, pixels: pil}\n" + tail, "s.yaml");
  EXPECT_EQ(pil.records_hash(), usual.records_hash());

  const SweepConfig both =
      parse_sweep("models: {path: m, pixels: [pil, torchvision]}\n" + tail, "s.yaml");
  ASSERT_EQ(both.models.size(), 2U);
  EXPECT_EQ(both.models[0].pixels, PixelBackend::kPil);
  EXPECT_EQ(both.models[1].pixels, PixelBackend::kTorchvision);
  EXPECT_EQ(both.models[1].label, "m-pixels-torchvision");
  EXPECT_NE(both.records_hash(), usual.records_hash());
  const SweepConfig again = parse_sweep(both.json(), "sweep.json");
  EXPECT_EQ(again.json(), both.json());
  EXPECT_EQ(again.models.at(1).pixels, PixelBackend::kTorchvision);
  EXPECT_ERROR(parse_sweep("models: {path: m, pixels: pillow}\n" + tail, "s.yaml"),
               "s.yaml:1: key 'models.pixels' is not usable: unknown pixels 'pillow'; known: pil, "
               "torchvision");
}

TEST(SweepConfig, EveryPresetOfAModelIsReadable) {
  int64_t count = 0;
  int64_t shapes = 0;
  int64_t with_shape = 0;
  for (const auto& entry : std::filesystem::directory_iterator(configs_folder() / "models")) {
    if (entry.path().extension() == ".json") ++shapes;
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path().string());
    const SweepConfig config = parse_sweep("models: {preset: " + entry.path().stem().string() +
                                               "}\ndata: {path: d.json}\nstrategies: [full]\n",
                                           "s.yaml");
    const ModelChoice& model = config.models.at(0);
    if (model.prompt.format != PromptSettings::kAuto) {
      EXPECT_NO_THROW(prompt_format(model.prompt.format));
    }
    if (!model.published_config.empty()) {
      ++with_shape;
      const PublishedModel published = read_published_model(model.published_config);
      EXPECT_GT(published.parameters, 100'000'000);
    }
    ++count;
  }
  EXPECT_GT(count, 15);
  EXPECT_EQ(with_shape, shapes) << "a shape that no preset names";
}

TEST(PublishedModel, SizesAreThePublishedOnes) {
  // The model card of llava-hf/llava-1.5-7b-hf says 7,063,427,072 weights; the tower's last block
  // and norm, which nothing reads, are not asked for.
  const auto folder = configs_folder() / "models";
  const int64_t width = 1024;
  const int64_t unread =
      4 * (width * width + width) + 2 * 4 * width * width + 5 * width + 2 * 2 * width + 2 * width;
  const PublishedModel small = read_published_model(folder / "llava-1.5-7b-hf.config.json");
  EXPECT_EQ(small.parameters, 7063427072 - unread);
  EXPECT_EQ(small.image_tokens, 576);
  EXPECT_EQ(small.image_patches, 576);
  EXPECT_FALSE(small.images_vary);
  EXPECT_FALSE(read_published_model(folder / "qwen-vl-chat.config.json").images_vary);
  for (const char* name : {"smolvlm-256m-instruct", "qwen2-vl-2b-instruct",
                           "llava-v1.6-mistral-7b-hf", "llava-onevision-qwen2-7b-ov-hf"})
    EXPECT_TRUE(read_published_model(folder / (std::string(name) + ".config.json")).images_vary)
        << name;
  // Model cards that say how many weights there are.
  for (const auto& [name, published] : {std::pair{"llava-v1.6-mistral-7b-hf", 7566747648 - unread},
                                        std::pair{"mistral-7b-instruct-v0.2", int64_t{7241732096}},
                                        std::pair{"llama-3.2-1b-instruct", int64_t{1235814400}},
                                        std::pair{"qwen2.5-0.5b-instruct", int64_t{494032768}},
                                        std::pair{"qwen2-vl-7b-instruct", int64_t{8291375616}},
                                        std::pair{"qwen2.5-vl-3b-instruct", int64_t{3754622976}},
                                        std::pair{"qwen2.5-vl-7b-instruct", int64_t{8292166656}},
                                        std::pair{"smolvlm2-2.2b-instruct", int64_t{2246784880}}}) {
    EXPECT_EQ(read_published_model(folder / (std::string(name) + ".config.json")).parameters,
              published)
        << name;
  }
  // Vicuna-13B with 64 more tokens, CLIP ViT-L/14 at 336 pixels, and the projector.
  EXPECT_EQ(read_published_model(folder / "llava-1.5-13b-hf.config.json").parameters,
            13015864320 + 2 * 64 * 5120 + 303507456 + (1024 + 1 + 5120 + 1) * 5120 - unread);
}

TEST(SweepConfig, DataSetsPlaceImagesAndSayWhatIsExpected) {
  const SweepConfig config = parse_sweep(
      "models: {path: m}\ndata: {path: d.json, image_place: after, expect: {samples: 7, "
      "question_tokens: 5, answer_tokens: 3}}\nstrategies: [full]\n",
      "s.yaml");
  EXPECT_EQ(config.data[0].image_place, "after");
  ASSERT_TRUE(config.data[0].expected.has_value());
  EXPECT_EQ(config.data[0].expected->samples, 7);
  EXPECT_ERROR(parse_sweep("models: {path: m}\ndata: {path: d, image_place: auto}\n"
                           "strategies: [full]\n",
                           "s.yaml"),
               "s.yaml:2: key 'data.image_place' is 'auto', needs before or after");
}

}  // namespace
}  // namespace elastikv
