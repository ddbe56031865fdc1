// The small models on a GPU against the CPU.
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels.h"
#include "kernels/accelerator.h"
#include "runtime/evaluation.h"
#include "runtime/generation.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/tensors.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

constexpr double kTolerance = 1e-4;

class Cuda : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    skip_without_gpu();
    if (IsSkipped()) return;
    gpu_.emplace(GetParam(), kDevice);
    cpu_.emplace(GetParam());
  }

  std::optional<TinyModel> gpu_;
  std::optional<TinyModel> cpu_;
};

INSTANTIATE_TEST_SUITE_P(Models, Cuda, testing::ValuesIn(tiny_model_names()),
                         [](const auto& info) { return info.param; });

PrefillRequest everything() {
  PrefillRequest request;
  request.column_sums = true;
  request.column_max = true;
  request.row_entropy = true;
  request.decays = {0.9};
  request.last_rows = 8;
  request.query_moments = {2};
  return request;
}

PrefillOutput prefill(const TinyModel& tiny) {
  PrefillInput input;
  input.embeddings = tiny.embeddings();
  input.all_logits = true;
  input.request = everything();
  KVCache cache(tiny.language().cache_shape());
  return tiny.language().prefill(input, cache);
}

TEST_P(Cuda, LogitsAndStatisticsEqualTheCpus) {
  const PrefillOutput gpu = prefill(*gpu_);
  const PrefillOutput cpu = prefill(*cpu_);
  EXPECT_EQ(gpu.logits.device(), kDevice);
  EXPECT_LE(max_difference(gpu.logits.cpu(), cpu.logits), kTolerance);
  EXPECT_LE(max_difference(gpu.logits.cpu(), gpu_->golden.tensor("logits")), kTolerance);
  ASSERT_EQ(gpu.statistics.size(), cpu.statistics.size());
  for (size_t i = 0; i < cpu.statistics.size(); ++i) {
    const PrefillStatistics& a = gpu.statistics[i];
    const PrefillStatistics& b = cpu.statistics[i];
    EXPECT_TRUE(a.column_sums.is_cpu());
    EXPECT_LE(max_difference(a.column_sums, b.column_sums), kTolerance) << "layer " << i;
    EXPECT_LE(max_difference(a.column_max, b.column_max), kTolerance) << "layer " << i;
    EXPECT_LE(max_difference(a.row_entropy, b.row_entropy), kTolerance) << "layer " << i;
    EXPECT_LE(max_difference(a.last_rows, b.last_rows), kTolerance) << "layer " << i;
    EXPECT_LE(max_difference(a.moving_averages.at(0.9), b.moving_averages.at(0.9)), kTolerance)
        << "layer " << i;
    EXPECT_LE(max_difference(a.query_moments.at(2).mean, b.query_moments.at(2).mean), kTolerance)
        << "layer " << i;
    EXPECT_LE(max_difference(a.query_moments.at(2).covariance, b.query_moments.at(2).covariance),
              10 * kTolerance)
        << "layer " << i;
  }
}

const char* const kStrategies[] = {"full", "elastic", "h2o", "streaming-llm", "elastic-released"};

/// The scores of all strategies as one batch, as a sweep computes them.
std::vector<ForcedScores> score(const TinyModel& tiny, const std::vector<int64_t>& answer,
                                const ForcedOptions& options = {}) {
  const EncodedPrompt prompt = tiny.encode();
  std::vector<std::unique_ptr<Strategy>> strategies;
  std::vector<Sequence> sequences;
  for (const char* name : kStrategies) {
    strategies.push_back(make_strategy(name));
    sequences.emplace_back(tiny.language(), prompt, *strategies.back(),
                           sequences.empty() ? Budget::unlimited() : Budget::fraction(0.5));
  }
  std::vector<Sequence*> batch;
  for (Sequence& sequence : sequences) {
    sequence.reserve(static_cast<int64_t>(answer.size()));
    batch.push_back(&sequence);
  }
  return teacher_force(tiny.language(), batch, answer, options);
}

TEST_P(Cuda, TeacherForcingEqualsTheCpus) {
  const std::vector<int64_t> answer{5, 11, 3, 60, 21, 5, 9, 33, 2};
  const std::vector<ForcedScores> gpu = score(*gpu_, answer);
  const std::vector<ForcedScores> cpu = score(*cpu_, answer);
  for (size_t s = 0; s < std::size(kStrategies); ++s) {
    ASSERT_EQ(gpu[s].nll.size(), answer.size());
    for (size_t k = 0; k < answer.size(); ++k) {
      EXPECT_NEAR(gpu[s].nll[k], cpu[s].nll[k], kTolerance) << kStrategies[s] << ", token " << k;
    }
    EXPECT_NEAR(gpu[s].mean_kl.value(), cpu[s].mean_kl.value(), kTolerance) << kStrategies[s];
  }
}

TEST_P(Cuda, GraphsChangeNoBit) {
  const std::vector<int64_t> answer{5, 11, 3, 60, 21, 5, 9, 33, 2, 17, 8, 40};
  ForcedOptions options;
  options.one_pass = false;
  const std::vector<ForcedScores> without = score(*gpu_, answer, options);
  const std::unique_ptr<DecodeGraphs> graphs = DecodeGraphs::on(kDevice);
  ASSERT_NE(graphs, nullptr);
  options.graphs = graphs.get();
  // Heads that the kernels have no code for have no graphs either.
  const CacheShape cache = gpu_->language().cache_shape();
  const bool kernels = accelerator_of(kDevice)->has_slot_attention(cache.dtype, cache.head_dim,
                                                                   /*turned=*/true);
  // The second time all steps are graphs.
  for (int64_t time = 1; time <= 2; ++time) {
    const std::vector<ForcedScores> with = score(*gpu_, answer, options);
    for (size_t s = 0; s < std::size(kStrategies); ++s) {
      EXPECT_EQ(with[s].nll, without[s].nll) << kStrategies[s];
      EXPECT_EQ(with[s].mean_kl, without[s].mean_kl) << kStrategies[s];
    }
    const auto steps = static_cast<int64_t>(answer.size()) - 1;
    EXPECT_EQ(graphs->counts().launched, kernels ? time * steps - DecodeGraphs::kStepsBefore : 0);
  }
}

TEST_P(Cuda, GreedyTokensEqualTheGoldenOnes) {
  const EncodedPrompt prompt = gpu_->encode();
  const auto full = make_strategy("full");
  Sequence sequence(gpu_->language(), prompt, *full, Budget::unlimited());
  const std::vector<int64_t> golden = to_ids(gpu_->golden.tensor("greedy_tokens"));
  GreedyOptions options;
  options.max_new_tokens = static_cast<int64_t>(golden.size());
  EXPECT_EQ(generate_greedy(gpu_->language(), {&sequence}, options)[0].token_ids, golden);
}

}  // namespace
}  // namespace elastikv
