// Moments of compression as a sweep's file lists them.
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "sweep/config.h"
#include "sweep/engine.h"
#include "sweep/plan.h"
#include "sweep/set_options.h"

namespace elastikv {
namespace {

constexpr const char* kHead = "models: {path: m}\ndata: {path: d.json}\n";

SweepConfig parse(const std::string& rest) { return parse_sweep(kHead + rest, "s.yaml"); }

std::vector<std::string> labels(const SweepConfig& config) {
  std::vector<std::string> labels;
  for (const StrategyChoice& strategy : config.strategies) labels.push_back(strategy.label);
  return labels;
}

using Names = std::vector<std::string>;

TEST(CompressAtKeys, TheDefaultIsNotWritten) {
  const std::string plain = "strategies: [full, elastic]\nbudgets: {keep: 0.2}\n";
  const SweepConfig config = parse(plain);
  EXPECT_EQ(config.json().find("compress_at"), std::string::npos);
  EXPECT_EQ(config.json().find("question"), std::string::npos);
  const SweepConfig said = parse(plain + "compress_at: prompt_end\n");
  EXPECT_EQ(said.json(), config.json());
  EXPECT_EQ(said.records_hash(), config.records_hash());
  EXPECT_NE(parse(plain + "compress_at: before_question\n").records_hash(), config.records_hash());
}

TEST(CompressAtKeys, AListMakesAStrategyOfEachMoment) {
  const SweepConfig config = parse(
      "strategies: [full, elastic, {preset: h2o, name: mine}]\nbudgets: {keep: 0.2}\n"
      "compress_at: [prompt_end, before_last_token, before_question]\nquestion: policy\n");
  EXPECT_EQ(labels(config),
            (Names{"full", "elastic", "elastic-before_last_token", "elastic-before_question-policy",
                   "mine", "mine-before_last_token", "mine-before_question-policy"}));
  EXPECT_EQ(config.strategies[3].moment,
            (CompressionMoment{CompressAt::kBeforeQuestion, QuestionEntries::kPolicy}));
  EXPECT_EQ(config.strategies[5].moment,
            (CompressionMoment{CompressAt::kBeforeLastToken, QuestionEntries::kKeep}));
  EXPECT_EQ(config.compare_with,
            (Names{"elastic", "elastic-before_last_token", "elastic-before_question-policy"}));
  const SweepConfig again = parse_sweep(config.json(), "sweep.json");
  EXPECT_EQ(again.json(), config.json());
  EXPECT_EQ(again.records_hash(), config.records_hash());
  EXPECT_EQ(labels(again), labels(config));

  const std::vector<CellGroup> groups = plan_cells(config);
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].cells.size(), 7U);
  EXPECT_EQ(groups[0].cells[2].id, "m-fp32/d/elastic-before_last_token/0.2");
  EXPECT_EQ(moments_of(groups[0].cells),
            (std::vector<CompressAt>{CompressAt::kPromptEnd, CompressAt::kBeforeLastToken,
                                     CompressAt::kBeforeQuestion}));
}

TEST(CompressAtKeys, AStrategyMaySayItItself) {
  const SweepConfig config = parse(
      "strategies: [{preset: snapkv, compress_at: before_question}, {preset: h2o, name: own, "
      "compress_at: before_last_token}, {preset: tova, compress_at: [prompt_end, "
      "before_question]}, elastic]\nbudgets: {keep: [0.2, 1]}\n"
      "compress_at: before_last_token\n");
  EXPECT_EQ(labels(config), (Names{"snapkv-before_question", "own", "tova", "tova-before_question",
                                   "elastic-before_last_token"}));
  EXPECT_EQ(config.strategies[1].moment.at, CompressAt::kBeforeLastToken);
  EXPECT_EQ(config.compare_with, Names{"elastic-before_last_token"});
  EXPECT_EQ(parse_sweep(config.json(), "sweep.json").json(), config.json());
  // What keeps everything is the full cache whenever that would be compressed.
  const std::vector<CellGroup> groups = plan_cells(config);
  for (const Cell& cell : groups[0].cells) {
    if (cell.budget.keep == 1.0) {
      EXPECT_EQ(cell.at(), CompressAt::kPromptEnd) << cell.id;
    }
  }
}

TEST(CompressAtKeys, TheNameOfAStrategyMeansAllOfItsMoments) {
  const SweepConfig config = parse(
      "strategies: [full, elastic, h2o]\nbudgets: {keep: 0.2}\n"
      "compress_at: [prompt_end, before_question]\ncompare_with: h2o-before_question\n"
      "matrix: {exclude: {strategy: \"elastic-before*\"}}\n");
  EXPECT_EQ(config.compare_with, Names{"h2o-before_question"});
  EXPECT_EQ(plan_cells(config)[0].cells.size(), 4U);
}

TEST(CompressAtKeys, WhatMakesNoSenseIsRefused) {
  const std::string some = "strategies: [elastic]\nbudgets: {keep: 0.2}\n";
  EXPECT_ERROR(parse(some + "compress_at: at_once\n"),
               "s.yaml:5: key 'compress_at' is 'at_once', needs prompt_end, before_last_token or "
               "before_question");
  EXPECT_ERROR(parse(some + "compress_at: [prompt_end, prompt_end]\n"),
               "s.yaml:5: key 'compress_at[1]' lists 'prompt_end' twice");
  EXPECT_ERROR(parse(some + "compress_at: []\n"),
               "s.yaml:5: key 'compress_at' needs at least one entry");
  EXPECT_ERROR(parse(some + "question: policy\n"),
               "s.yaml:5: key 'question' needs compress_at: before_question beside it");
  EXPECT_ERROR(parse("strategies: [{preset: full, compress_at: before_question}]\n"),
               "s.yaml:3: key 'strategies[0].compress_at' says when the full cache is compressed, "
               "which it never is");
  EXPECT_ERROR(parse("strategies: [{preset: h2o, question: keep}]\nbudgets: {keep: 0.2}\n"),
               "s.yaml:3: key 'strategies[0].question' needs compress_at: before_question beside "
               "it");
}

TEST(CompressAtKeys, RecordsAreKnownByTheirMoment) {
  const SweepConfig config = parse(
      "strategies: [elastic]\nbudgets: {keep: 0.2}\n"
      "compress_at: [prompt_end, before_last_token, before_question]\n");
  const std::unique_ptr<Engines> engines = torch_engines();
  const std::string text = engines->strategy_text(config.strategies[0]);
  EXPECT_EQ(text.find("compress_at"), std::string::npos);
  EXPECT_EQ(engines->strategy_text(config.strategies[1]), text + " compress_at=before_last_token");
  EXPECT_EQ(engines->strategy_text(config.strategies[2]), text + " compress_at=before_question");
}

}  // namespace
}  // namespace elastikv
