// Elastic Cache's merging by position and its limits, against brute force over plain loops.
#include <cstdlib>
#include <limits>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "strategies/registry.h"
#include "support/expect_error.h"
#include "unit/strategies/merge_support.h"
#include "unit/strategies/support.h"

namespace elastikv {
namespace {

struct Limits {
  int64_t within = 0;  // 0: any
  double key_cosine = -1.0;
  double value_cosine = -1.0;
};

/// Every entry that goes joins the nearest unprotected anchor, of two the earlier, unless a limit
/// parts them.
Members nearest_members(const MadeUpLayer& made, int64_t group, const Limits& limits) {
  const auto g = static_cast<size_t>(group);
  Members members(made.kept[g].size());
  for (const int64_t slot : made.dropped(g)) {
    size_t best = members.size();
    int64_t shortest = std::numeric_limits<int64_t>::max();
    for (size_t a = 0; a < members.size(); ++a) {
      const int64_t away = std::abs(made.kept[g][a] - slot);
      if (!made.is_anchor(g, a, /*all=*/false) || away >= shortest) continue;
      best = a;
      shortest = away;
    }
    if (best == members.size() || (limits.within > 0 && shortest > limits.within)) continue;
    const int64_t anchor = made.kept[g][best];
    if (cosine(made.key(group, slot), made.key(group, anchor)) < limits.key_cosine) continue;
    if (cosine(made.value(group, slot), made.value(group, anchor)) < limits.value_cosine) continue;
    members[best].push_back({slot, 1.0});
  }
  return members;
}

TEST(MergeNearest, EqualsBruteForceWithinItsLimits) {
  const std::vector<Limits> all{{},
                                {.within = 1},
                                {.within = 3},
                                {.key_cosine = 0.2},
                                {.value_cosine = 0.2},
                                {.within = 4, .key_cosine = 0.0, .value_cosine = -0.5}};
  for (unsigned seed = 1; seed <= 40; ++seed) {
    for (const bool head_wise : {false, true}) {
      const MadeUpLayer made = made_up_layer(seed, head_wise);
      for (const Limits& limits : all) {
        for (const std::string merge : {"keys_and_values", "values"}) {
          const std::string text = fmt::format(
              "{{kind: merge_nearest, within: {}, key_cosine: {}, value_cosine: {}, merge: {}}}",
              limits.within, limits.key_cosine, limits.value_cosine, merge);
          SCOPED_TRACE(fmt::format("seed={} head_wise={} {}", seed, head_wise, text));
          const auto compaction = make_part(make_compaction, text);
          EXPECT_EQ(compaction->needs().keys, limits.key_cosine > -1.0);
          EXPECT_EQ(compaction->needs().values, limits.value_cosine > -1.0);
          expect_merged(
              compaction->plan(made.input()), made,
              [&](int64_t group) { return nearest_members(made, group, limits); }, weighted_mean,
              /*keys_too=*/merge == "keys_and_values");
        }
      }
    }
  }
}

TEST(MergeNearest, OtherLayersThanNamedForget) {
  const MadeUpLayer made = made_up_layer(/*seed=*/5, /*head_wise=*/false);  // layer 3
  const auto merges = [&](const std::string& limits) {
    const LayerPlan plan =
        make_part(make_compaction, "{kind: merge_nearest, " + limits + "}")->plan(made.input());
    EXPECT_TRUE(plan.kept.defined());
    return plan.source.defined();
  };
  EXPECT_TRUE(merges("first_layer: 3"));
  EXPECT_TRUE(merges("last_layer: 3"));
  EXPECT_FALSE(merges("first_layer: 4"));
  EXPECT_FALSE(merges("last_layer: 2"));
}

TEST(MergeNearest, SaysItsLimitsOnlyWhereItHasSome) {
  const auto description = [](const std::string& more) {
    return make_part(make_compaction, "{kind: merge_nearest" + more + "}")->description();
  };
  const std::string same = "merge_nearest(sources=dropped,weights=uniform,key_space=rotated";
  EXPECT_EQ(description(""), same + ")");
  EXPECT_EQ(description(", within: 8, merge: values"), same + ",merge=values,within=8)");
  EXPECT_EQ(description(", first_layer: 2, last_layer: 9, key_cosine: 0.5, value_cosine: 0"),
            same + ",first_layer=2,last_layer=9,key_cosine=0.5,value_cosine=0)");
}

TEST(MergeNearest, RefusesLimitsThatAreNone) {
  EXPECT_ERROR(make_strategy("elastic", {"compaction.within=-1"}),
               "--set compaction.within: -1 is below 0");
  EXPECT_ERROR(make_strategy("elastic", {"compaction.key_cosine=2"}),
               "--set compaction.key_cosine: 2 is not within [-1, 1]");
}

}  // namespace
}  // namespace elastikv
