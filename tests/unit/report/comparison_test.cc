#include "report/comparison.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "report/comparison_output.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "sweep/config.h"
#include "sweep/plan.h"

namespace elastikv {
namespace {

using State = ProtocolPoint::State;

constexpr const char* kTable = R"(id: small
title: "A small table"
source: {citation: "A paper", arxiv: "1234.56789", where: "Table 1"}
runs: sweep
protocol:
  dtype: bf16
  growth: generation
  batch: 1
  samples: 2
  which: "the first 2"
  score_last_token: false
  text_metric: rouge-l-pltrdy
  text_reference: full-cache
  max_new_tokens: 64
  prompt_format: llava-v1-hf
  image_aspect_ratio: pad
  picture_place: question
  weights: "theirs"
models: {Big: {labels: ["big*"]}}
data: {Scenes: {labels: ["scenes*"]}}
strategies:
  A: {released: [a-released], paper: [a]}
  B: {released: [b-released], paper: [b]}
  Full: {released: [full], paper: [full]}
notes: ["A note."]
values:
  - {model: Big, data: Scenes, budget: 0.5, strategy: A, measure: ppl, value: "2.72"}
  - {model: Big, data: Scenes, budget: 0.2, strategy: B, measure: ppl, value: "9"}
  - {model: Big, data: Scenes, budget: 1, strategy: Full, measure: ppl, value: "2.0"}
  - {model: Big, data: Scenes, budget: 0.5, strategy: A, measure: rouge-l-pltrdy, value: "0.50"}
differences:
  - {model: Big, data: Scenes, budget: 0.5, strategy: B, minus: A, measure: ppl, value: "1.0"}
  - {model: Big, data: Scenes, budget: 0.5, strategy: A, minus: B, measure: rouge-l-pltrdy, value: "0.1"}
)";

PublishedTable small_table(const std::string& line = "", const std::string& other = "") {
  std::string text = kTable;
  if (!line.empty()) {
    const size_t at = text.find(line);
    EXPECT_NE(at, std::string::npos) << line;
    text.replace(at, line.size(), other);
  }
  return parse_published(text, "small.yaml", "small");
}

/// What a made sweep is like; the defaults meet kTable's protocol in all points.
struct Made {
  std::string label = "big-7b";
  std::string data = "scenes";
  std::string dtype = "bf16";
  std::string model_more = ", prompt_format: llava-v1-hf, image_aspect_ratio: pad";
  std::string data_more;
  std::string strategies = "full, a, a-released, b-released";
  std::string budgets = "keep: [0.5]";
  std::string metrics =
      "perplexity: {score_last_token: false}, text: [rouge-l-pltrdy], agreement: false";
  std::string more = "generation: {max_new_tokens: 64}";
  int64_t samples = 2;
  std::map<std::string, std::string> provenance;
  std::vector<StoredSample> stored{{"s0", "<image>\nq", "a", {}, {}, {"0.png"}, "", {}, ""},
                                   {"s1", "q\n<image>", "a", {}, {}, {"1.png"}, "", {}, ""}};
  /// Log likelihood per token and F of a strategy's sample.
  std::function<double(const std::string&, int64_t)> nll = [](const std::string& strategy,
                                                              int64_t sample) {
    return strategy == "full" ? 0.5 : strategy.starts_with("a") ? 1.0 : 1.5 + 0.25 * sample;
  };
  std::function<void(Record&)> change = [](Record&) {};
  std::function<bool(const std::string& cell, int64_t sample)> there = [](const std::string&,
                                                                          int64_t) { return true; };
};

ComparedRun make_run(const Made& made, const std::string& folder = "results/made") {
  std::string strategies;
  std::vector<std::string> labels;
  std::string rest = made.strategies + ", ";
  for (size_t at = rest.find(", "); at != std::string::npos; at = rest.find(", ")) {
    const std::string label = rest.substr(0, at);
    rest.erase(0, at + 2);
    labels.push_back(label);
    const char* preset = label == "full" ? "full" : label.starts_with("a") ? "elastic" : "h2o";
    strategies += fmt::format("  - {{preset: {}, name: {}}}\n", preset, label);
  }
  const std::string config = fmt::format(
      "name: made\nmodels: {{path: m, label: {}, dtype: {}{}}}\n"
      "data: {{path: d.json, name: {}{}}}\nstrategies:\n{}budgets: {{{}}}\nmetrics: {{{}}}\n{}\n",
      made.label, made.dtype, made.model_more, made.data, made.data_more, strategies, made.budgets,
      made.metrics, made.more);
  const SweepConfig parsed = parse_sweep(config, "made.yaml");
  ComparedRun run;
  run.folder = folder;
  StoredSweep& sweep = run.sweep.emplace();
  sweep.header.name = "made";
  sweep.header.config = parsed.json();
  sweep.header.provenance = made.provenance;
  SweepHeader::Data& data = sweep.header.data[made.data];
  for (int64_t i = 0; i < made.samples; ++i) data.samples.push_back(fmt::format("s{}", i));
  if (!made.stored.empty()) sweep.samples[made.data] = made.stored;
  for (const CellGroup& group : plan_cells(parsed)) {
    for (const Cell& cell : group.cells) {
      for (int64_t i = 0; i < made.samples; ++i) {
        if (!made.there(cell.id, i)) continue;
        Record record;
        record.cell = cell.id;
        record.sample = fmt::format("s{}", i);
        if (parsed.metrics.perplexity) {
          record.outcome.nll_sum = 4 * made.nll(cell.strategy.label, i);
          record.outcome.scored_tokens = 4;
        }
        for (size_t m = 0; m < parsed.metrics.text.size(); ++m) {
          const double f = 0.25 + 0.25 * static_cast<double>(i) +
                           (cell.strategy.label.starts_with("a") ? 0.125 : 0);
          record.scores.push_back(Score{f, f, f, 1});
        }
        made.change(record);
        sweep.records.add(std::move(record));
      }
    }
  }
  return run;
}

ComparedPair compare_one(const Made& made, const PublishedTable& table = small_table(),
                         const ComparisonNames& names = {}) {
  const auto comparisons =
      compare_with_published({table}, {make_run(made)}, names, /*all_tables=*/true);
  EXPECT_EQ(comparisons.size(), 1U);
  EXPECT_EQ(comparisons.front().pairs.size(), 1U);
  return comparisons.front().pairs.front();
}

const ComparedValue& value_of(const ComparedPair& pair, const std::string& strategy,
                              const std::string& measure) {
  for (const ComparedValue& value : pair.values) {
    if (value.strategy == strategy && value.theirs.measure == measure) return value;
  }
  throw std::runtime_error("no value of " + strategy);
}

const ProtocolPoint& point_of(const ComparedPair& pair, const std::string& name) {
  for (const ProtocolPoint& point : pair.protocol) {
    if (point.name == name) return point;
  }
  throw std::runtime_error("no point " + name);
}

void expect_point(const ComparedPair& pair, const std::string& name, State state,
                  const std::string& ours, const std::string& theirs) {
  const ProtocolPoint& point = point_of(pair, name);
  EXPECT_EQ(point.state, state) << name;
  EXPECT_EQ(point.ours, ours) << name;
  EXPECT_EQ(point.theirs, theirs) << name;
}

TEST(Comparison, OursStandsBesideTheirs) {
  const ComparedPair pair = compare_one(Made());
  const ComparedValue& released = value_of(pair, "a-released", "ppl");
  EXPECT_EQ(released.stands_for, StandsFor::kReleased);
  EXPECT_NEAR(released.ours.value(), std::exp(1.0), 1e-12);
  // All samples are alike, so the interval is one point, and 2.72 rounds from it.
  EXPECT_NEAR(released.interval.value().low, std::exp(1.0), 1e-12);
  EXPECT_NEAR(released.difference().value(), std::exp(1.0) - 2.72, 1e-12);
  EXPECT_NEAR(released.ratio().value(), std::exp(1.0) / 2.72, 1e-12);
  EXPECT_EQ(released.within(), true);
  EXPECT_EQ(released.status, "");
  EXPECT_EQ(value_of(pair, "a", "ppl").stands_for, StandsFor::kPaper);
  const ComparedValue& full = value_of(pair, "full", "ppl");
  EXPECT_EQ(full.stands_for, StandsFor::kBoth);
  EXPECT_EQ(full.within(), false);
  const ComparedValue& rouge = value_of(pair, "a", "rouge-l-pltrdy");
  EXPECT_DOUBLE_EQ(rouge.ours.value(), 0.5);
  EXPECT_FALSE(rouge.ratio());
  EXPECT_EQ(pair.samples, "2 samples");
  EXPECT_TRUE(pair.complete);
  EXPECT_EQ(pair.model, "big-7b-bf16");
  EXPECT_EQ(pair.data, "scenes");
}

TEST(Comparison, ReleasedCodeComesBeforeThePaper) {
  const ComparedPair pair = compare_one(Made());
  EXPECT_EQ(pair.values.at(0).strategy, "a-released");
  EXPECT_EQ(pair.values.at(1).strategy, "a");
}

TEST(Comparison, RowsThatTheRunHasNotStayInTheTable) {
  const ComparedPair pair = compare_one(Made());
  int64_t absent = 0;
  for (const ComparedValue& value : pair.values) {
    if (value.theirs.budget != 0.2) continue;
    ++absent;
    EXPECT_EQ(value.status, "cell not in the run");
    EXPECT_EQ(value.strategy, "");
    EXPECT_FALSE(value.ours);
    EXPECT_FALSE(value.within());
    EXPECT_FALSE(value.difference());
  }
  EXPECT_EQ(absent, 1);
  Made made;
  made.strategies = "full, a";
  const ComparedPair less = compare_one(made);
  EXPECT_EQ(less.values.size(), 6U);
  int64_t without_b = 0;
  for (const ComparedValue& value : less.values) {
    without_b += value.status == "not in the run" ? 1 : 0;
  }
  EXPECT_EQ(without_b, 3);  // B's own row and both differences
}

TEST(Comparison, FailedAndMissingCellsSaySo) {
  Made made;
  made.change = [](Record& record) {
    if (record.cell == "big-7b-bf16/scenes/a/0.5" && record.sample == "s1") {
      record.outcome.error = "out of memory";
    }
  };
  const ComparedPair pair = compare_one(made);
  EXPECT_EQ(value_of(pair, "a", "ppl").status, "failed 1/2");
  EXPECT_EQ(value_of(pair, "a", "ppl").reason, "out of memory");
  EXPECT_EQ(value_of(pair, "a", "rouge-l-pltrdy").status, "failed 1/2");
  EXPECT_FALSE(value_of(pair, "a", "ppl").ours);
  EXPECT_TRUE(value_of(pair, "a-released", "ppl").ours);
  EXPECT_EQ(value_of(pair, "b-released minus a-released", "ppl").status, "");

  made.change = [](Record& record) {
    if (record.cell == "big-7b-bf16/scenes/a-released/0.5") record.outcome.error = "torn";
  };
  EXPECT_EQ(value_of(compare_one(made), "b-released minus a-released", "ppl").status,
            "a-released: failed 2/2");

  Made begun;
  begun.there = [](const std::string&, int64_t sample) { return sample == 0; };
  const ComparedPair half = compare_one(begun);
  EXPECT_FALSE(half.complete);
  EXPECT_EQ(half.samples, "incomplete: 1 of 2 samples");
  // One sample has no spread.
  EXPECT_TRUE(value_of(half, "a", "ppl").ours);
  EXPECT_FALSE(value_of(half, "a", "ppl").interval);
  EXPECT_FALSE(value_of(half, "a", "ppl").within());
  EXPECT_TRUE(value_of(half, "b-released minus a-released", "ppl").ours);
  EXPECT_FALSE(value_of(half, "b-released minus a-released", "ppl").interval);

  begun.there = [](const std::string&, int64_t) { return false; };
  EXPECT_EQ(value_of(compare_one(begun), "a", "ppl").status, "no samples");
}

TEST(Comparison, WhatWasNotMeasuredIsNotReplaced) {
  Made made;
  made.metrics = "perplexity: false, text: [rougeL], agreement: false";
  const ComparedPair pair = compare_one(made);
  EXPECT_EQ(value_of(pair, "a", "ppl").status, "not measured");
  EXPECT_EQ(value_of(pair, "a", "rouge-l-pltrdy").status, "not measured");
  EXPECT_EQ(value_of(pair, "b-released minus a-released", "ppl").status, "not measured");
  EXPECT_EQ(value_of(pair, "a-released minus b-released", "rouge-l-pltrdy").status, "not measured");
  expect_point(pair, "text metric", State::kDiffers, "rougeL", "rouge-l-pltrdy");
}

TEST(Comparison, DifferencesArePaired) {
  const ComparedPair pair = compare_one(Made());
  const ComparedValue& value = value_of(pair, "b-released minus a-released", "ppl");
  EXPECT_EQ(value.stands_for, StandsFor::kReleased);
  EXPECT_NEAR(value.ours.value(), std::exp(1.625) - std::exp(1.0), 1e-12);
  // Samples of 1.5 and 1.75: resamples of one alone have no spread, so that a quarter of the whole
  // one counts, and the interval is four times as wide as they are far.
  EXPECT_NEAR(value.interval.value().low, *value.ours - 4 * (std::exp(1.75) - std::exp(1.625)),
              1e-9);
  EXPECT_NEAR(value.interval.value().high, *value.ours + 4 * (std::exp(1.625) - std::exp(1.5)),
              1e-9);
  EXPECT_FALSE(value.ratio());
  // F differs by 0.125 in every sample, so that the pairs have no spread though the means do.
  const ComparedValue& rouge = value_of(pair, "a-released minus b-released", "rouge-l-pltrdy");
  EXPECT_NEAR(rouge.ours.value(), 0.125, 1e-12);
  EXPECT_NEAR(rouge.interval.value().low, 0.125, 1e-12);
  EXPECT_NEAR(rouge.interval.value().high, 0.125, 1e-12);
  EXPECT_EQ(rouge.within(), true);  // 0.1 may have been up to 0.15
  // A paper's strategy and released code are no pair, and there is no `b`.
  for (const ComparedValue& one : pair.values) {
    EXPECT_EQ(one.strategy.find("minus a "), std::string::npos);
    EXPECT_NE(one.strategy, "b-released minus a");
  }
}

constexpr const char* kShares = R"(id: shares
title: "Shares"
source: {citation: "A paper", where: "Table 1"}
runs: sweep
protocol: {dtype: bf16, growth: generation}
models: {Big: {labels: ["big*"]}}
data: {Scenes: {labels: ["scenes*"]}}
strategies:
  A: {released: [], paper: [a]}
  B: {released: [], paper: [b]}
out_of: {vqa-accuracy: 100}
values:
  - {model: Big, data: Scenes, budget: 0.5, strategy: A, measure: vqa-accuracy, value: "49.9"}
  - {model: Big, data: Scenes, budget: 64t, strategy: A, measure: vqa-accuracy, value: "50.0"}
  - {model: Big, data: Scenes, budget: 32t, strategy: A, measure: vqa-accuracy, value: "40.0"}
differences:
  - {model: Big, data: Scenes, budget: 64t, strategy: A, minus: B, measure: vqa-accuracy, value: "12.5"}
)";

TEST(Comparison, AccuraciesStandOnThePrintedScale) {
  Made made;
  made.strategies = "full, a, b";
  made.budgets = "keep: [0.5], keep_tokens: [64]";
  made.metrics = "perplexity: false, text: [vqa-accuracy], agreement: false";
  const auto comparisons =
      compare_with_published({parse_published(kShares, "shares.yaml", "shares")}, {make_run(made)},
                             {}, /*all_tables=*/true);
  const std::vector<ComparedValue>& values = comparisons.at(0).pairs.at(0).values;
  ASSERT_EQ(values.size(), 4U);
  EXPECT_DOUBLE_EQ(values[0].ours.value(), 50);
  EXPECT_NEAR(values[0].difference().value(), 0.1, 1e-9);
  EXPECT_LE(values[0].interval.value().low, 50);
  EXPECT_GE(values[0].interval.value().high, 50);
  EXPECT_DOUBLE_EQ(values[1].ours.value(), 50);
  EXPECT_EQ(values[1].within(), true);
  EXPECT_EQ(values[2].status, "cell not in the run");
  EXPECT_DOUBLE_EQ(values[3].ours.value(), 12.5);
  EXPECT_DOUBLE_EQ(values[3].interval.value().low, 12.5);  // of both samples alike
  const std::string text = comparison_markdown(comparisons);
  EXPECT_NE(text.find("\n#### vqa-accuracy, out of 100\n"), std::string::npos) << text;
  EXPECT_NE(text.find("|    64t |"), std::string::npos) << text;
  const auto json = nlohmann::json::parse(comparison_json(comparisons));
  const auto& first = json.at("tables").at(0).at("pairs").at(0).at("values");
  EXPECT_EQ(first.at(0).at("budget"), 0.5);
  EXPECT_EQ(first.at(1).at("budget"), "64t");
  EXPECT_EQ(first.at(1).at("out_of"), 100);
  EXPECT_EQ(comparison_table(comparisons).rows.at(1).at(5), "64t");
}

// A run may have 0.5 of the prompt beside 0.5 of all tokens; a printed number is of one of them.
TEST(Comparison, BudgetsOfBothGrowthsAreToldApart) {
  Made made;
  made.change = [](Record& record) {
    if (record.cell.ends_with("/0.5p")) record.outcome.nll_sum = 4 * 3;
  };
  for (const char* growths : {"[prompt, generation]", "[generation, prompt]"}) {
    made.budgets = fmt::format("keep: [0.5], growth: {}", growths);
    const ComparedPair generation = compare_one(made);
    EXPECT_NEAR(value_of(generation, "a", "ppl").ours.value(), std::exp(1.0), 1e-12) << growths;
    EXPECT_NEAR(value_of(generation, "b-released minus a-released", "ppl").ours.value(),
                std::exp(1.625) - std::exp(1.0), 1e-12);
    expect_point(generation, "budget is a fraction of", State::kSame, "generation", "generation");
    const ComparedPair prompt =
        compare_one(made, small_table("growth: generation", "growth: prompt"));
    EXPECT_NEAR(value_of(prompt, "a", "ppl").ours.value(), std::exp(3.0), 1e-12) << growths;
    EXPECT_ERROR_CONTAINS(compare_one(made, small_table("  growth: generation\n", "")),
                          "could stand beside a number of it, which does not say of what its "
                          "budgets are a fraction");
  }
  // One growth alone is taken as it is, and the protocol says that it is another.
  made.budgets = "keep: [0.5], growth: prompt";
  const ComparedPair other = compare_one(made);
  EXPECT_NEAR(value_of(other, "a", "ppl").ours.value(), std::exp(3.0), 1e-12);
  expect_point(other, "budget is a fraction of", State::kDiffers, "prompt", "generation");
}

TEST(Comparison, AnswersOfOneTokenAreSaid) {
  Made made;
  made.change = [](Record& record) {
    if (record.sample == "s1") record.outcome.scored_tokens = 1;
  };
  EXPECT_EQ(compare_one(made).samples,
            "2 samples; 1 of 2 answers (50.0 %) have one scored token, which no strategy changes");
}

TEST(Comparison, OverridesSayWhatStandsForWhat) {
  Made made;
  made.label = "stampvlm";
  made.data = "stamp-scenes";
  ComparisonNames names;
  names.models = {{"Big", "stamp*"}};
  names.data = {{"Scenes", "stamp-scenes"}};
  names.strategies = {{"A", "b-released"}};
  const ComparedPair pair = compare_one(made, small_table(), names);
  const ComparedValue& value = value_of(pair, "b-released", "ppl");
  EXPECT_EQ(value.theirs.strategy, "A");
  EXPECT_EQ(value.stands_for, StandsFor::kChosen);
  expect_point(pair, "model", State::kDiffers, "stampvlm", "Big");
  expect_point(pair, "data set", State::kDiffers, "stamp-scenes", "Scenes");
  expect_point(pair, "samples", State::kDiffers, "2 (all)", "2 (the first 2)");
  for (const ComparedValue& one : pair.values) EXPECT_NE(one.strategy, "a-released");
}

TEST(Comparison, ProtocolPointsThatAreTheSame) {
  const ComparedPair pair = compare_one(Made());
  expect_point(pair, "model", State::kSame, "big-7b", "Big");
  expect_point(pair, "data set", State::kSame, "scenes", "Scenes");
  expect_point(pair, "dtype", State::kSame, "bf16", "bf16");
  expect_point(pair, "budget is a fraction of", State::kSame, "generation", "generation");
  expect_point(pair, "batch", State::kSame, "1", "1");
  expect_point(pair, "samples", State::kSame, "2 (all)", "2 (the first 2)");
  expect_point(pair, "last answer token scored", State::kSame, "false", "false");
  expect_point(pair, "text metric", State::kSame, "rouge-l-pltrdy", "rouge-l-pltrdy");
  expect_point(pair, "texts compared with", State::kSame, "full-cache", "full-cache");
  expect_point(pair, "new tokens at most", State::kSame, "64", "64");
  expect_point(pair, "prompt form", State::kSame, "llava-v1-hf", "llava-v1-hf");
  expect_point(pair, "images made square by", State::kSame, "pad", "pad");
  expect_point(pair, "image's place", State::kSame, "question (after or before)", "question");
  expect_point(pair, "weights", State::kUnknown, "m", "theirs");
  EXPECT_EQ(pair.protocol.size(), 14U);
}

TEST(Comparison, ProtocolPointsThatDiffer) {
  Made made;
  made.dtype = "fp32";
  made.model_more = ", prompt_format: plain, image_aspect_ratio: crop";
  made.data_more = ", limit: 3";
  made.budgets = "keep: [0.5], growth: prompt";
  made.metrics = "perplexity: true, text: [rouge-l-pltrdy], reference: dataset, agreement: false";
  made.more = "generation: {max_new_tokens: 32}";
  made.samples = 3;
  made.stored = {{"s0", "q", "a", {}, {}, {"0.png"}, "", {}, ""}};
  const ComparedPair pair = compare_one(made);
  expect_point(pair, "dtype", State::kDiffers, "fp32", "bf16");
  expect_point(pair, "budget is a fraction of", State::kDiffers, "prompt", "generation");
  expect_point(pair, "samples", State::kDiffers, "3 (the first of the file)", "2 (the first 2)");
  expect_point(pair, "last answer token scored", State::kDiffers, "true", "false");
  expect_point(pair, "texts compared with", State::kDiffers, "dataset", "full-cache");
  expect_point(pair, "new tokens at most", State::kDiffers, "32", "64");
  expect_point(pair, "prompt form", State::kDiffers, "plain", "llava-v1-hf");
  expect_point(pair, "images made square by", State::kDiffers, "crop", "pad");
  expect_point(pair, "image's place", State::kDiffers, "unknown", "question");
  made.metrics = "perplexity: {score_last_token: false}, text: [], agreement: false";
  const ComparedPair textless = compare_one(made);
  expect_point(textless, "text metric", State::kDiffers, "none", "rouge-l-pltrdy");
  expect_point(textless, "texts compared with", State::kDiffers, "no texts", "full-cache");
  expect_point(textless, "new tokens at most", State::kDiffers, "no texts", "64");
}

TEST(Comparison, WhatNobodyKnowsIsUnknown) {
  Made made;
  made.model_more = "";
  made.stored = {};
  made.data_more = ", sample_ids: [s0, s1]";
  const ComparedPair pair = compare_one(made, small_table("dtype: bf16", "dtype: unknown"));
  expect_point(pair, "dtype", State::kUnknown, "bf16", "unknown");
  expect_point(pair, "samples", State::kUnknown, "2 (chosen by id)", "2 (the first 2)");
  expect_point(pair, "prompt form", State::kUnknown, "as the checkpoint says", "llava-v1-hf");
  expect_point(pair, "images made square by", State::kUnknown, "as the checkpoint says", "pad");
  expect_point(pair, "image's place", State::kUnknown, "unknown", "question");
  made.data_more = ", offset: 5";
  expect_point(compare_one(made), "samples", State::kUnknown, "2 (after the first 5)",
               "2 (the first 2)");
  made.strategies = "full";
  expect_point(compare_one(made), "budget is a fraction of", State::kUnknown, "full cache only",
               "generation");
}

TEST(Comparison, PromptFormsAreComparedByWhatTheyWrite) {
  Made made;
  made.model_more = "";
  made.stored = {{"s0", "q", "a", {}, {}, {"0.png"}, "", {}, ""}};
  ComparedRun run = make_run(made);
  EngineIdentity& engine = run.sweep->header.engines["big-7b-bf16"];
  engine.weights = "1234";
  const auto pair = [&](const std::string& prompt) {
    engine.prompt_format = prompt;
    return compare_with_published({small_table("picture_place: question", "picture_place: after")},
                                  {run}, {}, /*all_tables=*/true)
        .front()
        .pairs.front();
  };
  const ComparedPair same = pair("USER: <image>\n{question} ASSISTANT:");
  expect_point(same, "prompt form", State::kSame, "as the checkpoint says, which writes the same",
               "llava-v1-hf");
  expect_point(same, "image's place", State::kDiffers, "before", "after");
  expect_point(same, "weights", State::kUnknown, "m, hash 1234", "theirs");
  const ComparedPair other = pair("Q: {question}<image> A:");
  expect_point(other, "prompt form", State::kDiffers, "as the checkpoint says", "llava-v1-hf");
  expect_point(other, "image's place", State::kSame, "after", "after");
}

TEST(Comparison, NothingThatMatchesSaysWhatThereIs) {
  Made made;
  made.label = "stampvlm";
  const auto compare = [&](bool all_tables, const ComparisonNames& names = {}) {
    compare_with_published({small_table()}, {make_run(made)}, names, all_tables);
  };
  const std::string hint = "--model, --data and --strategy PUBLISHED=OURS say what stands for what";
  EXPECT_ERROR(compare(true),
               "small: nothing of it matches; it has models Big; data Scenes; strategies A, B, "
               "Full; budgets 0.5, 0.2, 1; the run has models stampvlm; data scenes; strategies "
               "full, a, a-released, b-released; budgets 1, 0.5; " +
                   hint);
  EXPECT_ERROR(compare(false),
               "results/made: matches no published table; it has models stampvlm; data scenes; "
               "strategies full, a, a-released, b-released; budgets 1, 0.5; the tables have models "
               "Big; data Scenes; " +
                   hint);
  // A strategy that none of its rows has, too.
  made.label = "big";
  made.strategies = "a-other";
  EXPECT_ERROR(compare(true),
               "small: nothing of it matches; it has models Big; data Scenes; strategies A, B, "
               "Full; budgets 0.5, 0.2, 1; the run has models big; data scenes; strategies "
               "a-other; budgets 0.5; " +
                   hint);
  made.strategies = "a";
  ComparisonNames names;
  names.models = {{"Bog", "big"}};
  EXPECT_ERROR(compare(true, names), "--model Bog=big: no table has 'Bog'; they have: Big");
  names.models = {{"Big", "bog"}};
  EXPECT_ERROR(compare(true, names), "--model Big=bog: no run has 'bog'; they have: big");
  names.models = {};
  names.data = {{"Scenes", "x"}};
  EXPECT_ERROR(compare(true, names), "--data Scenes=x: no run has 'x'; they have: scenes");
  names.data = {};
  names.strategies = {{"C", "a"}};
  EXPECT_ERROR(compare(true, names), "--strategy C=a: no table has 'C'; they have: A, B, Full");
}

TEST(Comparison, EveryRunHasToBeOfUse) {
  Made other;
  other.label = "stampvlm";
  const auto compare = [&] {
    compare_with_published({small_table()}, {make_run(Made()), make_run(other, "results/other")},
                           {}, /*all_tables=*/true);
  };
  EXPECT_ERROR_CONTAINS(compare(),
                        "results/other: matches no published table; it has models "
                        "stampvlm; ");
}

TEST(Comparison, SeveralRunsStandInOneTable) {
  Made more;
  more.dtype = "fp32";
  const auto comparisons = compare_with_published(
      {small_table()}, {make_run(Made()), make_run(more, "results/more")}, {}, /*all_tables=*/true);
  ASSERT_EQ(comparisons.front().pairs.size(), 2U);
  EXPECT_EQ(comparisons.front().pairs[1].run, "results/more");
  EXPECT_EQ(comparisons.front().pairs[1].model, "big-7b-fp32");
}

constexpr const char* kSpeeds = R"(id: fast
title: "Speeds"
source: {citation: "A paper", where: "Table 2"}
runs: bench
protocol: {dtype: fp16, weights: unknown, device: A100, throughput: "batch x new tokens / latency of everything", attention: "returned"}
models: {Big: {labels: ["big*"]}}
strategies:
  A: {released: [a-released], paper: [a]}
  Full: {released: [full], paper: [full]}
values:
  - {model: Big, batch: 8, lengths: 100+50, strategy: A, budget: 0.2, measure: latency, value: "2.0"}
  - {model: Big, batch: 8, lengths: 100+50, strategy: A, budget: 0.2, measure: throughput, value: "200"}
  - {model: Big, batch: 8, lengths: 100+50, strategy: A, budget: 0.2, measure: throughput-gain, value: "90.0"}
  - {model: Big, batch: 8, lengths: 100+50, strategy: Full, budget: 1, measure: latency, value: OOM}
  - {model: Big, batch: 16, lengths: 100+50, strategy: A, budget: 0.2, measure: latency, value: "3.0"}
)";

StoredBenchCell bench_cell(const std::string& strategy, const std::string& budget, double seconds) {
  StoredBenchCell cell;
  cell.model = "big";
  cell.dtype = "fp16";
  cell.device = "cuda";
  cell.strategy = strategy;
  cell.budget = budget;
  cell.batch = 8;
  cell.prompt_tokens = 100;
  cell.new_tokens = 50;
  if (seconds > 0) {
    cell.latency = BenchFigure{seconds, {seconds - 0.1, seconds + 0.1}, 3};
    const double rate = 400 / seconds;
    cell.throughput = BenchFigure{rate, {rate - 1, rate + 1}, 3};
  }
  return cell;
}

ComparedRun bench_run(std::vector<StoredBenchCell> cells) {
  ComparedRun run;
  run.folder = "results/speeds";
  StoredBench& bench = run.bench.emplace();
  bench.models = {{"big", "fp16", "cuda", "NVIDIA A100-SXM4-80GB", true}};
  bench.cells = std::move(cells);
  return run;
}

ComparedPair compare_speeds(std::vector<StoredBenchCell> cells) {
  return compare_with_published({parse_published(kSpeeds, "fast.yaml", "fast")},
                                {bench_run(std::move(cells))}, {}, /*all_tables=*/true)
      .front()
      .pairs.front();
}

TEST(BenchComparison, BudgetsOfBothGrowthsAreAmbiguous) {
  EXPECT_ERROR_CONTAINS(compare_speeds({bench_cell("full", "1", 4), bench_cell("a", "0.2p", 3),
                                        bench_cell("a", "0.2", 2)}),
                        "fast: both a at budget 0.2p and a at budget 0.2 could stand beside");
}

TEST(BenchComparison, SpeedsHaveQuartiles) {
  const ComparedPair pair = compare_speeds({bench_cell("full", "1", 4), bench_cell("a", "0.2", 2)});
  ASSERT_EQ(pair.values.size(), 5U);
  EXPECT_EQ(pair.values[0].strategy, "a");
  EXPECT_EQ(pair.values[0].ours, 2.0);
  EXPECT_DOUBLE_EQ(pair.values[0].interval.value().high, 2.1);
  EXPECT_EQ(pair.values[0].within(), true);
  EXPECT_EQ(pair.values[1].ours, 200.0);
  EXPECT_EQ(pair.values[1].ratio(), 1.0);
  EXPECT_NEAR(pair.values[2].ours.value(), 100.0, 1e-9);
  EXPECT_FALSE(pair.values[2].interval);
  EXPECT_FALSE(pair.values[2].ratio());
  EXPECT_NEAR(pair.values[2].difference().value(), 10.0, 1e-9);
  // Theirs ran out of memory: there is nothing to subtract.
  EXPECT_EQ(pair.values[3].ours, 4.0);
  EXPECT_FALSE(pair.values[3].difference());
  EXPECT_FALSE(pair.values[3].within());
  EXPECT_EQ(pair.values[4].status, "cell not in the run");
  EXPECT_EQ(pair.model, "big-fp16-cuda");
  expect_point(pair, "model", State::kSame, "big", "Big");
  expect_point(pair, "dtype", State::kSame, "fp16", "fp16");
  expect_point(pair, "weights", State::kUnknown, "random", "unknown");
  expect_point(pair, "device", State::kSame, "NVIDIA A100-SXM4-80GB", "A100");
  expect_point(pair, "throughput", State::kSame, "batch x new tokens / latency of everything",
               "batch x new tokens / latency of everything");
  expect_point(pair, "attention", State::kDiffers,
               "returned by none; timed until the device is done", "returned");
}

TEST(BenchComparison, CellsWithoutTimesSaySo) {
  StoredBenchCell skipped = bench_cell("full", "1", 0);
  skipped.skipped = "needs 90 GiB";
  ComparedPair pair = compare_speeds({skipped, bench_cell("a", "0.2", 2)});
  EXPECT_EQ(pair.values[2].status, "full cache: too large");
  EXPECT_EQ(pair.values[3].status, "too large");
  EXPECT_EQ(pair.values[3].reason, "needs 90 GiB");
  pair = compare_speeds({bench_cell("a", "0.2", 0)});
  EXPECT_EQ(pair.values[0].status, "not run");
  EXPECT_EQ(pair.values[2].status, "not run");
  EXPECT_EQ(pair.values[3].status, "not in the run");
  EXPECT_EQ(compare_speeds({bench_cell("a", "0.2", 2)}).values[2].status,
            "no full cache in the run");
  // A fraction of the prompt is a fraction as well; a number of tokens is none.
  EXPECT_EQ(compare_speeds({bench_cell("a", "0.2p", 2)}).values[0].ours, 2.0);
  const auto tokens = [] { compare_speeds({bench_cell("a", "2t", 2)}); };
  EXPECT_ERROR(tokens(),
               "fast: nothing of it matches; it has models Big; strategies A, Full; budgets 0.2 "
               "(batch 8 of 100+50), 1 (batch 8 of 100+50), 0.2 (batch 16 of 100+50); the run has "
               "models big; strategies a; budgets 2t (batch 8 of 100+50); --model, --data and "
               "--strategy PUBLISHED=OURS say what stands for what");
}

TEST(BenchComparison, KindsOfRunsAreNotMixed) {
  const PublishedTable speeds = parse_published(kSpeeds, "fast.yaml", "fast");
  const auto compare = [&](const PublishedTable& table, const ComparedRun& run, bool all) {
    compare_with_published({table}, {run}, {}, all);
  };
  EXPECT_ERROR(compare(speeds, make_run(Made()), true),
               "fast: stands beside benchmarks (bench.json), of which no run is one");
  EXPECT_ERROR(compare(small_table(), bench_run({bench_cell("a", "0.2", 2)}), true),
               "small: stands beside sweeps (sweep.json), of which no run is one");
  EXPECT_ERROR(compare(speeds, make_run(Made()), false),
               "results/made: holds a sweep, and none of the tables is of such");
}

TEST(ReadComparedRun, NeedsASweepOrABenchmark) {
  const TemporaryFolder folder;
  const std::string path = folder.path().string();
  EXPECT_ERROR(read_compared_run(folder.path()),
               path + ": holds neither a sweep (sweep.json) nor a benchmark (bench.json)");
  folder.write("bench.json", "{\"schema\": \"other\"}");
  EXPECT_ERROR(read_compared_run(folder.path()),
               path +
                   "/bench.json: key 'schema' is not 'elastikv-bench-1', which this version "
                   "reads");
  folder.write("bench.json",
               "{\"schema\": \"elastikv-bench-1\", \"name\": \"n\", \"models\": [], \"cells\": "
               "[{\"model\": 3}]}");
  EXPECT_ERROR_CONTAINS(read_compared_run(folder.path()), "bench.json: key 'cells.0.model'");
  folder.write("bench.json",
               "{\"schema\": \"elastikv-bench-1\", \"name\": \"n\", \"models\": [], \"cells\": [], "
               "\"provenance\": {\"fixture\": \"f\", \"threads\": 2}}");
  EXPECT_EQ(read_compared_run(folder.path()).fixture(), "f");
}

TEST(ParseNameOverride, NeedsBothSides) {
  const NameOverride name = parse_name_override("importance: sum=top-k", "--strategy");
  EXPECT_EQ(name.published, "importance: sum");
  EXPECT_EQ(name.ours, "top-k");
  for (const char* text : {"", "a", "=a", "a="}) {
    EXPECT_ERROR(parse_name_override(text, "--model"),
                 fmt::format("--model '{}': needs PUBLISHED=OURS", text));
  }
}

TEST(ComparisonOutput, MarkdownHasTheBannerOfAFixture) {
  Made made;
  const auto text = [&] {
    return comparison_markdown(
        compare_with_published({small_table()}, {make_run(made)}, {}, /*all_tables=*/true));
  };
  EXPECT_EQ(text().find("FIXTURE"), std::string::npos);
  made.provenance = {{"fixture", "made by a test"}};
  const std::string marked = text();
  EXPECT_NE(marked.find("\n**FIXTURE: made-up records, not a measurement.** "), std::string::npos);
  EXPECT_NE(marked.find("\n**FIXTURE: made-up records, not a measurement** (made by a test).\n"),
            std::string::npos);
  EXPECT_NE(marked.find("\n## A small table\n\n`small`: A paper; Table 1.\n\n- A note.\n"),
            std::string::npos)
      << marked;
}

TEST(ComparisonOutput, AnotherModelIsLoud) {
  Made made;
  made.label = "stampvlm";
  ComparisonNames names;
  names.models = {{"Big", "stampvlm"}};
  const std::string text = comparison_markdown(
      compare_with_published({small_table()}, {make_run(made)}, names, /*all_tables=*/true));
  EXPECT_NE(text.find("- **another model**: ours stampvlm, theirs Big\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("\nOurs: `a` is elastic; `a-released` is elastic; `b-released` is h2o.\n"),
            std::string::npos)
      << text;
}

TEST(ComparisonOutput, FormsAreNamed) {
  EXPECT_EQ(form_names(comparison_forms()), (std::vector<std::string>{"md", "csv", "json"}));
  const auto comparisons =
      compare_with_published({small_table()}, {make_run(Made())}, {}, /*all_tables=*/true);
  EXPECT_EQ(write_comparison(comparisons, "md"), comparison_markdown(comparisons));
  EXPECT_EQ(write_comparison(comparisons, "json"), comparison_json(comparisons));
  EXPECT_ERROR(write_comparison(comparisons, "html"),
               "unknown comparison format 'html'; known: md, csv, json");
}

TEST(ComparisonOutput, JsonAndCsvHoldEveryValue) {
  Made made;
  made.provenance = {{"fixture", "made, by a test"}};
  const auto comparisons =
      compare_with_published({small_table()}, {make_run(made)}, {}, /*all_tables=*/true);
  const size_t values = comparisons.front().pairs.front().values.size();
  const auto json = nlohmann::json::parse(comparison_json(comparisons));
  EXPECT_EQ(json.at("format"), "elastikv-comparison-1");
  const auto& pair = json.at("tables").at(0).at("pairs").at(0);
  EXPECT_EQ(pair.at("fixture"), "made, by a test");
  ASSERT_EQ(pair.at("values").size(), values);
  const auto& first = pair.at("values").at(0);
  EXPECT_EQ(first.at("row"), "A");
  EXPECT_EQ(first.at("minus"), nullptr);
  EXPECT_EQ(first.at("computes"), "released code");
  EXPECT_EQ(first.at("theirs"), "2.72");
  EXPECT_EQ(first.at("theirs_within_ours"), true);
  EXPECT_EQ(pair.at("protocol").at(2).at("state"), "same");
  const std::string csv = write_comparison(comparisons, "csv");
  EXPECT_EQ(csv, comparison_table(comparisons).csv());
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), static_cast<int64_t>(values) + 1);
  EXPECT_NE(csv.find("small,Big,Scenes,A,,0.5,,,,ppl,results/made,big-7b-bf16,scenes,a-released,"
                     "released code,ok,2.71828183,2.71828183,2.71828183,2.72,2.715,2.725,"
                     "-0.00171817154,0.999368319,yes,2 samples,,\"made, by a test\"\n"),
            std::string::npos)
      << csv;
  EXPECT_NE(csv.find("small,Big,Scenes,B,,0.2,,,,ppl,results/made,big-7b-bf16,scenes,,,cell not in "
                     "the run,,,,9,8.5,9.5,,,,2 samples,,\"made, by a test\"\n"),
            std::string::npos)
      << csv;
}

}  // namespace
}  // namespace elastikv
