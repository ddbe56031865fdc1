// Merging while generating: what stands in the cache after every step, against brute force.
#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "strategies/random_stream.h"
#include "strategies/registry.h"
#include "unit/strategies/merge_support.h"
#include "unit/strategies/support.h"

namespace elastikv {
namespace {

constexpr int64_t kLayers = 2;
constexpr int64_t kQueryHeads = 4;
constexpr int64_t kKvHeads = 2;
constexpr int64_t kHeadDim = 4;
constexpr int64_t kSinks = 2;
constexpr int64_t kRecent = 3;

struct Entry {
  Row key;
  Row value;
};
/// One KV head's entries by token.
using Head = std::map<int64_t, Entry>;

/// A sequence that is decoded for real, and the oracle's copy of it.
class Sequence {
 public:
  Sequence(const std::string& granularity, const std::string& compaction, const Budget& budget,
           int64_t tokens)
      : budget_(budget),
        random_(7),
        groups_(granularity == "layer" ? 1 : kKvHeads),
        strategy_(make_strategy(YamlFields::parse(
            fmt::format("summary: s\ncitation: c\n"
                        "importance: {{kind: attention, granularity: {}}}\nallocation: uniform\n"
                        "selection: {{kind: top, sinks: {}, recent: {}}}\ncompaction: {}\n"
                        "generation: lowest_score\npositions: original\n",
                        granularity, kSinks, kRecent, compaction),
            "p.yaml"))),
        cache_({.layers = kLayers, .kv_heads = kKvHeads, .head_dim = kHeadDim}),
        seen_(tokens) {
    prompt_ = {.prompt_tokens = tokens,
               .query_heads = kQueryHeads,
               .kv_heads = kKvHeads,
               .seed = 23,
               .layers = {}};
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      LayerStatistics statistics =
          layer_with_sums(random_tensor(random_, {kQueryHeads, tokens}, /*positive=*/true));
      statistics.keys = random_tensor(random_, {kKvHeads, tokens, kHeadDim}, /*positive=*/false);
      const at::Tensor values =
          random_tensor(random_, {kKvHeads, tokens, kHeadDim}, /*positive=*/false);
      cache_.append(layer, statistics.keys, values, /*first_position=*/0);
      prompt_.layers.push_back(statistics);
      auto& sums = scores_.emplace_back(static_cast<size_t>(groups_));
      for (int64_t n = 0; n < tokens; ++n) {
        for (int64_t head = 0; head < kQueryHeads; ++head) {
          sums[static_cast<size_t>(group_of(head))][n] +=
              statistics.column_sums[head][n].item<float>() / heads_per_group();
        }
      }
    }
    const auto plans = strategy_->compress(prompt_, budget_);
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      cache_.apply(layer, plans[static_cast<size_t>(layer)]);
    }
    policy_ = strategy_->begin_generation(prompt_, plans, budget_);
    copy_ = contents();
  }

  /// Decodes one token. `merge` is told of every group that gives an entry up, which is still among
  /// its heads' entries in the copy, and changes the others. Then the cache must equal the copy.
  void step(const std::function<void(int64_t layer, int64_t group, int64_t token)>& merge) {
    std::vector<at::Tensor> rows;
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      const at::Tensor keys = random_tensor(random_, {kKvHeads, 1, kHeadDim}, /*positive=*/false);
      const at::Tensor values = random_tensor(random_, {kKvHeads, 1, kHeadDim}, /*positive=*/false);
      cache_.append(layer, keys, values, seen_);
      for (int64_t head = 0; head < kKvHeads; ++head) {
        copy_[layer][head][seen_] = {rows_of(keys, head)[0], rows_of(values, head)[0]};
      }
      rows.push_back(
          random_tensor(random_, {kQueryHeads, cache_.max_length(layer)}, /*positive=*/true));
      for (int64_t head = 0; head < kQueryHeads; ++head) {
        const auto& positions = cache_.positions(layer, cache_.groups(layer) == 1 ? 0 : head / 2);
        for (size_t slot = 0; slot < positions.size(); ++slot) {
          scores_[static_cast<size_t>(layer)][static_cast<size_t>(group_of(head))]
                 [positions[slot]] +=
              rows.back()[head][static_cast<int64_t>(slot)].item<float>() / heads_per_group();
        }
      }
    }
    ++seen_;
    const auto plans = policy_->step({.tokens_seen = seen_, .cache = &cache_, .rows = rows});
    for (size_t layer = 0; layer < plans.size(); ++layer) {
      cache_.apply(static_cast<int64_t>(layer), plans[layer]);
    }
    auto now = contents();
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      for (int64_t group = 0; group < groups_; ++group) {
        std::vector<int64_t> gone;
        for (const auto& [token, entry] : copy_[layer][group]) {
          if (now[layer][group].count(token) == 0) gone.push_back(token);
        }
        ASSERT_LE(gone.size(), 1U);
        if (gone.empty()) continue;
        merge(layer, group, gone[0]);
        for (const int64_t head : heads_of(group)) copy_[layer][head].erase(gone[0]);
      }
      for (int64_t head = 0; head < kKvHeads; ++head) {
        ASSERT_EQ(now[layer][head].size(), copy_[layer][head].size());
        for (const auto& [token, entry] : copy_[layer][head]) {
          const Entry& there = now[layer][head].at(token);
          for (size_t d = 0; d < entry.key.size(); ++d) {
            ASSERT_NEAR(there.key[d], entry.key[d], 1e-4) << "key of token " << token;
            ASSERT_NEAR(there.value[d], entry.value[d], 1e-4) << "value of token " << token;
          }
        }
      }
    }
  }

  const PromptStatistics& prompt() const { return prompt_; }
  int64_t groups() const { return groups_; }
  std::vector<int64_t> heads_of(int64_t group) const {
    return groups_ == 1 ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{group};
  }
  Head& head(int64_t layer, int64_t head) { return copy_[layer][head]; }
  /// The key of a token as its group's decision sees it.
  Row key(int64_t layer, int64_t group, int64_t token) const {
    Row row;
    for (const int64_t head : heads_of(group)) {
      const Row& part = copy_.at(layer).at(head).at(token).key;
      row.insert(row.end(), part.begin(), part.end());
    }
    return row;
  }
  double score(int64_t layer, int64_t group, int64_t token) const {
    return scores_[static_cast<size_t>(layer)][static_cast<size_t>(group)].at(token);
  }

 private:
  double heads_per_group() const { return static_cast<double>(kQueryHeads / groups_); }
  int64_t group_of(int64_t query_head) const { return groups_ == 1 ? 0 : query_head / 2; }

  std::map<int64_t, std::map<int64_t, Head>> contents() const {
    std::map<int64_t, std::map<int64_t, Head>> all;
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      for (int64_t head = 0; head < kKvHeads; ++head) {
        const Rows keys = rows_of(cache_.head_keys(layer, head).contiguous().unsqueeze(0), 0);
        const Rows values = rows_of(cache_.head_values(layer, head).contiguous().unsqueeze(0), 0);
        const auto& positions = cache_.positions(layer, cache_.groups(layer) == 1 ? 0 : head);
        for (size_t slot = 0; slot < positions.size(); ++slot) {
          all[layer][head][positions[slot]] = {keys[slot], values[slot]};
        }
      }
    }
    return all;
  }

  Budget budget_;
  std::mt19937 random_;
  int64_t groups_;
  std::unique_ptr<Strategy> strategy_;
  KVCache cache_;
  int64_t seen_;
  PromptStatistics prompt_{};
  std::unique_ptr<GenerationPolicy> policy_;
  std::map<int64_t, std::map<int64_t, Head>> copy_;               // by layer and KV head
  std::vector<std::vector<std::map<int64_t, double>>> scores_{};  // [layer][group] by token
};

void for_all_sequences(const std::string& compaction, const std::function<void(Sequence&)>& check) {
  for (const std::string granularity : {"layer", "kv_head"}) {
    for (const Budget& budget : {Budget::fraction(0.4), Budget::tokens(12), Budget::tokens(45)}) {
      SCOPED_TRACE(fmt::format("{} {} {}", compaction, granularity, budget.name()));
      Sequence sequence(granularity, compaction, budget, /*tokens=*/40);
      check(sequence);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

/// D2O's threshold of a group after the prompt; NaN when the prompt fitted.
double prompt_threshold(Sequence& sequence, int64_t layer, int64_t group, bool all) {
  const LayerStatistics& statistics = sequence.prompt().layers[static_cast<size_t>(layer)];
  const int64_t tokens = sequence.prompt().prompt_tokens;
  const auto key = [&](int64_t token) {
    Row row;
    for (const int64_t head : sequence.heads_of(group)) {
      const Row part = rows_of(statistics.keys, head)[static_cast<size_t>(token)];
      row.insert(row.end(), part.begin(), part.end());
    }
    return row;
  };
  const Head& kept = sequence.head(layer, sequence.heads_of(group)[0]);
  double sum = 0.0;
  double count = 0.0;
  for (int64_t token = 0; token < tokens; ++token) {
    if (kept.count(token) != 0) continue;
    double most = -2.0;
    for (const auto& [other, entry] : kept) {
      if (!all && (other < kSinks || other >= tokens - kRecent)) continue;
      most = std::max(most, cosine(key(token), key(other)));
    }
    sum += most;
    count += 1.0;
  }
  return sum / count;
}

TEST(MergeThresholdSteps, FollowTheMovingAverageAndEqualBruteForce) {
  int64_t merged = 0;
  int64_t forgotten = 0;
  for (const bool all : {true, false}) {
    for (const double decay : {0.5, 0.9}) {
      const std::string compaction = fmt::format(
          "{{kind: merge_threshold, anchors: {}, decay: {}}}", all ? "all" : "unprotected", decay);
      for_all_sequences(compaction, [&](Sequence& sequence) {
        std::map<std::pair<int64_t, int64_t>, double> thresholds;
        for (int64_t layer = 0; layer < kLayers; ++layer) {
          for (int64_t group = 0; group < sequence.groups(); ++group) {
            thresholds[{layer, group}] = prompt_threshold(sequence, layer, group, all);
          }
        }
        for (int64_t i = 0; i < 60 && !testing::Test::HasFatalFailure(); ++i) {
          sequence.step([&](int64_t layer, int64_t group, int64_t token) {
            const Head& head = sequence.head(layer, sequence.heads_of(group)[0]);
            int64_t best = -1;
            double most = -2.0;
            size_t rank = 0;
            for (const auto& [other, entry] : head) {
              const bool is_free = rank >= kSinks && rank < head.size() - kRecent;
              ++rank;
              if (other == token || !(all || is_free)) continue;
              const double here =
                  cosine(sequence.key(layer, group, token), sequence.key(layer, group, other));
              if (here > most) {
                most = here;
                best = other;
              }
            }
            if (best < 0) return;
            double& threshold = thresholds[{layer, group}];
            threshold = std::isnan(threshold) ? most : decay * threshold + (1.0 - decay) * most;
            if (most < threshold) {
              ++forgotten;
              return;
            }
            ++merged;
            const double weight = std::exp(most) / (std::exp(most) + std::exp(1.0));
            for (const int64_t h : sequence.heads_of(group)) {
              Entry& anchor = sequence.head(layer, h).at(best);
              const Entry& source = sequence.head(layer, h).at(token);
              for (size_t d = 0; d < anchor.key.size(); ++d) {
                anchor.key[d] += weight * (source.key[d] - anchor.key[d]);
                anchor.value[d] += weight * (source.value[d] - anchor.value[d]);
              }
            }
          });
        }
      });
    }
  }
  EXPECT_GT(merged, 300);
  EXPECT_GT(forgotten, 300);
}

TEST(MergeValuesSteps, AddToTheNextByThePolicysScores) {
  int64_t merged = 0;
  int64_t forgotten = 0;
  for (const size_t window : {3, 32}) {
    for_all_sequences(
        fmt::format("{{kind: merge_values, window: {}}}", window), [&](Sequence& sequence) {
          std::map<std::pair<int64_t, int64_t>, RandomStream> streams;
          for (int64_t i = 0; i < 60 && !testing::Test::HasFatalFailure(); ++i) {
            sequence.step([&](int64_t layer, int64_t group, int64_t token) {
              auto& stream = streams.try_emplace({layer, group}, ~uint64_t{23} - 1, layer, group)
                                 .first->second;
              const double drawn = stream.uniform();
              std::vector<int64_t> next;
              double mean = 0.0;
              for (const auto& [other, entry] : sequence.head(layer, sequence.heads_of(group)[0])) {
                if (other <= token || next.size() == window) continue;
                next.push_back(other);
                mean += sequence.score(layer, group, other);
              }
              mean /= static_cast<double>(next.size());
              if (drawn >= sequence.score(layer, group, token) / mean) {
                ++forgotten;
                return;
              }
              ++merged;
              for (const int64_t h : sequence.heads_of(group)) {
                const Row given = sequence.head(layer, h).at(token).value;
                for (const int64_t other : next) {
                  Row& value = sequence.head(layer, h).at(other).value;
                  for (size_t d = 0; d < value.size(); ++d) {
                    value[d] += given[d] / static_cast<double>(next.size());
                  }
                }
              }
            });
          }
        });
  }
  EXPECT_GT(merged, 100);
  EXPECT_GT(forgotten, 20);
}

TEST(MergeValuesSteps, APolicyWithoutScoresForgets) {
  const auto strategy = make_strategy(
      "h2o", {"compaction=merge_values", "generation=oldest", "importance.granularity=layer"});
  const PromptStatistics prompt = made_up_prompt(30);
  const Budget budget = Budget::tokens(10);
  const auto plans = strategy->compress(prompt, budget);
  KVCache cache = made_up_cache(prompt);
  for (int64_t layer = 0; layer < 3; ++layer) {
    cache.apply(layer, plans[static_cast<size_t>(layer)]);
  }
  const auto policy = strategy->begin_generation(prompt, plans, budget);
  for (int64_t layer = 0; layer < 3; ++layer) {
    const at::Tensor entry = cache.keys(layer).narrow(1, 0, 1).clone();
    cache.append(layer, entry, entry, /*first_position=*/30);
  }
  const auto steps = policy->step({.tokens_seen = 31, .cache = &cache, .rows = {}});
  ASSERT_EQ(steps.size(), 3U);
  for (const StepPlan& step : steps) {
    ASSERT_EQ(step.evict.size(), 1U);
    EXPECT_EQ(step.evict[0].size(), 1U);
    EXPECT_TRUE(step.join.keeps_everything());
  }
}

}  // namespace
}  // namespace elastikv
