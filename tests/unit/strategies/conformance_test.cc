// What every preset promises, over a grid of prompt lengths and budgets.
#include "strategies/conformance.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <ATen/ops/equal.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "strategies/registry.h"
#include "unit/strategies/support.h"

namespace elastikv {
namespace {

constexpr int64_t kLengths[] = {1, 2, 5, 30, 181, 600};
constexpr double kBudgets[] = {0.01, 0.05, 0.1, 0.2, 0.3, 0.37, 0.5, 0.7, 0.8, 0.9, 0.99};
constexpr int64_t kSteps = 40;

/// How the released classes count, in the released code's own terms: `keep` is 1 - ratio.
int64_t forget(int64_t length, int64_t seen, double keep) {
  const double ratio = std::round((1.0 - keep) * 1e6) / 1e6;
  volatile double target = static_cast<double>(seen) * (1.0 - ratio);
  return static_cast<int64_t>(static_cast<double>(length) - target);
}

int64_t elastic_released_kept(int64_t tokens, double keep) {
  const int64_t f = forget(tokens, tokens, keep);
  if (f <= 1) return tokens - std::max<int64_t>(f, 0);
  return std::max<int64_t>(tokens - f - 1, 2);  // the sink and the last entry at least
}

int64_t h2o_released_kept(int64_t tokens, double keep) {
  const int64_t f = forget(tokens, tokens, keep);
  if (f <= 0) return tokens;
  if (f == 1) return tokens > 2 ? tokens - 1 : tokens;  // nothing between the sink and the last
  return std::max<int64_t>(tokens - f - 1, 1);
}

int64_t local_released_kept(int64_t tokens, double keep) {
  return std::max<int64_t>(tokens - std::max<int64_t>(forget(tokens, tokens, keep), 0), 1);
}

const std::map<std::string, std::function<int64_t(int64_t, double)>> kReleasedCounts{
    {"elastic-released", elastic_released_kept},
    {"h2o-released", h2o_released_kept},
    {"local-released", local_released_kept},
};

int64_t expected_count(const std::string& preset, int64_t tokens, double keep) {
  if (preset == "full") return tokens;
  const auto released = kReleasedCounts.find(preset);
  if (released != kReleasedCounts.end()) return released->second(tokens, keep);
  return Budget::fraction(keep).slots(tokens, tokens);
}

/// What a preset promises of a cache with room for it.
struct Promise {
  int64_t sinks;          ///< first entries that stay
  int64_t recent;         ///< last entries that stay
  bool even = true;       ///< all layers and heads hold the same number
  bool grows = false;     ///< keeps all that is generated
  int64_t overshoot = 0;  ///< entries over the budget between two compressions
};
const std::map<std::string, Promise> kPromises{
    {"full", {1, 1}},
    {"elastic", {1, 1}},
    {"elastic-plus", {.sinks = 1, .recent = 1, .even = false}},
    {"elastic-released", {1, 1}},
    {"h2o", {0, 1}},
    {"random", {1, 1}},
    {"h2o-released", {0, 1}},
    {"streaming-llm", {4, 1}},
    {"stride", {1, 1}},
    {"local-released", {1, 0}},
    {"window", {0, 1}},
    {"tova", {0, 0}},
    {"snapkv", {.sinks = 0, .recent = 1, .grows = true}},
    {"pyramidkv", {.sinks = 0, .recent = 1, .even = false, .grows = true}},
    {"adakv", {.sinks = 0, .recent = 1, .even = false, .grows = true}},
    {"knorm", {.sinks = 0, .recent = 0, .even = false}},
    {"keydiff", {0, 0}},
    {"expected-attention", {.sinks = 4, .recent = 0, .grows = true}},
    {"cake", {.sinks = 0, .recent = 1, .even = false, .overshoot = 7}},
    {"meda", {.sinks = 0, .recent = 1, .even = false, .grows = true}},
    {"vl-cache", {.sinks = 0, .recent = 1, .even = false, .grows = true}},
    {"prefixkv", {.sinks = 1, .recent = 1, .even = false}},
    {"tgv-kv", {.sinks = 4, .recent = 1, .even = false}},
    {"r-kv", {.sinks = 0, .recent = 1, .overshoot = 15}},
    {"cam", {0, 1}},
    {"d2o", {.sinks = 4, .recent = 1, .even = false}},
    {"kvmerger", {.sinks = 4, .recent = 1, .even = false, .grows = true}},
    {"look-m", {.sinks = 0, .recent = 1, .grows = true}},
};

/// Whether a preset can compress a prompt of so few tokens: some read the text after an image.
bool can_compress(const Strategy& strategy, const PromptStatistics& prompt) {
  return missing_for(strategy.needs(), prompt.prompt_tokens, prompt.image_begin, prompt.image_end)
      .empty();
}

TEST(Conformance, EveryPresetIsListed) {
  std::vector<std::string> names;
  for (const PresetInfo& preset : list_presets()) {
    names.push_back(preset.name);
    EXPECT_TRUE(kPromises.count(preset.name)) << "no promise is tested for " << preset.name;
    EXPECT_FALSE(preset.summary.empty()) << preset.name;
    EXPECT_FALSE(preset.citation.empty()) << preset.name;
  }
  for (const auto& [name, promise] : kPromises) {
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name << " is missing";
  }
}

TEST(Conformance, PlansKeepWhatWasAskedFor) {
  for (const int64_t tokens : kLengths) {
    const PromptStatistics prompt = made_up_prompt(tokens);
    const auto layers = static_cast<int64_t>(prompt.layers.size());
    for (const auto& [name, promise] : kPromises) {
      const auto strategy = make_strategy(name);
      if (!can_compress(*strategy, prompt)) continue;
      for (const double keep : kBudgets) {
        SCOPED_TRACE(fmt::format("{} T={} keep={}", name, tokens, keep));
        const auto plans = strategy->compress(prompt, Budget::fraction(keep));
        ASSERT_EQ(plans.size(), prompt.layers.size());
        const int64_t count = expected_count(name, tokens, keep);
        int64_t total = 0;
        for (const LayerPlan& plan : plans) {
          for (int64_t group = 0; group < prompt.kv_heads; ++group) {
            const std::vector<int64_t> kept = kept_slots(plan, group, tokens);
            const auto size = static_cast<int64_t>(kept.size());
            total += size;
            if (promise.even) {
              ASSERT_EQ(size, count);
            }
            ASSERT_GE(size, 1);
            EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end(), std::less_equal<>()));
            EXPECT_GE(kept.front(), 0);
            EXPECT_LT(kept.back(), tokens);
            if (size < promise.sinks + promise.recent) continue;
            // The released class deletes entry 0 when it means to forget a single one.
            if (name == "elastic-released" && count == tokens - 1) {
              EXPECT_EQ(kept.front(), 1);
              continue;
            }
            for (int64_t i = 0; i < promise.sinks; ++i) {
              EXPECT_EQ(kept[static_cast<size_t>(i)], i);
            }
            if (promise.recent > 0) {
              EXPECT_EQ(kept.back(), tokens - 1);
            }
          }
        }
        ASSERT_EQ(total, count * layers * prompt.kv_heads);
      }
    }
  }
}

TEST(Conformance, OneQueryHeadPerKvHeadIsMultiHeadAttention) {
  // With as many KV heads as query heads the reduction over a group has nothing to do.
  const PromptStatistics prompt = made_up_prompt(90, 2, /*query_heads=*/3, /*kv_heads=*/3);
  const auto reduced = [&](const std::string& name, const std::string& heads) {
    return make_strategy(name, {"importance.heads=" + heads, "generation=none"})
        ->importance(prompt);
  };
  int compared = 0;
  for (const auto& [name, promise] : kPromises) {
    std::vector<at::Tensor> sum;
    try {
      sum = reduced(name, "sum");
    } catch (const Error&) {
      continue;  // its importance reduces no heads, or one within it does
    }
    if (sum.front().size(0) != prompt.kv_heads) continue;
    ++compared;
    const auto mean = reduced(name, "mean");
    for (size_t layer = 0; layer < mean.size(); ++layer) {
      EXPECT_TRUE(at::equal(mean[layer], sum[layer])) << name;
    }
  }
  EXPECT_GE(compared, 15) << "presets that rank every KV head for itself";
}

TEST(Conformance, EveryPresetKeepsWhatAllStrategiesPromise) {
  ConformanceOptions options;
  options.prompt_tokens.assign(std::begin(kLengths), std::end(kLengths));
  options.budgets = {0.05, 0.37, 0.99};  // PlansKeepWhatWasAskedFor looks at more
  options.steps = 8;                     // and TheCacheIsAtItsBudgetAfterEveryStep at more, too
  for (const auto& [name, promise] : kPromises) {
    const YamlFields preset = read_preset(name);
    const auto checks = check_conformance([&preset] { return make_composition(preset); }, options);
    ASSERT_EQ(checks.size(), 9U);
    for (const ConformanceCheck& check : checks) {
      EXPECT_EQ(check.broken, 0) << name << ": " << check.name << ": " << check.finding;
      EXPECT_EQ(check.skipped.empty(), check.cases > 0) << name << ": " << check.name;
    }
    const auto skipped =
        std::count_if(checks.begin(), checks.end(),
                      [](const ConformanceCheck& check) { return !check.skipped.empty(); });
    EXPECT_EQ(skipped, name == "full" || kReleasedCounts.count(name) != 0 ? 3 : 0) << name;
    EXPECT_TRUE(conforms(checks));
  }
}

/// Decodes kSteps tokens and calls `check(cache, tokens_seen)` after each.
void decode(const std::string& name, const PromptStatistics& prompt, const Budget& budget,
            const std::function<void(const KVCache&, int64_t)>& check) {
  const auto strategy = make_strategy(name);
  const auto plans = strategy->compress(prompt, budget);
  KVCache cache = made_up_cache(prompt);
  for (size_t layer = 0; layer < plans.size(); ++layer) {
    cache.apply(static_cast<int64_t>(layer), plans[layer]);
  }
  const auto policy = strategy->begin_generation(prompt, plans, budget);
  std::mt19937 random(3);
  for (int64_t i = 1; i <= kSteps && !testing::Test::HasFatalFailure(); ++i) {
    decode_step(cache, policy.get(), prompt, prompt.prompt_tokens + i, random);
    check(cache, prompt.prompt_tokens + i);
  }
}

TEST(Conformance, TheCacheIsAtItsBudgetAfterEveryStep) {
  for (const int64_t tokens : kLengths) {
    const PromptStatistics prompt = made_up_prompt(tokens);
    std::vector<Budget> budgets{Budget::tokens(1), Budget::tokens(7), Budget::tokens(40)};
    for (const double keep : {0.05, 0.3, 0.5, 0.9}) {
      budgets.push_back(Budget::fraction(keep));
      budgets.push_back(Budget::fraction(keep, Budget::Growth::kPrompt));
    }
    for (const auto& entry : kPromises) {  // clang 14 captures no structured bindings
      const std::string& name = entry.first;
      const Promise& promise = entry.second;
      if (kReleasedCounts.count(name) != 0) continue;
      if (!can_compress(*make_strategy(name), prompt)) continue;
      for (const Budget& budget : budgets) {
        SCOPED_TRACE(fmt::format("{} T={} {}", name, tokens, budget.name()));
        const bool grows = promise.grows || name == "full";
        const int64_t at_prompt = name == "full" ? tokens : budget.slots(tokens, tokens);
        // A prompt of few tokens fills a growing budget no faster than tokens come.
        int64_t previous = at_prompt;
        decode(name, prompt, budget, [&](const KVCache& cache, int64_t seen) {
          const int64_t budgeted = std::min(previous + 1, budget.slots(seen, tokens));
          const int64_t allowed = grows ? at_prompt + seen - tokens : budgeted;
          int64_t total = 0;
          for (int64_t layer = 0; layer < cache.shape().layers; ++layer) {
            for (const int64_t length : cache.head_lengths(layer)) {
              total += length;
              if (promise.even) {
                ASSERT_GE(length, allowed);
                ASSERT_LE(length, allowed + promise.overshoot);
              }
            }
            for (int64_t group = 0; group < cache.groups(layer); ++group) {
              std::vector<int64_t> positions = cache.positions(layer, group);
              std::sort(positions.begin(), positions.end(), std::greater<>());
              ASSERT_EQ(std::adjacent_find(positions.begin(), positions.end()), positions.end());
              if (static_cast<int64_t>(positions.size()) > promise.sinks && promise.even &&
                  name != "full") {
                const int64_t first = std::min<int64_t>(promise.sinks, at_prompt - promise.recent);
                for (int64_t i = 0; i < first; ++i) {
                  ASSERT_EQ(positions[positions.size() - 1 - static_cast<size_t>(i)], i);
                }
              }
            }
          }
          const int64_t heads = cache.shape().layers * prompt.kv_heads;
          ASSERT_GE(total, allowed * heads);
          ASSERT_LE(total, (allowed + promise.overshoot) * heads);
          previous = allowed;
        });
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST(Conformance, ReleasedPresetsKeepTheirOwnCountAfterEveryStep) {
  for (const auto& entry : kReleasedCounts) {
    const std::string& name = entry.first;
    const auto& kept = entry.second;
    for (const int64_t tokens : kLengths) {
      const PromptStatistics prompt = made_up_prompt(tokens);
      for (const double keep : kBudgets) {
        SCOPED_TRACE(fmt::format("{} T={} keep={}", name, tokens, keep));
        int64_t length = kept(tokens, keep);
        const int64_t prompt_forget = forget(tokens, tokens, keep);
        const int64_t fixed = prompt_forget > 1 ? tokens - prompt_forget - 25 : 0;
        if (fixed == -1) continue;  // the doubling has a test of its own
        decode(name, prompt, Budget::fraction(keep), [&](const KVCache& cache, int64_t seen) {
          ++length;
          if (forget(length, seen, keep) > 0) {
            const bool deletes = name == "elastic-released"
                                     ? (fixed >= 0 ? fixed < length : length + fixed >= 0)
                                     : length > (name == "h2o-released" ? 2 : 1);
            if (deletes) --length;
          }
          ASSERT_EQ(cache.length(0), length) << "after " << seen << " tokens";
          ASSERT_EQ(cache.length(2), length) << "after " << seen << " tokens";
        });
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace elastikv
