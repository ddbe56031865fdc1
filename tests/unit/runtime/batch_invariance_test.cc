// What a cell gives does not depend on the cells that run beside it, to the last bit: a sweep cuts
// its cells into batches as memory allows.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include <ATen/Parallel.h>
#include <c10/core/ScalarType.h>
#include <gtest/gtest.h>

#include "runtime/evaluation.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

/// As many as the cells of the paper's Figure 2.
constexpr size_t kCells = 55;

class BatchInvariance : public testing::TestWithParam<std::tuple<std::string, c10::ScalarType>> {
 protected:
  BatchInvariance()
      : tiny_(std::get<0>(GetParam()), c10::Device(c10::DeviceType::CPU), std::get<1>(GetParam())),
        prompt_(tiny_.encode()) {
    const std::vector<PresetInfo> presets = list_presets();
    const std::vector<double> budgets{0.1, 0.2, 0.3, 0.5, 0.8};
    for (size_t i = 0; strategies_.size() < kCells; ++i) {
      const std::shared_ptr<const Strategy> strategy =
          make_strategy(presets[i % presets.size()].name);
      if (!can_run(*strategy, prompt_)) continue;
      strategies_.push_back(strategy);
      budgets_.push_back(Budget::fraction(budgets[i % budgets.size()]));
    }
  }

  std::vector<Sequence> sequences(size_t begin, size_t end) const {
    std::vector<Sequence> all;
    for (size_t i = begin; i < end; ++i)
      all.emplace_back(tiny_.language(), prompt_, *strategies_[i], budgets_[i]);
    return all;
  }

  static std::vector<Sequence*> pointers(std::vector<Sequence>& all) {
    std::vector<Sequence*> pointers;
    for (Sequence& sequence : all) pointers.push_back(&sequence);
    return pointers;
  }

  /// Logits [vocab] of every cell and step, the cells run so many at a time.
  std::vector<std::vector<at::Tensor>> decode(size_t rows) const {
    const std::vector<int64_t> tokens{5, 11, 3, 60, 21, 5};
    std::vector<std::vector<at::Tensor>> logits(kCells);
    for (size_t begin = 0; begin < kCells; begin += rows) {
      const size_t end = std::min(begin + rows, kCells);
      std::vector<Sequence> batch = sequences(begin, end);
      for (size_t k = 0; k < tokens.size(); ++k) {
        std::vector<int64_t> fed;
        for (size_t i = begin; i < end; ++i) fed.push_back(tokens[(k + i) % tokens.size()]);
        const at::Tensor step = decode_step(tiny_.language(), pointers(batch), fed);
        for (size_t i = begin; i < end; ++i)
          logits[i].push_back(step[static_cast<int64_t>(i - begin)].clone());
      }
    }
    return logits;
  }

  /// Of every cell; the full cache comes first and is what all diverge from. The answer is longer
  /// than what is scored in one pass.
  std::vector<ForcedScores> score(size_t rows) const {
    std::vector<int64_t> answer;
    for (int64_t i = 0; i < kTokensTogether + 9; ++i) answer.push_back(3 + i * 7 % 50);
    ForcedReference reference;
    ForcedOptions options;
    options.reference = &reference;
    std::vector<ForcedScores> scores;
    const std::shared_ptr<const Strategy> full = make_strategy("full");
    Sequence first(tiny_.language(), prompt_, *full, Budget::unlimited());
    teacher_force(tiny_.language(), {&first}, answer, options);
    for (size_t begin = 0; begin < kCells; begin += rows) {
      std::vector<Sequence> batch = sequences(begin, std::min(begin + rows, kCells));
      for (ForcedScores& score : teacher_force(tiny_.language(), pointers(batch), answer, options))
        scores.push_back(std::move(score));
    }
    return scores;
  }

  TinyModel tiny_;
  EncodedPrompt prompt_;
  std::vector<std::shared_ptr<const Strategy>> strategies_;
  std::vector<Budget> budgets_;
};

INSTANTIATE_TEST_SUITE_P(Models, BatchInvariance,
                         testing::Combine(testing::Values("tiny_llava_a", "tiny_llama_b"),
                                          testing::Values(c10::ScalarType::Float,
                                                          c10::ScalarType::BFloat16)),
                         [](const auto& info) {
                           return std::get<0>(info.param) +
                                  (std::get<1>(info.param) == c10::ScalarType::Float ? "_fp32"
                                                                                     : "_bf16");
                         });

TEST_P(BatchInvariance, StepsOf1And7And19And55Rows) {
  const std::vector<std::vector<at::Tensor>> alone = decode(1);
  for (const size_t rows : {7, 19, 55}) {
    at::set_num_threads(rows == 19 ? 3 : 1);
    const std::vector<std::vector<at::Tensor>> together = decode(rows);
    for (size_t cell = 0; cell < kCells; ++cell) {
      for (size_t step = 0; step < alone[cell].size(); ++step) {
        ASSERT_TRUE(together[cell][step].equal(alone[cell][step]))
            << strategies_[cell]->description() << ", step " << step << ", " << rows << " rows";
      }
    }
  }
}

TEST_P(BatchInvariance, TheFullCacheScoredAloneAndBesideOthers) {
  const std::vector<int64_t> answer{9, 33, 2, 17, 8, 41, 12, 7};
  const std::shared_ptr<const Strategy> full = make_strategy("full");
  const auto with = [&](size_t others) {
    std::vector<Sequence> batch;
    batch.emplace_back(tiny_.language(), prompt_, *full, Budget::unlimited());
    for (size_t i = 0; i < others; ++i)
      batch.emplace_back(tiny_.language(), prompt_, *strategies_[i], budgets_[i]);
    return teacher_force(tiny_.language(), pointers(batch), answer, ForcedOptions{})[0].nll;
  };
  for (const size_t others : {6, 18, 54}) EXPECT_EQ(with(others), with(0)) << others;
}

TEST_P(BatchInvariance, AnswersScoredFor1And7And19And55Cells) {
  const std::vector<ForcedScores> alone = score(1);
  for (const size_t rows : {7, 19, 55}) {
    at::set_num_threads(rows == 19 ? 3 : 1);
    const std::vector<ForcedScores> together = score(rows);
    for (size_t cell = 0; cell < kCells; ++cell) {
      ASSERT_EQ(together[cell].nll, alone[cell].nll)
          << strategies_[cell]->description() << ", " << rows << " rows";
      ASSERT_EQ(together[cell].mean_kl, alone[cell].mean_kl);
    }
  }
}

}  // namespace
}  // namespace elastikv
