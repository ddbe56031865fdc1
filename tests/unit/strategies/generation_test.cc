// What policies evict while answering, against plain simulations.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "strategies/registry.h"
#include "unit/strategies/support.h"

namespace elastikv {
namespace {

/// A compressed cache with its policy.
struct Sequence {
  PromptStatistics prompt;
  KVCache cache;
  std::unique_ptr<GenerationPolicy> policy;
};

Sequence start(const std::unique_ptr<Strategy>& strategy, const PromptStatistics& prompt,
               const Budget& budget) {
  const auto plans = strategy->compress(prompt, budget);
  KVCache cache = made_up_cache(prompt);
  for (size_t layer = 0; layer < plans.size(); ++layer) {
    cache.apply(static_cast<int64_t>(layer), plans[layer]);
  }
  return {prompt, std::move(cache), strategy->begin_generation(prompt, plans, budget)};
}

std::vector<int64_t> sorted_positions(const KVCache& cache, int64_t layer, int64_t group = 0) {
  std::vector<int64_t> positions = cache.positions(layer, group);
  std::sort(positions.begin(), positions.end());
  return positions;
}

TEST(FixedPoint, EqualsErasingAtAFrozenIndex) {
  for (const int64_t tokens : {5, 30, 100, 181}) {
    for (const double keep : {0.05, 0.3, 0.5, 0.9}) {
      for (const int64_t distance : {1, 25}) {
        SCOPED_TRACE(fmt::format("T={} keep={} distance={}", tokens, keep, distance));
        const auto strategy =
            make_strategy("elastic", {fmt::format("generation.distance={}", distance)});
        const Budget budget = Budget::fraction(keep);
        Sequence sequence = start(strategy, made_up_prompt(tokens), budget);
        std::vector<int64_t> list = sorted_positions(sequence.cache, 0);
        const auto kept = static_cast<int64_t>(list.size());
        // In the middle where the distance does not fit; never before the sink, which a cache of a
        // single entry does not have.
        const int64_t fixed = std::max(kept - distance < 1 ? kept / 2 : kept - distance,
                                       std::min<int64_t>(1, kept - 1));
        std::mt19937 random(5);
        for (int64_t seen = tokens + 1; seen <= tokens + 80; ++seen) {
          decode_step(sequence.cache, sequence.policy.get(), sequence.prompt, seen, random);
          list.push_back(seen - 1);
          if (static_cast<int64_t>(list.size()) > budget.slots(seen, tokens)) {
            list.erase(list.begin() + fixed);
          }
          ASSERT_EQ(sorted_positions(sequence.cache, 0), list) << "after " << seen;
        }
      }
    }
  }
}

TEST(FixedPoint, EatsTheEndOfThePromptAndThenTheOldestAnswer) {
  Sequence sequence = start(make_strategy("elastic"), made_up_prompt(100),
                            Budget::fraction(0.5, Budget::Growth::kPrompt));
  const std::vector<int64_t> prompt = sorted_positions(sequence.cache, 0);
  ASSERT_EQ(prompt.size(), 50U);
  std::mt19937 random(5);
  for (int64_t seen = 101; seen <= 140; ++seen) {
    decode_step(sequence.cache, sequence.policy.get(), sequence.prompt, seen, random);
  }
  std::vector<int64_t> expected(prompt.begin(), prompt.begin() + 25);
  for (int64_t position = 115; position < 140; ++position) expected.push_back(position);
  EXPECT_EQ(sorted_positions(sequence.cache, 0), expected);
}

TEST(FixedPoint, MayLieAtAnyShareOfTheCompressedPrompt) {
  for (const double share : {0.0, 0.3, 1.0}) {
    Sequence sequence = start(make_strategy("elastic", {fmt::format("generation.share={}", share)}),
                              made_up_prompt(100), Budget::fraction(0.5, Budget::Growth::kPrompt));
    std::vector<int64_t> list = sorted_positions(sequence.cache, 0);
    const int64_t fixed = std::max<int64_t>(1, std::llround(share * 50));
    std::mt19937 random(5);
    for (int64_t seen = 101; seen <= 190; ++seen) {
      decode_step(sequence.cache, sequence.policy.get(), sequence.prompt, seen, random);
      list.push_back(seen - 1);
      list.erase(list.begin() + fixed);
      ASSERT_EQ(sorted_positions(sequence.cache, 0), list) << share << " after " << seen;
    }
  }
}

TEST(LowestRow, EvictsWhatTheNewTokenIgnores) {
  for (const bool before_text : {false, true}) {
    // TGV-KV needs sinks here, TOVA has none.
    const auto strategy =
        before_text ? make_strategy("tova", {"generation={kind: lowest_row, among: before_text}"})
                    : make_strategy("tova");
    const Budget budget = Budget::fraction(0.4, Budget::Growth::kPrompt);
    Sequence sequence = start(strategy, made_up_prompt(50), budget);
    const int64_t text = sequence.prompt.image_end;
    std::mt19937 random(7);
    std::uniform_real_distribution<float> draw(0.0F, 1.0F);
    for (int64_t seen = 51; seen <= 90; ++seen) {
      std::vector<at::Tensor> rows;
      std::vector<std::vector<int64_t>> expected;
      for (int64_t layer = 0; layer < 3; ++layer) {
        std::vector<int64_t> tokens = sequence.cache.positions(layer);
        tokens.push_back(seen - 1);
        at::Tensor row = at::empty({4, static_cast<int64_t>(tokens.size())}, at::kFloat);
        for (int64_t i = 0; i < row.numel(); ++i) row.data_ptr<float>()[i] = draw(random);
        const auto attention = [&](size_t i) {
          double sum = 0;
          for (int64_t h = 0; h < 4; ++h) sum += row[h][static_cast<int64_t>(i)].item<double>();
          return sum;
        };
        const bool any_before =
            std::any_of(tokens.begin(), tokens.end(), [&](int64_t t) { return t < text; });
        size_t lowest = tokens.size();
        for (size_t i = 0; i < tokens.size(); ++i) {
          if (before_text && any_before && tokens[i] >= text) continue;
          if (lowest == tokens.size() || attention(i) < attention(lowest)) lowest = i;
        }
        tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(lowest));
        std::sort(tokens.begin(), tokens.end());
        expected.push_back(tokens);
        rows.push_back(row);
      }
      decode_step(sequence.cache, sequence.policy.get(), sequence.prompt, seen, random, rows);
      for (int64_t layer = 0; layer < 3; ++layer) {
        ASSERT_EQ(sorted_positions(sequence.cache, layer), expected[static_cast<size_t>(layer)])
            << "after " << seen << (before_text ? " before text" : "");
      }
    }
  }
}

TEST(Recompress, RanksTheKeysOfTheCacheItself) {
  // Every token, per KV head: the entry with the longest key goes.
  Sequence sequence = start(make_strategy("knorm", {"allocation=uniform"}), made_up_prompt(40),
                            Budget::fraction(0.5, Budget::Growth::kPrompt));
  std::mt19937 random(3);
  for (int64_t seen = 41; seen <= 70; ++seen) {
    std::vector<std::vector<int64_t>> expected;
    for (int64_t head = 0; head < 2; ++head) {
      std::vector<std::pair<double, int64_t>> entries;
      const at::Tensor keys = sequence.cache.head_keys(0, head);
      const std::vector<int64_t>& positions = sequence.cache.positions(0, head);
      for (size_t i = 0; i < positions.size(); ++i) {
        entries.emplace_back(keys[static_cast<int64_t>(i)].norm().item<double>(), positions[i]);
      }
      // decode_step's new key is (seen, seen).
      entries.emplace_back(std::sqrt(2.0) * static_cast<double>(seen), seen - 1);
      entries.erase(std::max_element(entries.begin(), entries.end()));
      std::vector<int64_t>& kept = expected.emplace_back();
      for (const auto& [norm, position] : entries) kept.push_back(position);
      std::sort(kept.begin(), kept.end());
    }
    decode_step(sequence.cache, sequence.policy.get(), sequence.prompt, seen, random);
    ASSERT_EQ(sorted_positions(sequence.cache, 0, 0), expected[0]) << "after " << seen;
    ASSERT_EQ(sorted_positions(sequence.cache, 0, 1), expected[1]) << "after " << seen;
  }
}

TEST(Recompress, GoesOnAccumulatingAttentionBetweenCompressions) {
  constexpr int64_t kEvery = 5;
  const Budget budget = Budget::fraction(0.3, Budget::Growth::kPrompt);
  Sequence sequence = start(
      make_strategy("elastic", {"compaction=evict",
                                fmt::format("generation={{kind: recompress, every: {}}}", kEvery)}),
      made_up_prompt(60), budget);
  std::map<int64_t, double> scores;
  const at::Tensor sums = sequence.prompt.layers[1].column_sums.mean(0);
  for (const int64_t token : sequence.cache.positions(1))
    scores[token] = sums[token].item<double>();
  std::mt19937 random(3);
  std::exponential_distribution<float> draw(0.2F);
  for (int64_t seen = 61; seen <= 100; ++seen) {
    std::vector<at::Tensor> rows;
    for (int64_t layer = 0; layer < 3; ++layer) {
      at::Tensor row = at::full({4, sequence.cache.max_length(layer) + 1}, 0.0, at::kFloat);
      for (int64_t i = 0; i < row.numel(); ++i) row.data_ptr<float>()[i] = draw(random);
      rows.push_back(row);
    }
    std::vector<int64_t> tokens = sequence.cache.positions(1);
    tokens.push_back(seen - 1);
    for (size_t i = 0; i < tokens.size(); ++i) {
      scores[tokens[i]] += rows[1].mean(0)[static_cast<int64_t>(i)].item<double>();
    }
    if ((seen - 60) % kEvery == 0) {
      // The sink and the newest stay; of the others the lowest go until 18 are left.
      while (scores.size() > 18) {
        auto lowest = std::next(scores.begin());
        for (auto it = lowest; it != std::prev(scores.end()); ++it) {
          if (it->second < lowest->second) lowest = it;
        }
        scores.erase(lowest);
      }
    }
    decode_step(sequence.cache, sequence.policy.get(), sequence.prompt, seen, random, rows);
    std::vector<int64_t> expected;
    for (const auto& [token, score] : scores) expected.push_back(token);
    ASSERT_EQ(sorted_positions(sequence.cache, 1), expected) << "after " << seen;
  }
}

TEST(Oldest, SlidesBehindTheSinks) {
  Sequence sequence = start(make_strategy("streaming-llm"), made_up_prompt(40), Budget::tokens(10));
  std::mt19937 random(5);
  for (int64_t seen = 41; seen <= 60; ++seen) {
    decode_step(sequence.cache, sequence.policy.get(), sequence.prompt, seen, random);
    std::vector<int64_t> expected{0, 1, 2, 3};
    for (int64_t position = seen - 6; position < seen; ++position) expected.push_back(position);
    ASSERT_EQ(sorted_positions(sequence.cache, 0), expected);
  }
}

/// H2O (arXiv 2306.14048, algorithm 1) for one KV head, on a map from token to score: adds the new
/// row, then drops the lowest of what is not recent.
struct HeavyHitters {
  std::map<int64_t, double> scores;

  void step(const std::map<int64_t, double>& row, int64_t slots) {
    for (const auto& [token, attention] : row) scores[token] += attention;
    if (static_cast<int64_t>(scores.size()) <= slots) return;
    const auto recent = static_cast<size_t>(std::max<int64_t>(1, slots / 2));
    auto lowest = scores.begin();
    auto last = std::prev(scores.end(), static_cast<std::ptrdiff_t>(recent));
    for (auto it = scores.begin(); it != last; ++it) {
      if (it->second < lowest->second) lowest = it;
    }
    scores.erase(lowest);
  }
};

TEST(LowestScore, EqualsH2OHeadByHead) {
  for (const Budget& budget :
       {Budget::fraction(0.3), Budget::fraction(0.3, Budget::Growth::kPrompt), Budget::tokens(9)}) {
    SCOPED_TRACE(budget.name());
    const PromptStatistics prompt = made_up_prompt(60);
    Sequence sequence = start(make_strategy("h2o"), prompt, budget);
    // [layer][kv head]; two query heads share each KV head.
    std::vector<std::vector<HeavyHitters>> oracle(3, std::vector<HeavyHitters>(2));
    for (int64_t layer = 0; layer < 3; ++layer) {
      ASSERT_EQ(sequence.cache.groups(layer), 2);
      const at::Tensor& sums = prompt.layers[static_cast<size_t>(layer)].column_sums;
      for (int64_t head = 0; head < 2; ++head) {
        for (const int64_t token : sequence.cache.positions(layer, head)) {
          oracle[layer][head].scores[token] = 0.5 * (sums[2 * head][token].item<double>() +
                                                     sums[2 * head + 1][token].item<double>());
        }
      }
    }
    std::mt19937 random(11);
    std::exponential_distribution<float> draw(0.3F);
    for (int64_t seen = 61; seen <= 160; ++seen) {
      std::vector<at::Tensor> rows;
      for (int64_t layer = 0; layer < 3; ++layer) {
        at::Tensor row = at::full({4, sequence.cache.max_length(layer) + 1}, 0.0, at::kFloat);
        for (int64_t i = 0; i < row.numel(); ++i) row.data_ptr<float>()[i] = draw(random);
        rows.push_back(row);
        for (int64_t head = 0; head < 2; ++head) {
          std::vector<int64_t> tokens = sequence.cache.positions(layer, head);
          tokens.push_back(seen - 1);
          std::map<int64_t, double> attention;
          for (size_t slot = 0; slot < tokens.size(); ++slot) {
            const auto s = static_cast<int64_t>(slot);
            attention[tokens[slot]] =
                0.5 * (row[2 * head][s].item<double>() + row[2 * head + 1][s].item<double>());
          }
          oracle[layer][head].step(attention, budget.slots(seen, 60));
        }
      }
      decode_step(sequence.cache, sequence.policy.get(), prompt, seen, random, rows);
      for (int64_t layer = 0; layer < 3; ++layer) {
        for (int64_t head = 0; head < 2; ++head) {
          std::vector<int64_t> expected;
          for (const auto& [token, score] : oracle[layer][head].scores) expected.push_back(token);
          ASSERT_EQ(sorted_positions(sequence.cache, layer, head), expected) << "after " << seen;
        }
      }
    }
  }
}

TEST(LowestScore, LeavesTheRecentHalfOfAWholePromptAlone) {
  const auto strategy = make_strategy(
      "h2o", {"selection={kind: everything, sinks: 0, recent: 1, recent_share: 0.5}"});
  EXPECT_NE(strategy->description().find("everything(sinks=0,recent=1,recent_share=0.5)"),
            std::string::npos);
  Sequence sequence = start(strategy, made_up_prompt(100), Budget::fraction(0.2));
  ASSERT_EQ(sequence.cache.length(0), 100);
  std::mt19937 random(5);
  for (int64_t seen = 101; seen <= 160; ++seen) {
    decode_step(sequence.cache, sequence.policy.get(), sequence.prompt, seen, random);
    // The prompt's 100, and a fifth of what came.
    const int64_t slots = 100 + Budget::fraction(0.2).slots(seen, 100) - 20;
    for (int64_t group = 0; group < 2; ++group) {
      const std::vector<int64_t> positions = sorted_positions(sequence.cache, 0, group);
      ASSERT_EQ(std::ssize(positions), slots) << "after " << seen;
      ASSERT_EQ(positions[static_cast<size_t>(slots - slots / 2)], seen - slots / 2);
    }
  }
}

TEST(LowestScore, HeadsSeparateEvenWhenThePromptFitted) {
  const PromptStatistics prompt = made_up_prompt(12);
  Sequence sequence = start(make_strategy("h2o"), prompt, Budget::tokens(16));
  EXPECT_EQ(sequence.cache.groups(0), 1);
  std::mt19937 random(11);
  for (int64_t seen = 13; seen <= 40; ++seen) {
    decode_step(sequence.cache, sequence.policy.get(), prompt, seen, random);
  }
  EXPECT_EQ(sequence.cache.groups(0), 2);
  EXPECT_EQ(sequence.cache.length(0, 0), 16);
  EXPECT_NE(sorted_positions(sequence.cache, 0, 0), sorted_positions(sequence.cache, 0, 1));
}

TEST(Policies, StorageOrderMakesNoDifference) {
  for (const std::string name : {"elastic", "elastic-released", "h2o-released", "local-released",
                                 "streaming-llm", "stride"}) {
    SCOPED_TRACE(name);
    const PromptStatistics prompt = made_up_prompt(90);
    const Budget budget = Budget::fraction(0.4);
    Sequence straight = start(make_strategy(name), prompt, budget);
    Sequence mixed = start(make_strategy(name), prompt, budget);
    std::mt19937 random(2);
    std::uniform_real_distribution<float> uniform(0.0F, 1.0F);
    for (int64_t seen = 91; seen <= 130; ++seen) {
      std::vector<at::Tensor> straight_rows;
      std::vector<at::Tensor> mixed_rows;
      for (int64_t layer = 0; layer < 3; ++layer) {
        // Mix the slots, and give both the same attention per token.
        std::vector<int64_t> order(static_cast<size_t>(mixed.cache.length(layer)));
        std::iota(order.begin(), order.end(), 0);
        std::shuffle(order.begin(), order.end(), random);
        mixed.cache.permute(layer, at::tensor(order, at::kLong));
        std::vector<float> of_token(static_cast<size_t>(seen));
        for (float& value : of_token) value = uniform(random);
        const auto row_of = [&](const KVCache& cache) {
          std::vector<int64_t> tokens = cache.positions(layer);
          tokens.push_back(seen - 1);
          std::vector<float> row;
          for (const int64_t token : tokens) row.push_back(of_token[static_cast<size_t>(token)]);
          return at::tensor(row, at::kFloat).unsqueeze(0).expand({4, -1}).contiguous();
        };
        straight_rows.push_back(row_of(straight.cache));
        mixed_rows.push_back(row_of(mixed.cache));
      }
      decode_step(straight.cache, straight.policy.get(), prompt, seen, random, straight_rows);
      decode_step(mixed.cache, mixed.policy.get(), prompt, seen, random, mixed_rows);
      for (int64_t layer = 0; layer < 3; ++layer) {
        ASSERT_EQ(sorted_positions(straight.cache, layer), sorted_positions(mixed.cache, layer))
            << "after " << seen;
      }
    }
  }
}

TEST(ElasticReleased, DoublesTheCacheAtIndexMinusOne) {
  // 30 tokens, ratio 0.2: f = 6, F = 30 - 6 - 25 = -1. 23 entries stay; the 10th generated token is
  // the first over the target, and slicing around -1 gives 32 + 33 entries.
  Sequence sequence =
      start(make_strategy("elastic-released"), made_up_prompt(30), Budget::fraction(0.8));
  ASSERT_EQ(sequence.cache.length(0), 23);
  std::mt19937 random(2);
  std::vector<int64_t> before;
  for (int64_t seen = 31; seen <= 40; ++seen) {
    before = sorted_positions(sequence.cache, 0);
    decode_step(sequence.cache, sequence.policy.get(), sequence.prompt, seen, random);
  }
  std::vector<int64_t> expected = before;
  expected.insert(expected.end(), before.begin(), before.end());
  expected.push_back(39);
  ASSERT_EQ(before.size(), 32U);
  EXPECT_EQ(sequence.cache.positions(0), expected);
  // The released class stops here; ours evicts its newest entry from now on.
  decode_step(sequence.cache, sequence.policy.get(), sequence.prompt, 41, random);
  EXPECT_EQ(sequence.cache.positions(0), expected);
}

}  // namespace
}  // namespace elastikv
