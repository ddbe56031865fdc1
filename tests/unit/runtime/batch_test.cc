// Sequences that decode together against the same sequences alone.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/tensors.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

/// Of the largest logit.
constexpr double kTolerance = 1e-5;

/// Drops the oldest entry of every head once a layer has more than it had at first.
class DropOldest final : public GenerationPolicy {
 public:
  std::vector<StepPlan> step(const DecodeStep& step) override {
    std::vector<StepPlan> plans(static_cast<size_t>(step.cache->shape().layers));
    for (int64_t layer = 0; layer < step.cache->shape().layers; ++layer) {
      for (int64_t group = 0; group < step.cache->groups(layer); ++group) {
        const auto& positions = step.cache->positions(layer, group);
        const auto oldest = std::min_element(positions.begin(), positions.end());
        plans[static_cast<size_t>(layer)].evict.push_back({oldest - positions.begin()});
      }
    }
    return plans;
  }
};

/// Heads of different lengths, each drawn, with merges of un-rotated keys and biases.
class Ragged final : public Strategy {
 public:
  Ragged(PositionMode positions, bool evicts) : positions_(positions), evicts_(evicts) {}

  StatisticsRequest needs() const override { return {}; }
  PositionMode positions() const override { return positions_; }
  std::vector<at::Tensor> importance(const PromptStatistics& /*prompt*/) const override {
    return {};
  }
  std::string description() const override { return "ragged"; }
  std::vector<std::string> parts() const override { return {}; }
  std::unique_ptr<GenerationPolicy> begin_generation(const PromptStatistics& /*prompt*/,
                                                     const std::vector<LayerPlan>& /*plans*/,
                                                     const Budget& /*budget*/) const override {
    return evicts_ ? std::make_unique<DropOldest>() : nullptr;
  }

  std::vector<LayerPlan> compress(const PromptStatistics& prompt,
                                  const Budget& budget) const override {
    const int64_t tokens = prompt.prompt_tokens;
    const int64_t slots = budget.slots(tokens, tokens);
    std::mt19937_64 random(3);
    std::vector<LayerPlan> plans;
    for (size_t layer = 0; layer < prompt.layers.size(); ++layer) {
      LayerPlan plan;
      plan.kept = at::full({prompt.kv_heads, tokens}, -1, at::kLong);
      plan.source = at::full({prompt.kv_heads, tokens}, -1, at::kLong);
      plan.anchor = at::full({prompt.kv_heads, tokens}, -1, at::kLong);
      plan.logit_bias = at::zeros({prompt.kv_heads, tokens});
      plan.key_space = LayerPlan::KeySpace::kUnrotated;
      for (int64_t head = 0; head < prompt.kv_heads; ++head) {
        const int64_t length = std::min(tokens, slots + 2 * head + static_cast<int64_t>(layer));
        std::vector<int64_t> order(static_cast<size_t>(tokens));
        for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
        std::shuffle(order.begin(), order.end(), random);
        std::sort(order.begin(), order.begin() + length);
        for (int64_t i = 0; i < tokens; ++i) {
          const int64_t slot = order[static_cast<size_t>(i)];
          if (i < length) {
            plan.kept[head][i].fill_(slot);
            continue;
          }
          const auto anchor = static_cast<int64_t>(random() % static_cast<uint64_t>(length));
          plan.source[head][i - length].fill_(slot);
          plan.anchor[head][i - length].fill_(anchor);
          plan.logit_bias[head][anchor] += std::log(2.0);
        }
      }
      plans.push_back(plan);
    }
    return plans;
  }

 private:
  PositionMode positions_;
  bool evicts_;
};

class Batch : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Models, Batch, testing::ValuesIn(tiny_model_names()),
                         [](const auto& info) { return info.param; });

TEST_P(Batch, EqualsItsSequencesAlone) {
  const TinyModel tiny(GetParam());
  const EncodedPrompt prompt = tiny.encode();
  const EncodedPrompt shorter = tiny.encode(std::max<int64_t>(tiny.text_begin(), 6));
  struct Member {
    std::shared_ptr<const Strategy> strategy;
    Budget budget;
    const EncodedPrompt* prompt;
    bool reserves;
  };
  std::vector<Member> members;
  for (const PresetInfo& preset : list_presets()) {
    const std::shared_ptr<const Strategy> strategy = make_strategy(preset.name);
    if (can_run(*strategy, prompt)) {
      members.push_back({strategy, Budget::fraction(0.3), &prompt, members.size() % 2 == 0});
    }
    if (can_run(*strategy, shorter)) {
      members.push_back({strategy, Budget::tokens(7), &shorter, members.size() % 3 == 0});
    }
  }
  members.push_back({make_strategy("full"), Budget::unlimited(), &prompt, false});
  for (const PositionMode mode :
       {PositionMode::kOriginal, PositionMode::kCacheLength, PositionMode::kRerotated}) {
    for (const bool evicts : {false, true}) {
      members.push_back(
          {std::make_shared<Ragged>(mode, evicts), Budget::fraction(0.4), &prompt, evicts});
    }
  }
  const std::vector<int64_t> tokens{5, 11, 3, 60, 21, 5, 9, 33, 2};
  const auto begin = [&](const Member& member) {
    Sequence sequence(tiny.language(), *member.prompt, *member.strategy, member.budget);
    if (member.reserves) sequence.reserve(static_cast<int64_t>(tokens.size()));
    return sequence;
  };
  std::vector<Sequence> together;
  std::vector<Sequence*> batch;
  together.reserve(members.size());
  for (const Member& member : members) together.push_back(begin(member));
  for (Sequence& sequence : together) batch.push_back(&sequence);
  std::vector<at::Tensor> logits;  // [members, vocab] of each step
  for (size_t k = 0; k < tokens.size(); ++k) {
    // Every row has a token of its own.
    std::vector<int64_t> fed;
    for (size_t i = 0; i < members.size(); ++i) fed.push_back(tokens[(k + i) % tokens.size()]);
    logits.push_back(decode_step(tiny.language(), batch, fed));
  }
  for (size_t i = 0; i < members.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "member " << i << ": " << members[i].strategy->description()
                                    << ", " << members[i].budget.name());
    Sequence alone = begin(members[i]);
    for (size_t k = 0; k < tokens.size(); ++k) {
      const at::Tensor expected =
          decode_step(tiny.language(), {&alone}, {tokens[(k + i) % tokens.size()]})[0];
      const at::Tensor row = logits[k][static_cast<int64_t>(i)];
      EXPECT_TRUE(row.equal(expected)) << "step " << k;
    }
    // What is kept is the same to the last slot, and so are the biases.
    for (int64_t layer = 0; layer < alone.cache().shape().layers; ++layer) {
      ASSERT_EQ(together[i].cache().groups(layer), alone.cache().groups(layer));
      for (int64_t group = 0; group < alone.cache().groups(layer); ++group) {
        EXPECT_EQ(together[i].cache().positions(layer, group),
                  alone.cache().positions(layer, group));
      }
      EXPECT_EQ(together[i].cache().logit_bias(layer), alone.cache().logit_bias(layer));
    }
    EXPECT_EQ(together[i].cache().allocated_bytes(), alone.cache().allocated_bytes());
  }
}

TEST_P(Batch, ABiasCountsAnEntrySeveralTimes) {
  // ln 3 on a slot is that slot three times, for all heads alike and head by head.
  const TinyModel tiny(GetParam());
  const LanguageModel& language = tiny.language();
  const EncodedPrompt prompt = tiny.encode();
  const int64_t kv_heads = language.cache_shape().kv_heads;
  for (const int64_t groups : {int64_t{1}, kv_heads}) {
    LayerPlan biased;
    LayerPlan repeated;
    biased.kept = at::tensor({0, 2, 3, 5}, at::kLong).expand({groups, 4}).contiguous();
    biased.logit_bias = at::zeros({groups, 4});
    repeated.kept = at::tensor({0, 2, 3, 5, -1, -1}, at::kLong).expand({groups, 6}).contiguous();
    for (int64_t g = 0; g < groups; ++g) {
      biased.logit_bias[g][g % 4].fill_(std::log(3.0));
      for (const int64_t extra : {4, 5}) repeated.kept[g][extra].copy_(biased.kept[g][g % 4]);
    }
    KVCache a = prompt.cache.fork();
    KVCache b = prompt.cache.fork();
    KVCache plain = prompt.cache.fork();
    for (int64_t layer = 0; layer < a.shape().layers; ++layer) {
      a.apply(layer, biased);
      b.apply(layer, repeated);
      LayerPlan without = biased;
      without.logit_bias = at::Tensor();
      plain.apply(layer, without);
    }
    for (int64_t step = 0; step < 3; ++step) {
      const auto run = [&](KVCache& cache) {
        DecodeInput input;
        input.cache = &cache;
        input.token = 5 + step;
        input.token_index = tiny.tokens() + step;
        return language.decode({input}).logits[0];
      };
      const at::Tensor expected = run(b);
      const double limit = kTolerance * expected.abs().max().item<double>();
      EXPECT_LE(max_difference(run(a), expected), limit) << groups << " groups, step " << step;
      EXPECT_GT(max_difference(run(plain), expected), 100 * limit);
    }
  }
}

TEST_P(Batch, ReservedSequencesAllocateNothingMore) {
  const TinyModel tiny(GetParam());
  const EncodedPrompt prompt = tiny.encode();
  const std::vector<int64_t> tokens{5, 11, 3, 60, 21, 5, 9, 33, 2};
  std::vector<std::shared_ptr<const Strategy>> strategies{
      std::make_shared<Ragged>(PositionMode::kOriginal, /*evicts=*/true),
      std::make_shared<Ragged>(PositionMode::kOriginal, /*evicts=*/false)};
  for (const char* name : {"elastic", "h2o", "streaming-llm", "random", "stride"})
    strategies.push_back(make_strategy(name));
  for (const auto& strategy : strategies) {
    for (const Budget& budget : {Budget::fraction(0.3), Budget::tokens(9)}) {
      Sequence sequence(tiny.language(), prompt, *strategy, budget);
      sequence.reserve(static_cast<int64_t>(tokens.size()));
      const void* before = sequence.cache().view(0).keys.const_data_ptr();
      const int64_t bytes = sequence.cache().allocated_bytes();
      for (const int64_t token : tokens) decode_step(tiny.language(), {&sequence}, {token});
      EXPECT_EQ(sequence.cache().view(0).keys.const_data_ptr(), before)
          << strategy->description() << ", " << budget.name();
      EXPECT_EQ(sequence.cache().allocated_bytes(), bytes);
    }
  }
}

}  // namespace
}  // namespace elastikv
