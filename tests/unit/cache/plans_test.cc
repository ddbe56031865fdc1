#include <vector>

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "cache/kv_cache.h"
#include "caches.h"
#include "kernels/rotary.h"
#include "support/tensors.h"

namespace elastikv {
namespace {

/// Merges written out, for any rule, key space and heads: f32 [kept, head_dim] of one head.
at::Tensor merged_head(const at::Tensor& x, const std::vector<int64_t>& positions,
                       const std::vector<int64_t>& kept, const std::vector<int64_t>& source,
                       const std::vector<int64_t>& anchor, const std::vector<double>& source_weight,
                       const std::vector<double>& anchor_weight, LayerPlan::Rule rule,
                       const RotaryTable* rotary) {
  const auto at_position = [&](const at::Tensor& entry, int64_t position, bool off) {
    if (rotary == nullptr) return entry;
    const at::Tensor one = entry.view({1, 1, -1});
    const at::Tensor where = at::tensor({position}, at::kLong);
    return (off ? rotary->unrotate(one, where) : rotary->rotate(one, where)).view({-1});
  };
  std::vector<at::Tensor> rows;
  for (size_t a = 0; a < kept.size(); ++a) {
    const auto position = [&](int64_t slot) { return positions[static_cast<size_t>(slot)]; };
    at::Tensor sum = at_position(x[kept[a]], position(kept[a]), true) * anchor_weight[a];
    double total = anchor_weight[a];
    for (size_t i = 0; i < source.size(); ++i) {
      if (anchor[i] != static_cast<int64_t>(a)) continue;
      sum = sum + at_position(x[source[i]], position(source[i]), true) * source_weight[i];
      total += source_weight[i];
    }
    if (rule == LayerPlan::Rule::kMean) sum = sum / total;
    rows.push_back(at_position(sum, position(kept[a]), false));
  }
  return at::stack(rows);
}

TEST(KVCacheMerges, EveryRuleEqualsBruteForce) {
  constexpr int64_t kHeadDim = 8;
  const RotaryTable rotary(kHeadDim, RotaryRule{100.0}, 64, at::kCPU);
  const std::vector<std::vector<int64_t>> kept{{0, 3, 7}, {1, 8}, {2, 4, 5}};
  const std::vector<std::vector<int64_t>> source{{1, 2, 6, 8}, {0, 5, 5}, {8}};
  const std::vector<std::vector<int64_t>> anchor{{0, 1, 1, 1}, {0, 1, 0}, {2}};
  const std::vector<std::vector<double>> source_weight{{0.5, 2, 1, 0.25}, {1, 3, 0.5}, {2}};
  const std::vector<std::vector<double>> anchor_weight{{1, 0.5, 2}, {3, 1}, {1, 1, 0.75}};
  const auto padded = [](const auto& rows, int64_t columns, const at::Tensor& fill) {
    at::Tensor all = fill.expand({static_cast<int64_t>(rows.size()), columns}).clone();
    for (size_t r = 0; r < rows.size(); ++r) {
      for (size_t i = 0; i < rows[r].size(); ++i)
        all[static_cast<int64_t>(r)][static_cast<int64_t>(i)].fill_(rows[r][i]);
    }
    return all;
  };
  const at::Tensor none = at::full({1, 1}, -1, at::kLong);
  const at::Tensor zero = at::zeros({1, 1});
  for (const bool by_head : {false, true}) {
    const auto heads_of = [by_head](auto rows) {
      if (!by_head) rows.resize(1);
      return rows;
    };
    for (const LayerPlan::Rule rule : {LayerPlan::Rule::kMean, LayerPlan::Rule::kSum}) {
      for (const LayerPlan::KeySpace space :
           {LayerPlan::KeySpace::kRotated, LayerPlan::KeySpace::kUnrotated}) {
        for (const bool merge_keys : {true, false}) {
          for (const bool rerotated : {false, true}) {
            SCOPED_TRACE(testing::Message()
                         << "by head " << by_head << ", sum " << (rule == LayerPlan::Rule::kSum)
                         << ", unrotated " << (space == LayerPlan::KeySpace::kUnrotated)
                         << ", keys " << merge_keys << ", rerotated " << rerotated);
            KVCache cache({.layers = 1, .kv_heads = 3, .head_dim = kHeadDim});
            cache.adopt(0, random_tensor({3, 9, kHeadDim}, 1), random_tensor({3, 9, kHeadDim}, 2),
                        /*first_position=*/10);
            // Storage order is free.
            cache.permute(0, at::tensor({4, 1, 8, 0, 2, 6, 3, 7, 5}, at::kLong));
            const std::vector<int64_t> positions = cache.positions(0);
            if (rerotated) cache.unrotate_keys(rotary);
            const at::Tensor keys = cache.keys(0).clone();
            const at::Tensor values = cache.values(0).clone();
            LayerPlan plan;
            plan.kept = padded(heads_of(kept), 3, none);
            plan.source = padded(heads_of(source), 4, none);
            plan.anchor = padded(heads_of(anchor), 4, none);
            plan.source_weight = padded(heads_of(source_weight), 4, zero);
            plan.anchor_weight = padded(heads_of(anchor_weight), 3, zero);
            plan.rule = rule;
            plan.key_space = space;
            plan.merge_keys = merge_keys;
            cache.apply(0, plan, &rotary);
            for (int64_t h = 0; h < 3; ++h) {
              const size_t g = by_head ? static_cast<size_t>(h) : 0;
              const bool turns = space == LayerPlan::KeySpace::kUnrotated && !rerotated;
              const at::Tensor expected_values =
                  merged_head(values[h], positions, kept[g], source[g], anchor[g], source_weight[g],
                              anchor_weight[g], rule, nullptr);
              EXPECT_LT(max_difference(cache.head_values(0, h), expected_values), 2e-6);
              if (!merge_keys) {
                EXPECT_TRUE(cache.head_keys(0, h).equal(
                    keys[h].index_select(0, at::tensor(kept[g], at::kLong))));
                continue;
              }
              const at::Tensor expected_keys =
                  merged_head(keys[h], positions, kept[g], source[g], anchor[g], source_weight[g],
                              anchor_weight[g], rule, turns ? &rotary : nullptr);
              EXPECT_LT(max_difference(cache.head_keys(0, h), expected_keys), 2e-6);
            }
          }
        }
      }
    }
  }
}

TEST(KVCacheMerges, AnAnchorWithoutSourcesKeepsItsBitsInEveryKeySpace) {
  const RotaryTable rotary(4, RotaryRule{100.0}, 64, at::kCPU);
  for (const c10::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    KVCache cache = filled(6, dtype);
    const at::Tensor keys = cache.keys(0).clone();
    LayerPlan plan = keep({1, 4});
    plan.source = at::tensor({0, 3}, at::kLong).view({1, -1});
    plan.anchor = at::tensor({0, 0}, at::kLong).view({1, -1});
    plan.key_space = LayerPlan::KeySpace::kUnrotated;
    cache.apply(0, plan, &rotary);
    EXPECT_TRUE(cache.keys(0).select(1, 1).equal(keys.select(1, 4)));
    EXPECT_FALSE(cache.keys(0).select(1, 0).equal(keys.select(1, 1)));
  }
}

TEST(KVCacheMerges, UnrotatedMergesNeedARotaryTable) {
  KVCache cache = filled(6);
  LayerPlan plan = keep({1, 4});
  plan.source = at::tensor({0}, at::kLong).view({1, -1});
  plan.anchor = at::tensor({0}, at::kLong).view({1, -1});
  plan.key_space = LayerPlan::KeySpace::kUnrotated;
  EXPECT_THROW(cache.apply(0, plan), InternalError);
  plan.merge_keys = false;
  cache.apply(0, plan);
  EXPECT_EQ(cache.length(0), 2);
}

TEST(KVCacheMerges, AStepMayRebuildALayer) {
  KVCache cache = filled(5);
  cache.apply(0, keep_by_head({{0, 1, 2}, {3, 4}, {1, 2, 3, 4}}));
  const at::Tensor values = cache.head_values(0, 2).clone();
  StepPlan step;
  step.rebuild = keep_by_head({{0, 1}, {1}, {0, 3}});
  step.rebuild.source = at::tensor({2, -1, 0, -1, 1, 2}, at::kLong).view({3, 2});
  step.rebuild.anchor = at::tensor({1, -1, 0, -1, 0, 1}, at::kLong).view({3, 2});
  cache.apply(0, step);
  EXPECT_EQ(cache.head_lengths(0), (std::vector<int64_t>{2, 1, 2}));
  EXPECT_LT(max_difference(cache.head_values(0, 2),
                           at::stack({(values[0] + values[1]) / 2, (values[3] + values[2]) / 2})),
            1e-6);
}

TEST(KVCacheBias, IsAbsentUntilAPlanBringsOne) {
  KVCache cache = filled(6);
  cache.apply(0, keep({0, 2, 4, 5}));
  EXPECT_FALSE(cache.has_logit_bias(0));
  LayerPlan plan = keep({0, 1, 3});
  plan.logit_bias = at::tensor({0.5, 0.0, -1.0}, at::kFloat).view({1, -1});
  cache.apply(0, plan);
  EXPECT_TRUE(cache.has_logit_bias(0));
  EXPECT_FALSE(cache.has_logit_bias(1));
  EXPECT_EQ(cache.logit_bias(0), (std::vector<std::vector<float>>{{0.5F, 0.0F, -1.0F}}));
  // A plan without biases leaves those of the slots it keeps; another adds to them.
  cache.apply(0, keep({0, 2}));
  EXPECT_EQ(cache.logit_bias(0), (std::vector<std::vector<float>>{{0.5F, -1.0F}}));
  plan = keep({1, 0});
  plan.logit_bias = at::tensor({2.0, 0.25}, at::kFloat).view({1, -1});
  KVCache fork = cache.fork();
  fork.apply(0, plan);
  EXPECT_EQ(fork.logit_bias(0), (std::vector<std::vector<float>>{{1.0F, 0.75F}}));
  EXPECT_EQ(cache.logit_bias(0), (std::vector<std::vector<float>>{{0.5F, -1.0F}}));
}

TEST(KVCacheUnrotate, TakesTheRotationOffAllKeysOfAllLayers) {
  const RotaryTable rotary(4, RotaryRule{100.0}, 64, at::kCPU);
  KVCache cache = filled(6);
  cache.apply(1, keep_by_head({{0, 5}, {1}, {2, 3, 4}}));
  const at::Tensor keys = cache.keys(0).clone();
  const at::Tensor third = cache.head_keys(1, 2).clone();
  KVCache fork = cache.fork();
  fork.unrotate_keys(rotary);
  EXPECT_TRUE(fork.keys_are_unrotated());
  EXPECT_FALSE(cache.keys_are_unrotated());
  EXPECT_TRUE(fork.fork().keys_are_unrotated());
  EXPECT_TRUE(cache.keys(0).equal(keys));
  EXPECT_LT(max_difference(rotary.rotate(fork.keys(0), at::arange(6, at::kLong)), keys), 1e-6);
  EXPECT_LT(max_difference(rotary.rotate(fork.head_keys(1, 2).unsqueeze(0),
                                         at::tensor({2, 3, 4}, at::kLong))[0],
                           third),
            1e-6);
  EXPECT_TRUE(fork.values(0).equal(cache.values(0)));
}

TEST(KVCacheRotaryPositions, TokensAfterThePromptGoOnBehindTheLargest) {
  KVCache cache = filled(6);
  EXPECT_EQ(cache.rotary_position(9), 9);
  EXPECT_TRUE(cache.rotary_positions({4, 1}).equal(at::tensor({4, 1}, at::kLong)));
  // Three axes: an image of 1 x 2 tokens within text.
  const at::Tensor positions =
      at::tensor({0, 1, 2, 2, 4, 5, 0, 1, 2, 2, 4, 5, 0, 1, 2, 3, 4, 5}, at::kLong).view({3, 6});
  cache.set_rotary_positions(positions);
  EXPECT_EQ(cache.rotary_position(6), 6);
  KVCache fork = cache.fork();
  fork.set_rotary_positions(positions.clamp_max(2));
  EXPECT_EQ(fork.rotary_position(6), 3);
  EXPECT_EQ(fork.rotary_position(8), 5);
  EXPECT_TRUE(fork.rotary_positions({7, 3, 5}).equal(
      at::tensor({4, 2, 2, 4, 2, 2, 4, 2, 2}, at::kLong).view({3, 3})));
  EXPECT_EQ(cache.rotary_position(8), 8);
}

TEST(KVCacheRotaryPositions, RotationsComeOffAndMergesTurnByAllAxes) {
  const RotaryTable rotary(4, RotaryRule{.theta = 100.0, .sections = {1, 1}}, 64, at::kCPU);
  const at::Tensor positions =
      at::tensor({0, 3, 5, 2, 9, 1, 0, 7, 5, 4, 9, 8}, at::kLong).view({2, 6});
  KVCache cache = filled(6);
  cache.set_rotary_positions(positions);
  const at::Tensor keys = cache.keys(0).clone();
  KVCache plain = cache.fork();
  plain.unrotate_keys(rotary);
  EXPECT_LT(max_difference(rotary.rotate(plain.keys(0), positions), keys), 1e-6);
  // Slots 1 and 3 join slot 4: their un-rotated mean, rotated as slot 4 is.
  LayerPlan plan = keep({0, 4});
  plan.source = at::tensor({1, 3}, at::kLong).view({1, 2});
  plan.anchor = at::tensor({1, 1}, at::kLong).view({1, 2});
  plan.key_space = LayerPlan::KeySpace::kUnrotated;
  const at::Tensor free = plain.keys(0);
  const at::Tensor mean =
      (free.select(1, 1) + free.select(1, 3) + free.select(1, 4)).unsqueeze(1) / 3;
  const at::Tensor expected = rotary.rotate(mean, positions.narrow(1, 4, 1));
  cache.apply(0, plan, &rotary);
  EXPECT_LT(max_difference(cache.keys(0).narrow(1, 1, 1), expected), 1e-6);
  EXPECT_TRUE(cache.keys(0).select(1, 0).equal(keys.select(1, 0)));
}

}  // namespace
}  // namespace elastikv
