// CaM's merging of values, against brute force over plain loops.
#include <algorithm>
#include <vector>

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "strategies/random_stream.h"
#include "strategies/registry.h"
#include "support/expect_error.h"
#include "unit/strategies/merge_support.h"

namespace elastikv {
namespace {

/// CaM in its own words: walks over what goes, in order, and adds shares of its value.
Members cam_members(const MadeUpLayer& made, int64_t group, size_t window) {
  const auto g = static_cast<size_t>(group);
  const auto& kept = made.kept[g];
  const float* scores = made.scores.const_data_ptr<float>() + group * made.tokens;
  RandomStream stream(~uint64_t{17}, 3, group);
  Members members(kept.size());
  for (const int64_t slot : made.dropped(g)) {
    const double drawn = stream.uniform();
    std::vector<size_t> next;
    for (size_t a = 0; a < kept.size() && next.size() < window; ++a) {
      if (kept[a] > slot) next.push_back(a);
    }
    if (next.empty()) continue;
    double mean = 0.0;
    for (const size_t a : next) mean += scores[kept[a]] / static_cast<double>(next.size());
    if (drawn >= std::clamp(scores[slot] / mean, 0.0, 1.0)) continue;
    for (const size_t a : next) {
      members[a].push_back({slot, 1.0 / static_cast<double>(next.size())});
    }
  }
  return members;
}

Row added(const Rows& x, int64_t anchor, const std::vector<Member>& members) {
  Row sum = x[static_cast<size_t>(anchor)];
  for (const Member& member : members) {
    const Row& other = x[static_cast<size_t>(member.slot)];
    for (size_t d = 0; d < sum.size(); ++d) sum[d] += member.weight * other[d];
  }
  return sum;
}

LayerPlan plan_of(const MadeUpLayer& made, size_t window) {
  return make_part(make_merge_values_compaction,
                   fmt::format("{{kind: merge_values, window: {}}}", window))
      ->plan(made.input());
}

TEST(MergeValues, EqualsBruteForce) {
  size_t merged = 0;
  size_t forgotten = 0;
  for (unsigned seed = 1; seed <= 60; ++seed) {
    for (const bool head_wise : {false, true}) {
      for (const size_t window : {1, 4, 32}) {
        SCOPED_TRACE(fmt::format("seed={} head_wise={} window={}", seed, head_wise, window));
        const MadeUpLayer made = made_up_layer(seed, head_wise);
        const LayerPlan plan = plan_of(made, window);
        expect_merged(
            plan, made, [&](int64_t group) { return cam_members(made, group, window); }, added,
            /*keys_too=*/false);
        for (int64_t g = 0; g < made.groups; ++g) {
          double shares = 0.0;
          for (const auto& members : cam_members(made, g, window)) {
            for (const Member& member : members) shares += member.weight;
          }
          // Each that is drawn gives all of itself.
          const auto drawn = static_cast<size_t>(std::lround(shares));
          EXPECT_NEAR(shares, static_cast<double>(drawn), 1e-9);
          merged += drawn;
          forgotten += made.dropped(static_cast<size_t>(g)).size() - drawn;
        }
      }
    }
  }
  EXPECT_GT(merged, 500U);
  EXPECT_GT(forgotten, 500U);
}

TEST(MergeValues, TheSeedDecides) {
  const MadeUpLayer made = made_up_layer(5, /*head_wise=*/false);
  const auto with_seed = [&](uint64_t seed, int64_t layer) {
    const CompactionInput same = made.input();
    return make_part(make_merge_values_compaction, "merge_values")
        ->plan({.kept = same.kept,
                .protect = same.protect,
                .tokens = same.tokens,
                .scores = same.scores,
                .layer = same.layer,
                .layer_index = layer,
                .seed = seed});
  };
  EXPECT_TRUE(at::equal(with_seed(1, 0).source, with_seed(1, 0).source));
  EXPECT_FALSE(at::equal(with_seed(1, 0).source, with_seed(2, 0).source));
  EXPECT_FALSE(at::equal(with_seed(1, 0).source, with_seed(1, 1).source));
}

/// Keeps `kept` of six entries with the given scores.
MadeUpLayer scored(const std::vector<float>& scores, const std::vector<int64_t>& kept) {
  MadeUpLayer made;
  made.tokens = static_cast<int64_t>(scores.size());
  made.layer.keys = at::zeros({1, made.tokens, 1}, at::kFloat);
  made.layer.values = at::zeros({1, made.tokens, 1}, at::kFloat);
  made.scores = at::tensor(scores, at::kFloat).unsqueeze(0);
  made.kept = {kept};
  made.protect = {{.sinks = 1, .recent = 1}};
  return made;
}

TEST(MergeValues, SpreadsOverTheNextThatStayProtectedOnesToo) {
  // The score is above its neighbours' mean, so the draw does not matter.
  const LayerPlan plan = plan_of(scored({9, 7, 1, 1, 1, 1}, {0, 2, 4, 5}), 2);
  EXPECT_TRUE(plan.source.narrow(1, 0, 2).equal(at::tensor({1, 1}, at::kLong).unsqueeze(0)));
  EXPECT_TRUE(plan.anchor.narrow(1, 0, 2).equal(at::tensor({1, 2}, at::kLong).unsqueeze(0)));
  EXPECT_FALSE(plan.merge_keys);
  EXPECT_EQ(plan.rule, LayerPlan::Rule::kSum);
  EXPECT_FALSE(plan.anchor_weight.defined());
}

TEST(MergeValues, NothingAfterwardsOrNoAttentionMergesNothing) {
  EXPECT_FALSE(plan_of(scored({1, 1, 1, 9, 9, 9}, {0, 1, 2}), 32).source.defined());
  EXPECT_FALSE(plan_of(scored({1, 0, 0, 0, 1, 1}, {0, 4, 5}), 32).source.defined());
  // Attention against none is certain.
  EXPECT_TRUE(plan_of(scored({1, 0, 1, 1, 0, 0}, {0, 4, 5}), 32).source.defined());
}

TEST(MergeValues, NeedsAnImportance) {
  EXPECT_ERROR(make_strategy("streaming-llm", {"compaction=merge_values"}),
               fmt::format("{}:5: key 'compaction' weighs by scores, so an 'importance' is needed",
                           (preset_folder() / "streaming-llm.yaml").string()));
}

}  // namespace
}  // namespace elastikv
