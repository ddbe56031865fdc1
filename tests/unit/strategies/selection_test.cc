// What the components decide, against brute force and by hand.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "strategies/registry.h"
#include "strategies/released.h"
#include "support/expect_error.h"
#include "unit/strategies/support.h"

namespace elastikv {
namespace {

/// One layer whose heads all have these column sums.
PromptStatistics prompt_of(const std::vector<float>& sums, int64_t heads = 1) {
  const at::Tensor row = at::tensor(sums, at::kFloat);
  return {.prompt_tokens = static_cast<int64_t>(sums.size()),
          .query_heads = heads,
          .kv_heads = heads,
          .layers = {layer_with_sums(row.unsqueeze(0).expand({heads, -1}).contiguous())}};
}

std::vector<int64_t> kept_of(const Strategy& strategy, const PromptStatistics& prompt, double keep,
                             int64_t group = 0, size_t layer = 0) {
  const auto plans = strategy.compress(prompt, Budget::fraction(keep));
  return kept_slots(plans[layer], group, prompt.prompt_tokens);
}

TEST(TopSelection, KeepsTheLargestAndBreaksTiesEarly) {
  const auto elastic = make_strategy("elastic");
  const PromptStatistics prompt = prompt_of({0, 5, 1, 9, 5, 5, 2, 8, 1, 0});
  EXPECT_EQ(kept_of(*elastic, prompt, 0.5), (std::vector<int64_t>{0, 1, 3, 7, 9}));
  EXPECT_EQ(kept_of(*elastic, prompt, 0.6), (std::vector<int64_t>{0, 1, 3, 4, 7, 9}));
  EXPECT_EQ(kept_of(*elastic, prompt, 0.2), (std::vector<int64_t>{0, 9}));
  EXPECT_EQ(kept_of(*elastic, prompt, 0.1), (std::vector<int64_t>{9}));
}

TEST(TopSelection, HalfOfH2OIsRecent) {
  const auto h2o = make_strategy("h2o");
  const PromptStatistics prompt = prompt_of({0, 5, 1, 9, 5, 5, 2, 8, 1, 0});
  EXPECT_EQ(kept_of(*h2o, prompt, 0.4), (std::vector<int64_t>{3, 7, 8, 9}));
  EXPECT_EQ(kept_of(*h2o, prompt, 0.5), (std::vector<int64_t>{1, 3, 7, 8, 9}));
}

TEST(StreamingLlm, KeepsSinksAndTheMostRecent) {
  const auto streaming = make_strategy("streaming-llm");
  const PromptStatistics prompt = made_up_prompt(20);
  EXPECT_EQ(kept_of(*streaming, prompt, 0.4), (std::vector<int64_t>{0, 1, 2, 3, 16, 17, 18, 19}));
  EXPECT_EQ(kept_of(*streaming, prompt, 0.15), (std::vector<int64_t>{0, 1, 19}));
}

TEST(Stride, SpreadsEvenly) {
  const auto stride = make_strategy("stride");
  EXPECT_EQ(kept_of(*stride, made_up_prompt(12), 0.5), (std::vector<int64_t>{0, 2, 4, 7, 9, 11}));
  for (const int64_t tokens : {30, 181, 600}) {
    const std::vector<int64_t> kept = kept_of(*stride, made_up_prompt(tokens), 0.3);
    int64_t narrowest = tokens;
    int64_t widest = 0;
    for (size_t i = 2; i + 1 < kept.size(); ++i) {
      narrowest = std::min(narrowest, kept[i] - kept[i - 1]);
      widest = std::max(widest, kept[i] - kept[i - 1]);
    }
    EXPECT_LE(widest - narrowest, 1) << tokens;
  }
}

TEST(Random, DrawsDifferentlyPerLayerHeadAndSeed) {
  const auto random = make_strategy("random");
  const PromptStatistics one = made_up_prompt(200, 2, 4, 2, /*seed=*/1);
  const PromptStatistics two = made_up_prompt(200, 2, 4, 2, /*seed=*/2);
  const std::vector<int64_t> kept = kept_of(*random, one, 0.3);
  EXPECT_NE(kept, kept_of(*random, one, 0.3, /*group=*/1));
  EXPECT_NE(kept, kept_of(*random, one, 0.3, /*group=*/0, /*layer=*/1));
  EXPECT_NE(kept, kept_of(*random, two, 0.3));
}

TEST(Random, IsUniformOverThePrompt) {
  const auto random = make_strategy("random");
  std::vector<int64_t> chosen(4, 0);
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    for (const int64_t slot : kept_of(*random, made_up_prompt(402, 1, 1, 1, seed), 0.25)) {
      if (slot > 0 && slot < 401) ++chosen[static_cast<size_t>((slot - 1) / 100)];
    }
  }
  // 50 draws of 98 over four quarters: 1225 each, standard deviation below 31.
  for (const int64_t count : chosen) EXPECT_NEAR(static_cast<double>(count), 1225.0, 125.0);
}

TEST(AttentionImportance, AveragesAsItsGranularitySays) {
  // Two layers, four query heads on two KV heads; the favourite token is 2, 3, 4 or 5 by head, and
  // layer 1 prefers token 6 more strongly than anything.
  PromptStatistics prompt{.prompt_tokens = 8, .query_heads = 4, .kv_heads = 2, .layers = {}};
  at::Tensor first = at::full({4, 8}, 0.0, at::kFloat);
  for (int64_t head = 0; head < 4; ++head)
    first[head][2 + head].fill_(1.0 + 0.1 * static_cast<double>(head));
  at::Tensor second = at::full({4, 8}, 0.0, at::kFloat);
  second.select(1, 6).fill_(4.0);
  prompt.layers = {layer_with_sums(first), layer_with_sums(second)};
  const auto with = [&](const std::string& granularity) {
    return make_strategy("elastic", {"importance.granularity=" + granularity});
  };
  EXPECT_EQ(kept_of(*with("kv_head"), prompt, 0.375, 0), (std::vector<int64_t>{0, 3, 7}));
  EXPECT_EQ(kept_of(*with("kv_head"), prompt, 0.375, 1), (std::vector<int64_t>{0, 5, 7}));
  EXPECT_EQ(kept_of(*with("layer"), prompt, 0.375, 1), (std::vector<int64_t>{0, 5, 7}));
  EXPECT_EQ(kept_of(*with("layer"), prompt, 0.375, 0, /*layer=*/1),
            (std::vector<int64_t>{0, 6, 7}));
  EXPECT_EQ(kept_of(*with("model"), prompt, 0.375, 0), (std::vector<int64_t>{0, 6, 7}));
}

TEST(AttentionImportance, TheMeanDividesByTheQueriesThatSeeAnEntry) {
  // Sums fall with position, but token 6 of 8 is seen by two queries only.
  const PromptStatistics prompt = prompt_of({8, 4, 3.5F, 3, 2.5F, 2, 1.9F, 1});
  EXPECT_EQ(kept_of(*make_strategy("elastic"), prompt, 0.375), (std::vector<int64_t>{0, 1, 7}));
  EXPECT_EQ(kept_of(*make_strategy("elastic", {"importance.reduce=mean"}), prompt, 0.375),
            (std::vector<int64_t>{0, 6, 7}));
}

TEST(AttentionImportance, RefusesWhatIsNotFinite) {
  const PromptStatistics prompt =
      prompt_of({1, std::numeric_limits<float>::infinity(), 1, 1, 1, 1, 1, 1});
  EXPECT_ERROR(
      make_strategy("elastic")->compress(prompt, Budget::fraction(0.5)),
      "layer 0: the importance of its entries is not finite; try a wider dtype (fp32 or bf16)");
}

/// The mean of the group of every anchor, the slow way: each dropped entry walks over all anchors.
std::vector<std::vector<float>> brute_force_means(const std::vector<std::vector<float>>& entries,
                                                  const std::vector<int64_t>& kept, int64_t sinks,
                                                  int64_t recent) {
  const auto tokens = static_cast<int64_t>(entries.size());
  std::vector<std::vector<double>> sums;
  std::vector<double> counts(kept.size(), 1.0);
  for (const int64_t slot : kept) {
    sums.emplace_back(entries[static_cast<size_t>(slot)].begin(),
                      entries[static_cast<size_t>(slot)].end());
  }
  for (int64_t slot = 0; slot < tokens; ++slot) {
    if (std::find(kept.begin(), kept.end(), slot) != kept.end()) continue;
    size_t nearest = kept.size();
    for (size_t a = 0; a < kept.size(); ++a) {
      if (kept[a] < sinks || kept[a] >= tokens - recent) continue;
      if (nearest == kept.size() || std::abs(kept[a] - slot) < std::abs(kept[nearest] - slot)) {
        nearest = a;
      }
    }
    if (nearest == kept.size()) continue;
    for (size_t d = 0; d < sums[nearest].size(); ++d) {
      sums[nearest][d] += entries[static_cast<size_t>(slot)][d];
    }
    counts[nearest] += 1.0;
  }
  std::vector<std::vector<float>> means;
  for (size_t a = 0; a < kept.size(); ++a) {
    auto& mean = means.emplace_back();
    for (const double sum : sums[a]) mean.push_back(static_cast<float>(sum / counts[a]));
  }
  return means;
}

TEST(MergeNearest, GroupMeansEqualBruteForce) {
  for (const std::string granularity : {"layer", "kv_head"}) {
    const auto elastic = make_strategy("elastic", {"importance.granularity=" + granularity});
    for (const int64_t tokens : {1, 2, 5, 30, 181, 600}) {
      for (const double keep : {0.01, 0.1, 0.37, 0.5, 0.9, 0.99}) {
        SCOPED_TRACE(fmt::format("{} T={} keep={}", granularity, tokens, keep));
        const PromptStatistics prompt = made_up_prompt(tokens);
        const auto plans = elastic->compress(prompt, Budget::fraction(keep));
        KVCache cache = made_up_cache(prompt);
        const KVCache before = cache.fork();
        for (int64_t layer = 0; layer < 3; ++layer) {
          cache.apply(layer, plans[static_cast<size_t>(layer)]);
          for (int64_t head = 0; head < prompt.kv_heads; ++head) {
            const auto kept = kept_slots(plans[static_cast<size_t>(layer)], head, tokens);
            for (const bool is_key : {true, false}) {
              const at::Tensor old = is_key ? before.keys(layer) : before.values(layer);
              const at::Tensor now = is_key ? cache.keys(layer) : cache.values(layer);
              std::vector<std::vector<float>> entries;
              for (int64_t n = 0; n < tokens; ++n) {
                const float* entry = old[head][n].data_ptr<float>();
                entries.emplace_back(entry, entry + 2);
              }
              const auto means = brute_force_means(entries, kept, /*sinks=*/1, /*recent=*/1);
              for (size_t a = 0; a < kept.size(); ++a) {
                const float* entry = now[head][static_cast<int64_t>(a)].data_ptr<float>();
                // fp32 sums of up to 600 values below 1009.
                ASSERT_NEAR(entry[0], means[a][0], 1e-2) << "anchor " << a;
                ASSERT_NEAR(entry[1], means[a][1], 1e-2) << "anchor " << a;
              }
            }
          }
        }
      }
    }
  }
}

TEST(MergeNearest, TiesGoToTheEarlierAnchorAndProtectedEntriesTakeNoPart) {
  // Kept: 0 (sink), 2, 4, 8, 9 (last).
  const PromptStatistics prompt = prompt_of({0, 0, 9, 0, 9, 0, 0, 0, 9, 0});
  const auto plans = make_strategy("elastic")->compress(prompt, Budget::fraction(0.5));
  EXPECT_EQ(kept_slots(plans[0], 0, 10), (std::vector<int64_t>{0, 2, 4, 8, 9}));
  EXPECT_TRUE(plans[0].source.equal(at::tensor({1, 3, 5, 6, 7}, at::kLong).unsqueeze(0)));
  EXPECT_TRUE(plans[0].anchor.equal(at::tensor({1, 1, 2, 2, 3}, at::kLong).unsqueeze(0)));
}

TEST(MergeNearest, ShiftedSourcesLieToTheLeft) {
  const PromptStatistics prompt = prompt_of({0, 0, 9, 0, 9, 0, 0, 0, 9, 0});
  const auto strategy = make_strategy("elastic", {"compaction.sources=shifted"});
  const auto plans = strategy->compress(prompt, Budget::fraction(0.5));
  EXPECT_TRUE(plans[0].source.equal(at::tensor({0, 2, 4, 5, 6}, at::kLong).unsqueeze(0)));
  EXPECT_TRUE(plans[0].anchor.equal(at::tensor({1, 1, 2, 2, 2}, at::kLong).unsqueeze(0)));
}

TEST(Evict, MergesNothing) {
  const auto strategy = make_strategy("elastic", {"compaction=evict"});
  const auto plans = strategy->compress(made_up_prompt(30), Budget::fraction(0.5));
  for (const LayerPlan& plan : plans) {
    EXPECT_FALSE(plan.source.defined());
    EXPECT_FALSE(plan.anchor.defined());
  }
}

TEST(ReleasedCode, ComparesSortIndicesAsIfTheyWereRanks) {
  // Ascending order of these scores: indices 1, 5, 3, 2, 4, 0.
  const std::vector<float> scores{0.9F, 0.1F, 0.5F, 0.3F, 0.7F, 0.2F};
  EXPECT_EQ(argsort_as_rank(scores.data(), 0, 6, /*excess=*/2), (std::vector<int64_t>{1, 2, 4}));
  EXPECT_EQ(argsort_as_rank(scores.data(), 1, 6, /*excess=*/2), (std::vector<int64_t>{2, 5}));
  EXPECT_TRUE(argsort_as_rank(scores.data(), 6, 5, /*excess=*/2).empty());
}

TEST(ReleasedCode, CountsInTheReleasedOrderOfOperations) {
  // Budgets as a user types them are the released --ratio 1 - b: 0.3 is ratio 0.7, and
  // int(10 - 10 * (1 - 0.7)) is 6 or 7 by the last bit. Values from Python.
  EXPECT_EQ(released_excess(80, 80, 80, Budget::fraction(0.5)), 40);
  EXPECT_EQ(released_excess(80, 80, 80, Budget::fraction(0.2)), 64);
  EXPECT_EQ(released_excess(10, 10, 10, Budget::fraction(0.3)), 7);
  EXPECT_EQ(released_excess(5, 5, 5, Budget::fraction(0.9)), 0);
  EXPECT_EQ(released_excess(97, 121, 120, Budget::fraction(0.8)), 0);
  EXPECT_EQ(released_excess(20, 60, 50, Budget::fraction(0.5)), -10);
  EXPECT_EQ(released_excess(100, 300, 50, Budget::tokens(64)), 36);
}

}  // namespace
}  // namespace elastikv
