// LOOK-M's and D2O's merging by similarity, against brute force over plain loops.
#include <string>
#include <vector>

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "strategies/registry.h"
#include "support/expect_error.h"
#include "unit/strategies/merge_support.h"
#include "unit/strategies/support.h"

namespace elastikv {
namespace {

/// Of every entry that goes the most similar anchor and their cosine, of equals the first.
struct Link {
  int64_t slot;
  size_t anchor;
  double cosine;
};
std::vector<Link> links(const MadeUpLayer& made, int64_t group, bool all) {
  const auto g = static_cast<size_t>(group);
  Rows keys;
  for (int64_t slot = 0; slot < made.tokens; ++slot) keys.push_back(made.key(group, slot));
  std::vector<Link> found;
  for (const int64_t slot : made.dropped(g)) {
    Link best{slot, made.kept[g].size(), -2.0};
    for (size_t a = 0; a < made.kept[g].size(); ++a) {
      if (!made.is_anchor(g, a, all)) continue;
      const double here =
          cosine(keys[static_cast<size_t>(slot)], keys[static_cast<size_t>(made.kept[g][a])]);
      if (here > best.cosine) best = {slot, a, here};
    }
    if (best.cosine > -2.0) found.push_back(best);
  }
  return found;
}

Members similar_members(const MadeUpLayer& made, int64_t group, bool all, double threshold) {
  Members members(made.kept[static_cast<size_t>(group)].size());
  for (const Link& link : links(made, group, all)) {
    if (link.cosine >= threshold) members[link.anchor].push_back({link.slot, 1.0});
  }
  return members;
}

/// The mean of the anchor and of every member's midpoint with it.
Row pivotal(const Rows& x, int64_t anchor, const std::vector<Member>& members) {
  const Row& own = x[static_cast<size_t>(anchor)];
  Row sum = own;
  for (const Member& member : members) {
    const Row& other = x[static_cast<size_t>(member.slot)];
    for (size_t d = 0; d < sum.size(); ++d) sum[d] += (own[d] + other[d]) / 2.0;
  }
  for (double& value : sum) value /= static_cast<double>(members.size() + 1);
  return sum;
}

TEST(MergeSimilar, EqualsBruteForce) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    for (const bool head_wise : {false, true}) {
      const MadeUpLayer made = made_up_layer(seed, head_wise);
      for (const std::string anchors : {"unprotected", "all"}) {
        for (const double threshold : {-1.0, 0.3, 1.0}) {
          for (const std::string weights : {"uniform", "pivot"}) {
            SCOPED_TRACE(fmt::format("seed={} head_wise={} anchors={} threshold={} weights={}",
                                     seed, head_wise, anchors, threshold, weights));
            const auto merge = make_part(
                make_merge_similar_compaction,
                fmt::format("{{kind: merge_similar, anchors: {}, threshold: {}, weights: {}}}",
                            anchors, threshold, weights));
            expect_merged(
                merge->plan(made.input()), made,
                [&](int64_t group) {
                  return similar_members(made, group, anchors == "all", threshold);
                },
                weights == "pivot" ? pivotal : weighted_mean);
          }
        }
      }
    }
  }
}

/// One head of two-dimensional keys; keeps `kept` with the first and the last entry protected.
MadeUpLayer layer_of(const std::vector<float>& keys, const std::vector<int64_t>& kept) {
  MadeUpLayer made;
  made.tokens = static_cast<int64_t>(keys.size()) / 2;
  made.kept = {kept};
  made.protect = {{.sinks = 1, .recent = 1}};
  made.layer.keys = at::tensor(keys, at::kFloat).view({1, made.tokens, 2});
  made.layer.values = made.layer.keys;
  made.scores = at::zeros({1, made.tokens}, at::kFloat);
  return made;
}

TEST(MergeSimilar, TiesGoToTheEarlierAnchorWhateverItsLength) {
  //                                    0     1     2     3     4     5     6
  const MadeUpLayer made = layer_of({1, 0, 0, 1, 2, 0, 0, 4, 1, 0, 0, 1, 0, 1}, {0, 1, 2, 3, 4, 6});
  const auto source = [&](const char* anchors) {
    return make_part(make_merge_similar_compaction,
                     fmt::format("{{kind: merge_similar, anchors: {}}}", anchors))
        ->plan(made.input())
        .anchor.item<int64_t>();
  };
  EXPECT_EQ(source("unprotected"), 1);
  EXPECT_EQ(source("all"), 1);
  // Opposite keys, or none: all anchors are equally unlike, and the first unprotected one takes it.
  const MadeUpLayer opposite = layer_of({1, 0, 1, 0, 1, 0, -1, 0, 1, 0}, {0, 1, 2, 4});
  const MadeUpLayer zero = layer_of({1, 0, 1, 0, 1, 0, 0, 0, 1, 0}, {0, 1, 2, 4});
  const auto merge = make_part(make_merge_similar_compaction, "merge_similar");
  EXPECT_EQ(merge->plan(opposite.input()).anchor.item<int64_t>(), 1);
  EXPECT_EQ(merge->plan(zero.input()).anchor.item<int64_t>(), 1);
}

TEST(MergeSimilar, WithoutAnchorsItEvicts) {
  const MadeUpLayer made = layer_of({1, 0, 0, 1, 1, 0, 0, 1}, {0, 3});
  for (const char* kind : {"merge_similar", "merge_threshold"}) {
    const auto make = std::string(kind) == "merge_similar" ? make_merge_similar_compaction
                                                           : make_merge_threshold_compaction;
    const LayerPlan plan = make_part(make, kind)->plan(made.input());
    EXPECT_TRUE(plan.kept.equal(at::tensor({0, 3}, at::kLong).unsqueeze(0))) << kind;
    EXPECT_FALSE(plan.source.defined()) << kind;
    EXPECT_FALSE(plan.source_weight.defined()) << kind;
  }
}

TEST(MergeSimilar, WeighsAsItsOptionsSay) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    for (const bool head_wise : {false, true}) {
      const MadeUpLayer made = made_up_layer(seed, head_wise);
      const auto members_weighing =
          [&](const std::function<double(int64_t group, size_t anchor, const Member&,
                                         size_t count)>& weigh) {
            return [&made, weigh](int64_t group) {
              Members members = similar_members(made, group, /*all=*/false, /*threshold=*/-1.0);
              for (size_t a = 0; a < members.size(); ++a) {
                for (Member& member : members[a]) {
                  member.weight = weigh(group, a, member, members[a].size());
                }
              }
              return members;
            };
          };
      const auto plan = [&](const char* options) {
        return make_part(make_merge_similar_compaction,
                         fmt::format("{{kind: merge_similar, {}}}", options))
            ->plan(made.input());
      };
      SCOPED_TRACE(fmt::format("seed={} head_wise={}", seed, head_wise));
      expect_merged(plan("weights: importance"), made,
                    members_weighing([&](int64_t group, size_t a, const Member& member, size_t) {
                      const float* scores =
                          made.scores.const_data_ptr<float>() + group * made.tokens;
                      return scores[member.slot] /
                             static_cast<double>(scores[made.kept[static_cast<size_t>(group)][a]]);
                    }));
      expect_merged(plan("weights: anchor_share, share: 0.8"), made,
                    members_weighing([](int64_t, size_t, const Member&, size_t count) {
                      return 0.2 / 0.8 / static_cast<double>(count);
                    }));
      const LayerPlan biased = plan("count_bias: true, key_space: unrotated");
      if (!biased.source.defined()) continue;
      EXPECT_EQ(biased.key_space, LayerPlan::KeySpace::kUnrotated);
      for (int64_t g = 0; g < made.groups; ++g) {
        const Members members = similar_members(made, g, /*all=*/false, /*threshold=*/-1.0);
        for (size_t a = 0; a < members.size(); ++a) {
          EXPECT_NEAR(biased.logit_bias[g][static_cast<int64_t>(a)].item<float>(),
                      std::log(1.0 + static_cast<double>(members[a].size())), 1e-6);
        }
      }
    }
  }
}

TEST(MergeSimilar, RefusesACosineBeyondOne) {
  EXPECT_ERROR(make_part(make_merge_similar_compaction, "{kind: merge_similar, threshold: 1.5}"),
               "p.yaml:1: key 'part.threshold' is 1.5, a number from -1 to 1 is needed");
}

TEST(MergeThreshold, EqualsBruteForceOnThePrompt) {
  int64_t forgotten = 0;
  for (unsigned seed = 1; seed <= 60; ++seed) {
    for (const bool head_wise : {false, true}) {
      for (const bool all : {false, true}) {
        SCOPED_TRACE(fmt::format("seed={} head_wise={} all={}", seed, head_wise, all));
        const MadeUpLayer made = made_up_layer(seed, head_wise);
        const auto merge = make_part(
            make_merge_threshold_compaction,
            fmt::format("{{kind: merge_threshold, anchors: {}}}", all ? "all" : "unprotected"));
        expect_merged(merge->plan(made.input()), made, [&](int64_t group) {
          Members members(made.kept[static_cast<size_t>(group)].size());
          const std::vector<Link> found = links(made, group, all);
          double mean = 0.0;
          for (const Link& link : found) mean += link.cosine / static_cast<double>(found.size());
          for (const Link& link : found) {
            // A single entry is its own mean.
            if (found.size() > 1 && link.cosine < mean) {
              ++forgotten;
              continue;
            }
            // D2O: an anchor weighs e, a source e^cosine.
            members[link.anchor].push_back({link.slot, std::exp(link.cosine) / std::exp(1.0)});
          }
          return members;
        });
      }
    }
  }
  EXPECT_GT(forgotten, 0);
}

}  // namespace
}  // namespace elastikv
