// KVMerger's runs and the clusters of Elastic Cache's ablation, against brute force over plain
// loops.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "strategies/registry.h"
#include "unit/strategies/merge_support.h"

namespace elastikv {
namespace {

/// The runs of [first, last) when cut at the `cuts` least similar pairs of neighbours.
std::vector<std::pair<int64_t, int64_t>> runs_of(const MadeUpLayer& made, int64_t group,
                                                 int64_t first, int64_t last, size_t cuts) {
  std::vector<std::pair<double, int64_t>> pairs;  // cosine, the second of the two
  for (int64_t slot = first + 1; slot < last; ++slot) {
    pairs.emplace_back(cosine(made.key(group, slot - 1), made.key(group, slot)), slot);
  }
  std::sort(pairs.begin(), pairs.end());
  std::set<int64_t> starts{first};
  for (size_t i = 0; i < cuts; ++i) starts.insert(pairs[i].second);
  std::vector<std::pair<int64_t, int64_t>> runs;
  for (auto start = starts.begin(); start != starts.end(); ++start) {
    const auto next = std::next(start);
    runs.emplace_back(*start, next == starts.end() ? last : *next);
  }
  return runs;
}

/// Selects `slots[g]` per group with the given protection.
KeptSlots select_runs(MadeUpLayer& made, const std::vector<int64_t>& slots, int64_t sinks,
                      int64_t recent) {
  const auto selection = make_part(
      make_runs_selection, fmt::format("{{kind: runs, sinks: {}, recent: {}}}", sinks, recent));
  made.protect.clear();
  for (int64_t g = 0; g < made.groups; ++g) {
    made.protect.push_back(selection->protect(slots[slots.size() == 1 ? 0 : g]));
  }
  return selection->select(
      {.scores = made.scores, .tokens = made.tokens, .slots = slots, .layer = &made.layer});
}

/// KVMerger's weights of the others of a run.
void add_gaussian(const MadeUpLayer& made, int64_t group, std::pair<int64_t, int64_t> run,
                  int64_t pivot, std::vector<Member>& members) {
  double sigma = 0.0;
  for (int64_t slot = run.first; slot < run.second; ++slot) {
    sigma += distance(made.key(group, slot), made.key(group, pivot));
  }
  sigma /= static_cast<double>(run.second - run.first - 1);
  for (int64_t slot = run.first; slot < run.second; ++slot) {
    if (slot == pivot) continue;
    const double away = distance(made.key(group, slot), made.key(group, pivot));
    members.push_back({slot, std::exp(-away * away / (2.0 * sigma * sigma))});
  }
}

TEST(Runs, PivotsAndGaussianMeansEqualBruteForce) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    for (const bool head_wise : {false, true}) {
      MadeUpLayer made = made_up_layer(seed, head_wise);
      std::vector<int64_t> slots;
      for (int64_t g = 0; g < made.groups; ++g) {
        slots.push_back(1 + (static_cast<int64_t>(seed) * 7 + 5 * g) % made.tokens);
      }
      const int64_t sinks = seed % 4;
      const int64_t recent = seed % 3;
      SCOPED_TRACE(fmt::format("seed={} head_wise={} T={}", seed, head_wise, made.tokens));
      made.kept = select_runs(made, slots, sinks, recent);
      ASSERT_EQ(made.kept.size(), static_cast<size_t>(made.groups));
      std::vector<Members> expected;
      for (int64_t g = 0; g < made.groups; ++g) {
        const Protected fitted = made.protect[static_cast<size_t>(g)];
        const int64_t wanted = slots[static_cast<size_t>(g)];
        const int64_t free = wanted - fitted.sinks - fitted.recent;
        std::vector<int64_t> kept;
        Members& members = expected.emplace_back();
        const auto keep = [&](int64_t slot) {
          kept.push_back(slot);
          members.emplace_back();
        };
        for (int64_t slot = 0; slot < fitted.sinks; ++slot) keep(slot);
        if (free > 0) {
          for (const auto& run : runs_of(made, g, fitted.sinks, made.tokens - fitted.recent,
                                         static_cast<size_t>(free - 1))) {
            int64_t pivot = run.first;
            const float* scores = made.scores.const_data_ptr<float>() + g * made.tokens;
            for (int64_t slot = run.first; slot < run.second; ++slot) {
              if (scores[slot] > scores[pivot]) pivot = slot;
            }
            keep(pivot);
            add_gaussian(made, g, run, pivot, members.back());
          }
        }
        for (int64_t slot = made.tokens - fitted.recent; slot < made.tokens; ++slot) keep(slot);
        ASSERT_EQ(made.kept[static_cast<size_t>(g)], kept);
        ASSERT_EQ(static_cast<int64_t>(kept.size()), wanted);
      }
      const auto merge = make_part(make_merge_runs_compaction, "merge_runs");
      expect_merged(merge->plan(made.input()), made,
                    [&](int64_t group) { return expected[static_cast<size_t>(group)]; });
    }
  }
}

TEST(Runs, OtherSelectionsArePartedAtTheLeastSimilarPair) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    for (const bool head_wise : {false, true}) {
      const MadeUpLayer made = made_up_layer(seed, head_wise);
      SCOPED_TRACE(fmt::format("seed={} head_wise={} T={}", seed, head_wise, made.tokens));
      const auto merge = make_part(make_merge_runs_compaction, "merge_runs");
      expect_merged(merge->plan(made.input()), made, [&](int64_t group) {
        const auto g = static_cast<size_t>(group);
        const auto& kept = made.kept[g];
        Members members(kept.size());
        std::vector<size_t> anchors;
        for (size_t a = 0; a < kept.size(); ++a) {
          if (made.is_anchor(g, a, /*all=*/false)) anchors.push_back(a);
        }
        int64_t begin = made.protect[g].sinks;
        for (size_t i = 0; i < anchors.size(); ++i) {
          const int64_t pivot = kept[anchors[i]];
          int64_t end = made.tokens - made.protect[g].recent;
          if (i + 1 < anchors.size()) {
            end = runs_of(made, group, pivot, kept[anchors[i + 1]] + 1, 1)[0].second;
          }
          add_gaussian(made, group, {begin, end}, pivot, members[anchors[i]]);
          begin = end;
        }
        return members;
      });
    }
  }
}

TEST(Runs, EqualKeysWeighOneAndTiesGoToTheEarlier) {
  MadeUpLayer made;
  made.tokens = 6;
  // Three runs of two equal keys; the score does not choose between them.
  made.layer.keys = at::tensor({3, 0, 3, 0, 0, 1, 0, 1, -2, 0, -2, 0}, at::kFloat).view({1, 6, 2});
  made.layer.values = at::tensor({1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6}, at::kFloat).view({1, 6, 2});
  made.scores = at::tensor({1, 1, 1, 1, 1, 1}, at::kFloat).view({1, 6});
  made.kept = select_runs(made, {3}, /*sinks=*/0, /*recent=*/0);
  ASSERT_EQ(made.kept[0], (std::vector<int64_t>{0, 2, 4}));
  const LayerPlan plan = make_part(make_merge_runs_compaction, "merge_runs")->plan(made.input());
  EXPECT_TRUE(plan.source.equal(at::tensor({1, 3, 5}, at::kLong).unsqueeze(0)));
  EXPECT_TRUE(plan.anchor.equal(at::tensor({0, 1, 2}, at::kLong).unsqueeze(0)));
  EXPECT_TRUE(plan.source_weight.equal(at::tensor({1, 1, 1}, at::kFloat).unsqueeze(0)));
  // Both pairs of unlike neighbours have cosine 0: with one cut the earlier parts.
  made.kept = select_runs(made, {2}, /*sinks=*/0, /*recent=*/0);
  EXPECT_EQ(made.kept[0], (std::vector<int64_t>{0, 2}));
}

/// k-means as merge_clusters says, in double: for every dropped entry its cluster, and the centres.
std::pair<std::vector<size_t>, Rows> clusters_of(const Rows& entries, size_t wanted) {
  Rows centres{entries[0]};
  while (centres.size() < wanted) {
    size_t farthest = 0;
    double most = -1.0;
    for (size_t i = 0; i < entries.size(); ++i) {
      double nearest = distance(entries[i], centres[0]);
      for (const Row& centre : centres) nearest = std::min(nearest, distance(entries[i], centre));
      if (nearest > most) {
        most = nearest;
        farthest = i;
      }
    }
    if (most <= 0.0) break;
    centres.push_back(entries[farthest]);
  }
  std::vector<size_t> cluster(entries.size());
  for (int64_t round = 0; round < 10; ++round) {
    for (size_t i = 0; i < entries.size(); ++i) {
      cluster[i] = 0;
      for (size_t c = 1; c < centres.size(); ++c) {
        if (distance(entries[i], centres[c]) < distance(entries[i], centres[cluster[i]])) {
          cluster[i] = c;
        }
      }
    }
    for (size_t c = 0; c < centres.size(); ++c) {
      Row sum(entries[0].size(), 0.0);
      double count = 0.0;
      for (size_t i = 0; i < entries.size(); ++i) {
        if (cluster[i] != c) continue;
        count += 1.0;
        for (size_t d = 0; d < sum.size(); ++d) sum[d] += entries[i][d];
      }
      if (count == 0.0) continue;
      for (double& value : sum) value /= count;
      centres[c] = sum;
    }
  }
  return {cluster, centres};
}

TEST(MergeClusters, EqualsBruteForce) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    for (const bool head_wise : {false, true}) {
      for (const size_t centres : {1, 3, 10, 100}) {
        const MadeUpLayer made = made_up_layer(seed, head_wise);
        SCOPED_TRACE(fmt::format("seed={} head_wise={} centres={}", seed, head_wise, centres));
        const auto merge = make_part(make_merge_clusters_compaction,
                                     fmt::format("{{kind: merge_clusters, centres: {}}}", centres));
        expect_merged(merge->plan(made.input()), made, [&](int64_t group) {
          const auto g = static_cast<size_t>(group);
          const auto& kept = made.kept[g];
          Members members(kept.size());
          const std::vector<int64_t> dropped = made.dropped(g);
          if (dropped.empty()) return members;
          Rows entries;
          for (const int64_t slot : dropped) entries.push_back(made.key(group, slot));
          const auto [cluster, middles] = clusters_of(entries, centres);
          for (size_t i = 0; i < dropped.size(); ++i) {
            size_t best = kept.size();
            double most = -2.0;
            for (size_t a = 0; a < kept.size(); ++a) {
              if (!made.is_anchor(g, a, /*all=*/false)) continue;
              const double here = cosine(middles[cluster[i]], made.key(group, kept[a]));
              if (here > most) {
                most = here;
                best = a;
              }
            }
            if (best < kept.size()) members[best].push_back({dropped[i], 1.0});
          }
          return members;
        });
      }
    }
  }
}

TEST(MergeClusters, EqualEntriesAreOneCluster) {
  MadeUpLayer made;
  made.tokens = 5;
  made.layer.keys = at::tensor({1, 0, 0, 1, 0, 1, 0, 1, 1, 1}, at::kFloat).view({1, 5, 2});
  made.layer.values = made.layer.keys;
  made.scores = at::tensor({1, 1, 1, 1, 1}, at::kFloat).view({1, 5});
  made.kept = {{0, 4}};
  made.protect = {{.sinks = 0, .recent = 0}};
  const LayerPlan plan =
      make_part(make_merge_clusters_compaction, "merge_clusters")->plan(made.input());
  EXPECT_TRUE(plan.source.equal(at::tensor({1, 2, 3}, at::kLong).unsqueeze(0)));
  EXPECT_TRUE(plan.anchor.equal(at::tensor({1, 1, 1}, at::kLong).unsqueeze(0)));
}

}  // namespace
}  // namespace elastikv
