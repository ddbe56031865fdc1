// How slots are shared among layers and heads, against brute force and the papers' formulas.
#include "strategies/allocation.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "strategies/components.h"
#include "unit/strategies/support.h"

namespace elastikv {
namespace {

std::vector<int64_t> slots_of(const std::string& text, const PromptStatistics& prompt,
                              int64_t total) {
  return make_allocation(Parameters(YamlFields::parse("a: " + text, "a.yaml").at("a")))
      ->slots_per_layer(prompt, total);
}

int64_t sum_of(const std::vector<int64_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), int64_t{0});
}

TEST(Apportion, GivesOutLargestRemaindersAndWhatOthersMayNotTake) {
  EXPECT_EQ(apportion({1, 1, 1}, 10, 1, 100), (std::vector<int64_t>{4, 3, 3}));
  EXPECT_EQ(apportion({5, 3, 2}, 11, 1, 100), (std::vector<int64_t>{6, 3, 2}));
  // 80 % of 20 are 16, but 8 is the most: the others share 12 in the ratio of 3 to 1.
  EXPECT_EQ(apportion({16, 3, 1}, 20, 1, 8), (std::vector<int64_t>{8, 8, 4}));
  EXPECT_EQ(apportion({16, 3, 1}, 20, 1, 12), (std::vector<int64_t>{12, 6, 2}));
  EXPECT_EQ(apportion({0, 0}, 5, 0, 4), (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(apportion({1, 0, 0}, 9, 1, 5), (std::vector<int64_t>{5, 2, 2}));
  EXPECT_EQ(apportion({7}, 3, 1, 3), (std::vector<int64_t>{3}));
}

TEST(Apportion, IsExactWithinRangeAndMonotoneInTheWishes) {
  std::mt19937 random(5);
  std::lognormal_distribution<double> wish(0.0, 3.0);
  for (int round = 0; round < 500; ++round) {
    const int64_t count = 1 + static_cast<int64_t>(random() % 40);
    const auto most = 1 + static_cast<int64_t>(random() % 600);
    const int64_t total = count + static_cast<int64_t>(random() % (count * most - count + 1));
    std::vector<double> wishes(static_cast<size_t>(count));
    for (double& value : wishes) value = random() % 5 == 0 ? 0.0 : wish(random);
    const std::vector<int64_t> shares = apportion(wishes, total, 1, most);
    ASSERT_EQ(sum_of(shares), total);
    for (size_t i = 0; i < shares.size(); ++i) {
      ASSERT_GE(shares[i], 1);
      ASSERT_LE(shares[i], most);
      for (size_t j = 0; j < shares.size(); ++j) {
        if (wishes[i] > wishes[j]) {
          ASSERT_GE(shares[i], shares[j]) << i << " " << j;
        }
      }
    }
  }
}

TEST(PyramidAllocation, FollowsThePapersLine) {
  const PromptStatistics prompt = made_up_prompt(400, /*layers=*/5);
  // C = 92, w = 32: 60 on average beside the window, 60 / 20 = 3 in the last layer, 117 in the
  // first.
  EXPECT_EQ(slots_of("{kind: pyramid, beta: 20, window: 32}", prompt, 5 * 92),
            (std::vector<int64_t>{149, 121, 92, 63, 35}));
  // The first layer can hold no more than the prompt.
  EXPECT_EQ(slots_of("{kind: pyramid, beta: 20, window: 0}", prompt, 5 * 300),
            (std::vector<int64_t>{400, 350, 300, 250, 200}));
  EXPECT_EQ(slots_of("{kind: pyramid, beta: 20, window: 32}", prompt, 5 * 20),
            (std::vector<int64_t>{20, 20, 20, 20, 20}));
}

TEST(CumulativeMassAllocation, GivesEveryLayerTheSameShareOfItsAttention) {
  const PromptStatistics prompt = made_up_prompt(200, /*layers=*/4);
  const std::vector<int64_t> slots = slots_of("cumulative_mass", prompt, 4 * 50);
  ASSERT_EQ(sum_of(slots), 200);
  std::vector<double> held;
  std::vector<double> of_one_more;
  for (size_t layer = 0; layer < 4; ++layer) {
    const at::Tensor sums = prompt.layers[layer].column_sums.mean(0).to(at::kDouble);
    std::vector<double> masses(sums.data_ptr<double>(), sums.data_ptr<double>() + 200);
    std::sort(masses.begin(), masses.end(), std::greater<>());
    const double all = std::accumulate(masses.begin(), masses.end(), 0.0);
    const auto kept = static_cast<std::ptrdiff_t>(slots[layer]);
    held.push_back(std::accumulate(masses.begin(), masses.begin() + kept, 0.0) / all);
    of_one_more.push_back(masses[static_cast<size_t>(kept)] / all);
  }
  // Shares differ by no more than the entry that rounding gave or took.
  const double spread =
      *std::max_element(held.begin(), held.end()) - *std::min_element(held.begin(), held.end());
  EXPECT_LE(spread, 2 * *std::max_element(of_one_more.begin(), of_one_more.end()));
  EXPECT_GT(std::set<int64_t>(slots.begin(), slots.end()).size(), 1U);
}

TEST(Allocation, FollowsItsFormula) {
  const PromptStatistics prompt = made_up_prompt(60, /*layers=*/3);
  const int64_t total = 3 * 20;
  const auto expect = [&](const std::string& text, auto wish) {
    std::vector<double> wishes;
    for (const LayerStatistics& layer : prompt.layers) wishes.push_back(wish(layer));
    EXPECT_EQ(slots_of(text, prompt, total), apportion(wishes, total, 1, 60)) << text;
  };
  const int64_t after = 60 - prompt.image_end;
  const auto block = [&](const LayerStatistics& layer, auto each) {
    double sum = 0;
    for (int64_t h = 0; h < 4; ++h) {
      for (int64_t m = prompt.image_end; m < 60; ++m) {
        for (int64_t n = prompt.image_begin; n < prompt.image_end; ++n) {
          sum += each(layer.last_rows[h][m][n].item<double>());
        }
      }
    }
    return sum / static_cast<double>(4 * after);
  };
  const auto minus_p_log_p = [](double p) { return p > 0 ? -p * std::log(p) : 0.0; };
  expect("text_to_image",
         [&](const LayerStatistics& layer) { return block(layer, [](double p) { return p; }); });
  expect("{kind: entropy, temperature: 0.5}",
         [&](const LayerStatistics& layer) { return std::exp(block(layer, minus_p_log_p) / 0.5); });
  expect("{kind: entropy, of: all}", [&](const LayerStatistics& layer) {
    return std::exp(layer.row_entropy.mean().item<double>());
  });
  expect("{kind: sparsity, threshold: 0.05}", [&](const LayerStatistics& layer) {
    double dense = 0;
    double visible = 0;
    for (int64_t h = 0; h < 4; ++h) {
      for (int64_t m = prompt.image_end; m < 60; ++m) {
        const double most = layer.last_rows[h][m].max().item<double>();
        for (int64_t n = 0; n <= m; ++n) {
          visible += 1;
          dense += layer.last_rows[h][m][n].item<double>() >= 0.05 * most ? 1 : 0;
        }
      }
    }
    return dense / visible;
  });
  expect("{kind: preference, rows: 6, tau1: 1.6, tau2: 0.4}", [&](const LayerStatistics& layer) {
    double entropy = 0;
    double variance = 0;
    for (int64_t h = 0; h < 4; ++h) {
      for (int64_t n = 0; n < 54; ++n) {
        double mean = 0;
        for (int64_t m = 54; m < 60; ++m) mean += layer.last_rows[h][m][n].item<double>() / 6;
        entropy += minus_p_log_p(mean) / 4;
        for (int64_t m = 54; m < 60; ++m) {
          variance += std::pow(layer.last_rows[h][m][n].item<double>() - mean, 2) / 5 / 4;
        }
      }
    }
    return std::pow(entropy, 1 / 1.6) * std::pow(variance, 1 / 0.4);
  });
}

TEST(WholeLayersAllocation, TakesNoMoreThanHalf) {
  const PromptStatistics prompt = made_up_prompt(100, /*layers=*/6);
  const std::string text = "{kind: whole_layers, first: 2, last: 1, base: uniform}";
  EXPECT_EQ(slots_of(text, prompt, 6 * 60), (std::vector<int64_t>{60, 60, 60, 60, 60, 60}));
  EXPECT_EQ(slots_of(text, prompt, 6 * 80), (std::vector<int64_t>{80, 80, 80, 80, 80, 80}));
  EXPECT_EQ(slots_of("{kind: whole_layers, first: 2, base: uniform}", prompt, 6 * 70),
            (std::vector<int64_t>{100, 100, 55, 55, 55, 55}));
  EXPECT_EQ(slots_of("{kind: whole_layers, first: 2, base: uniform}", prompt, 6 * 10),
            (std::vector<int64_t>{15, 15, 8, 8, 7, 7}));
  EXPECT_EQ(slots_of("{kind: whole_layers, first: 9, base: uniform}", prompt, 6),
            (std::vector<int64_t>{1, 1, 1, 1, 1, 1}));
}

TEST(AdaptiveHeads, CompeteWithASafeguard) {
  const PromptStatistics prompt = made_up_prompt(50, 1, 6, 3, /*seed=*/8);
  const at::Tensor scores =
      make_importance(
          Parameters(
              YamlFields::parse("i: {kind: attention, granularity: kv_head}", "i.yaml").at("i")))
          ->scores(prompt)
          .front();
  for (const Protected protect : {Protected{0, 0}, Protected{2, 3}}) {
    const int64_t guarded = protect.sinks + protect.recent;
    for (const int64_t slots : {6, 17, 40}) {
      // The layer's best entries, and how many each head has among them.
      std::vector<std::pair<float, int64_t>> entries;
      for (int64_t h = 0; h < 3; ++h) {
        for (int64_t n = protect.sinks; n < 50 - protect.recent; ++n) {
          entries.emplace_back(scores[h][n].item<float>(), h);
        }
      }
      std::sort(entries.rbegin(), entries.rend());
      std::vector<double> won(3, 0.0);
      for (int64_t i = 0; i < 3 * (slots - guarded); ++i) {
        won[static_cast<size_t>(entries[static_cast<size_t>(i)].second)] += 1;
      }
      const auto heads = [&](const std::string& text) {
        return make_adaptive_heads(Parameters(YamlFields::parse("h: " + text, "h.yaml").at("h")))
            ->slots_per_head(scores, slots, protect);
      };
      std::vector<double> mixed;
      for (const double n : won) {
        mixed.push_back(0.3 * static_cast<double>(slots - guarded) + 0.7 * n);
      }
      std::vector<int64_t> expected =
          apportion(mixed, 3 * (slots - guarded), guarded > 0 ? 0 : 1, 50 - guarded);
      for (int64_t& n : expected) n += guarded;
      EXPECT_EQ(heads("{kind: adaptive, safeguard: 0.3}"), expected);
      const std::vector<int64_t> floored = heads("{kind: adaptive, safeguard: 0.8, rule: floor}");
      EXPECT_EQ(sum_of(floored), 3 * slots);
      for (const int64_t n : floored) EXPECT_GE(n, static_cast<int64_t>(0.8 * slots));
      EXPECT_EQ(heads("{kind: adaptive, safeguard: 1}"), (std::vector<int64_t>(3, slots)));
    }
  }
}

}  // namespace
}  // namespace elastikv
