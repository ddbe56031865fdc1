// Decode steps as graphs: when one is recorded and launched, and that results are the same bits.
#include "models/decode_graphs.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/evaluation.h"
#include "runtime/generation.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/emulated_device/memory.h"
#include "support/tiny_models.h"
#include "unit/emulated/support.h"

namespace elastikv {
namespace {

constexpr int64_t kBefore = DecodeGraphs::kStepsBefore;

/// Steps of no model: each doubles the numbers of its inputs.
class StepGraphs : public OnEmulatedDevice {
 protected:
  void SetUp() override { graphs_ = DecodeGraphs::on(kEmulated); }

  static StepShape shape(int64_t rows, std::vector<int64_t> longest) {
    return {.rows = rows, .rotary_tables = {nullptr}, .longest = std::move(longest)};
  }

  /// Runs steps of a shape, whose numbers are other ones in each.
  void step(const StepShape& shape, int64_t times = 1) {
    for (int64_t i = 0; i < times; ++i) {
      std::vector<float> numbers(static_cast<size_t>(shape.rows), static_cast<float>(++steps_));
      Upload inputs;
      inputs.add(numbers);
      const at::Tensor logits = graphs_->run(
          shape, inputs, [&](const at::Tensor& on_device, const std::vector<int64_t>& room) {
            room_ = room;
            return tensor_of(on_device, 0, shape.rows, at::kFloat) * 2;
          });
      results_.push_back(logits);  // read later: a launch must not write to an earlier step's
    }
  }
  void expect_right_results() {
    for (size_t i = 0; i < results_.size(); ++i) {
      const at::Tensor numbers = results_[i].cpu();
      EXPECT_TRUE(numbers.eq(2.0 * static_cast<double>(i + 1)).all().item<bool>()) << "step " << i;
    }
  }
  void expect_counts(int64_t recorded, int64_t launched, int64_t direct) {
    EXPECT_EQ(graphs_->counts().recorded, recorded);
    EXPECT_EQ(graphs_->counts().launched, launched);
    EXPECT_EQ(graphs_->counts().direct, direct);
  }

  std::unique_ptr<DecodeGraphs> graphs_;
  std::vector<int64_t> room_;
  std::vector<at::Tensor> results_;
  int64_t steps_ = 0;
};

TEST_F(StepGraphs, AShapeThatLastsIsRecorded) {
  step(shape(3, {40, 50}), kBefore);
  expect_counts(0, 0, kBefore);
  EXPECT_EQ(room_, std::vector<int64_t>({40, 50}));
  step(shape(3, {40, 50}), 5);
  expect_counts(1, 5, kBefore);
  EXPECT_EQ(room_, std::vector<int64_t>({40 + 256, 50 + 256}));
  expect_right_results();
}

TEST_F(StepGraphs, AHeadThatOutgrowsAGraphNeedsAnother) {
  for (int64_t i = 0; i < 20; ++i) step(shape(2, {100 + i * 20, 30}));
  // From 160 slots on up to 416; then three by themselves, and again.
  expect_counts(2, 20 - 2 * kBefore, 2 * kBefore);
  step(shape(2, {160, 30}));
  expect_counts(2, 21 - 2 * kBefore, 2 * kBefore);
  expect_right_results();
}

TEST_F(StepGraphs, AGraphWithFarTooMuchRoomIsNotTaken) {
  step(shape(2, {4000}), kBefore + 1);
  expect_counts(1, 1, kBefore);
  step(shape(2, {500}), kBefore + 1);
  expect_counts(2, 2, 2 * kBefore);
  step(shape(2, {4000}));
  step(shape(2, {500}));
  expect_counts(2, 4, 2 * kBefore);
  expect_right_results();
}

TEST_F(StepGraphs, WhatKernelsAreStartedByTellsGraphsApart) {
  StepShape one = shape(2, {10});
  std::vector<StepShape> others(4, one);
  others[0].rows = 3;
  others[1].weights = true;
  others[2].query_scales = true;
  const RotaryTable table(8, RotaryRule{}, 16, kEmulated);
  others[3].rotary_tables = {&table};
  step(one, kBefore + 1);
  for (const StepShape& other : others) step(other, kBefore + 1);
  expect_counts(5, 5, 5 * kBefore);
  step(one);
  for (const StepShape& other : others) step(other);
  expect_counts(5, 10, 5 * kBefore);
  expect_right_results();
}

TEST_F(StepGraphs, ThoseOfLongAgoAreForgotten) {
  for (int64_t rows = 1; rows <= DecodeGraphs::kMost + 1; ++rows)
    step(shape(rows, {10}), kBefore + 1);
  step(shape(2, {10}));  // still there
  EXPECT_EQ(graphs_->counts().recorded, DecodeGraphs::kMost + 1);
  step(shape(1, {10}), kBefore + 1);  // the one that went
  EXPECT_EQ(graphs_->counts().recorded, DecodeGraphs::kMost + 2);
  expect_right_results();
}

TEST_F(StepGraphs, WithoutMemoryForAGraphStepsRunByThemselves) {
  constexpr int64_t kRows = 1 << 18;  // a result of 1 MiB
  step(shape(kRows, {10}), kBefore);
  results_.clear();
  {
    // For a step's inputs and result, but not for a copy of that beside a graph's.
    const emulated::MemoryLimit limit(emulated::Memory::instance().usage().in_use + (5 << 19));
    step(shape(kRows, {10}));
    results_.clear();
    step(shape(kRows, {10}));
  }
  expect_counts(0, 0, kBefore + 2);
}

/// Rows of one strategy end at different times.
class EmulatedDecodeGraphs : public testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() {
    emulated::install();
    tiny_.emplace("tiny_llava_a", emulated::device());
    prompt_.emplace(tiny_->encode());
  }
  static void TearDownTestSuite() {
    prompt_.reset();
    tiny_.reset();
  }

  static constexpr int64_t kNewTokens = 3 * (kBefore + 3);

  /// Each row at another budget, all of them growing.
  std::vector<Sequence> sequences(int64_t rows) {
    std::vector<Sequence> all;
    all.reserve(static_cast<size_t>(rows));
    for (int64_t r = 0; r < rows; ++r) {
      const double keep = 0.2 + 0.02 * static_cast<double>(r);
      all.emplace_back(
          tiny_->language(), *prompt_, *strategy_,
          GetParam() == std::string("full") ? Budget::unlimited() : Budget::fraction(keep));
      all.back().reserve(kNewTokens);
    }
    return all;
  }

  std::vector<std::vector<int64_t>> generate(int64_t rows, DecodeGraphs* graphs) {
    std::vector<Sequence> all = sequences(rows);
    std::vector<int64_t> lengths(all.size());
    GreedyOptions options;
    options.max_new_tokens = kNewTokens;
    options.graphs = graphs;
    options.ends = [&](size_t row, int64_t) {
      return ++lengths[row] > static_cast<int64_t>(row % 3 + 1) * (kBefore + 3);
    };
    std::vector<std::vector<int64_t>> tokens;
    for (GreedyText& text : generate_greedy(tiny_->language(), pointers_to(all), options)) {
      EXPECT_EQ(text.failure, "");
      tokens.push_back(std::move(text.token_ids));
    }
    return tokens;
  }

  std::vector<ForcedScores> score(int64_t rows, DecodeGraphs* graphs) {
    std::vector<Sequence> all = sequences(rows);
    ForcedOptions options;
    options.one_pass = false;
    options.graphs = graphs;
    return teacher_force(tiny_->language(), pointers_to(all), {5, 11, 3, 60, 21, 5, 9, 33, 2},
                         options);
  }

  static inline std::optional<TinyModel> tiny_;
  static inline std::optional<EncodedPrompt> prompt_;
  std::unique_ptr<Strategy> strategy_ = make_strategy(GetParam());
  OneThread one_thread_;
};

INSTANTIATE_TEST_SUITE_P(Strategies, EmulatedDecodeGraphs,
                         testing::Values("full", "elastic", "h2o", "streaming-llm", "elastic-plus"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(EmulatedDecodeGraphs, GiveTheSameTokensWhileRowsEnd) {
  for (const int64_t rows : {1, 8, 36}) {
    SCOPED_TRACE(fmt::format("{} rows", rows));
    const std::unique_ptr<DecodeGraphs> graphs = DecodeGraphs::on(emulated::device());
    const auto tokens = generate(rows, graphs.get());
    EXPECT_EQ(tokens, generate(rows, /*graphs=*/nullptr));
    const auto [shortest, longest] = std::minmax_element(
        tokens.begin(), tokens.end(),
        [](const auto& one, const auto& other) { return one.size() < other.size(); });
    EXPECT_EQ(longest->size() > shortest->size(), rows > 1);
    const int64_t lengths = std::min<int64_t>(rows, 3);  // numbers of rows that run together
    EXPECT_EQ(graphs->counts().recorded, lengths);
    EXPECT_EQ(graphs->counts().direct, lengths * kBefore);
    EXPECT_GT(graphs->counts().launched, 0);
    if (rows == 36) continue;  // they take long
    // Another sample finds its graphs.
    const int64_t launched = graphs->counts().launched;
    EXPECT_EQ(generate(rows, graphs.get()), tokens);
    EXPECT_EQ(graphs->counts().recorded, lengths);
    EXPECT_EQ(graphs->counts().launched, 2 * launched + lengths * kBefore);
  }
}

TEST_P(EmulatedDecodeGraphs, GiveTheSameLogLikelihoods) {
  for (const int64_t rows : {1, 8, 36}) {
    SCOPED_TRACE(fmt::format("{} rows", rows));
    const std::unique_ptr<DecodeGraphs> graphs = DecodeGraphs::on(emulated::device());
    const std::vector<ForcedScores> with = score(rows, graphs.get());
    const std::vector<ForcedScores> without = score(rows, /*graphs=*/nullptr);
    ASSERT_EQ(with.size(), without.size());
    for (size_t r = 0; r < with.size(); ++r) {
      EXPECT_EQ(with[r].nll, without[r].nll) << "row " << r;
      EXPECT_EQ(with[r].mean_kl, without[r].mean_kl) << "row " << r;
    }
    EXPECT_EQ(graphs->counts().recorded, 1);
    EXPECT_EQ(graphs->counts().launched, 8 - kBefore);
  }
}

}  // namespace
}  // namespace elastikv
