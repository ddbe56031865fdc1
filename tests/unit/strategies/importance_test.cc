// Importances against plain loops over whole attention matrices.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <ATen/ops/allclose.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "strategies/components.h"
#include "support/expect_error.h"
#include "unit/strategies/support.h"

namespace elastikv {
namespace {

std::shared_ptr<const Importance> importance(const std::string& text) {
  return make_importance(Parameters(YamlFields::parse("i: " + text, "i.yaml").at("i")));
}

/// A[h, m, n] of a layer, as made_up_prompt left it.
double attention(const PromptStatistics& prompt, size_t layer, int64_t h, int64_t m, int64_t n) {
  return prompt.layers[layer].last_rows[h][m][n].item<double>();
}

/// Holds a score per KV head to `expected(layer, query head, n)`, averaged over the heads of a
/// group.
template <typename Expected>
void expect_means(const std::string& text, const PromptStatistics& prompt, Expected expected) {
  const std::vector<at::Tensor> scores = importance(text)->scores(prompt);
  const int64_t per_group = prompt.query_heads / prompt.kv_heads;
  ASSERT_EQ(scores.size(), prompt.layers.size());
  for (size_t layer = 0; layer < scores.size(); ++layer) {
    ASSERT_EQ(scores[layer].sizes(), (std::vector<int64_t>{prompt.kv_heads, prompt.prompt_tokens}));
    for (int64_t group = 0; group < prompt.kv_heads; ++group) {
      for (int64_t n = 0; n < prompt.prompt_tokens; ++n) {
        double sum = 0;
        for (int64_t h = group * per_group; h < (group + 1) * per_group; ++h) {
          sum += expected(layer, h, n);
        }
        ASSERT_NEAR(scores[layer][group][n].item<double>(), sum / static_cast<double>(per_group),
                    1e-5)
            << text << " layer " << layer << " group " << group << " entry " << n;
      }
    }
  }
}

TEST(AttentionImportance, TakesTheMaximumOrAMovingAverageOverQueries) {
  const PromptStatistics prompt = made_up_prompt(23, 2, 4, 2, /*seed=*/9);
  expect_means("{kind: attention, granularity: kv_head, reduce: max}", prompt,
               [&](size_t layer, int64_t h, int64_t n) {
                 double most = 0;
                 for (int64_t m = n; m < 23; ++m) {
                   most = std::max(most, attention(prompt, layer, h, m, n));
                 }
                 return most;
               });
  expect_means("{kind: attention, granularity: kv_head, reduce: moving_average, decay: 0.9}",
               prompt, [&](size_t layer, int64_t h, int64_t n) {
                 double average = 0;
                 for (int64_t m = 0; m < 23; ++m) {
                   average = 0.9 * average + 0.1 * attention(prompt, layer, h, m, n);
                 }
                 return average;
               });
}

TEST(WindowImportance, SmoothsTheMeanAndVarianceBeforeTheWindow) {
  const PromptStatistics prompt = made_up_prompt(30, 2, 4, 2, /*seed=*/3);
  constexpr int64_t kRows = 7;
  constexpr int64_t kBefore = 30 - kRows;
  for (const bool largest : {false, true}) {
    for (const double gamma : {0.0, 5.0}) {
      const auto indicator = [&](size_t layer, int64_t h, int64_t n) {
        double mean = 0;
        for (int64_t m = kBefore; m < 30; ++m) mean += attention(prompt, layer, h, m, n) / kRows;
        double variance = 0;
        for (int64_t m = kBefore; m < 30; ++m) {
          variance += std::pow(attention(prompt, layer, h, m, n) - mean, 2) / (kRows - 1);
        }
        return mean + gamma * variance;
      };
      expect_means(fmt::format("{{kind: window, rows: 7, kernel: 5, pool: {}, variance: {}}}",
                               largest ? "max" : "mean", gamma),
                   prompt, [&](size_t layer, int64_t h, int64_t n) {
                     if (n >= kBefore) return indicator(layer, h, n);
                     double sum = 0;
                     double most = 0;
                     for (int64_t j = n - 2; j <= n + 2; ++j) {
                       const double value = j < 0 || j >= kBefore ? 0.0 : indicator(layer, h, j);
                       sum += value / 5;
                       most = std::max(most, value);
                     }
                     return largest ? most : sum;
                   });
    }
  }
}

TEST(PostImageImportance, SumsTheRowsOfTheTextAfterTheImage) {
  const PromptStatistics prompt = made_up_prompt(24, 2, 4, 2);
  expect_means("{kind: post_image, granularity: kv_head}", prompt,
               [&](size_t layer, int64_t h, int64_t n) {
                 double sum = 0;
                 for (int64_t m = prompt.image_end; m < 24; ++m) {
                   sum += attention(prompt, layer, h, m, n);
                 }
                 return sum;
               });
  // TGV-KV: a row counts by its own token's share of the text's attention.
  expect_means("{kind: post_image, granularity: kv_head, weights: text}", prompt,
               [&](size_t layer, int64_t h, int64_t n) {
                 double sum = 0;
                 for (int64_t t = prompt.image_end; t < 24; ++t) {
                   double weight = 0;
                   for (int64_t m = t; m < 24; ++m) {
                     for (int64_t head = 0; head < 4; ++head) {
                       weight +=
                           attention(prompt, layer, head, m, t) / 4 / static_cast<double>(24 - t);
                     }
                   }
                   sum += weight * attention(prompt, layer, h, t, n);
                 }
                 return sum;
               });
  PromptStatistics text = prompt;
  text.image_begin = text.image_end = 0;
  EXPECT_ERROR(importance("post_image")->scores(text),
               "the prompt has no image, but the strategy reads the attention of the text after "
               "one");
}

TEST(Importance, HeadsAreAveragedSummedOrTheLargestOfAGroup) {
  const PromptStatistics prompt = made_up_prompt(20);
  const at::Tensor rows = prompt.layers[1].last_rows.select(1, 19);  // [4, 20]
  const auto of = [&](const std::string& heads) {
    return importance("{kind: last_row, granularity: kv_head, heads: " + heads + "}")
        ->scores(prompt)[1];
  };
  const at::Tensor grouped = rows.view({2, 2, 20});
  EXPECT_TRUE(at::allclose(of("mean"), grouped.mean(1)));
  EXPECT_TRUE(at::allclose(of("sum"), grouped.sum(1)));
  EXPECT_TRUE(at::allclose(of("max"), grouped.amax(1)));
}

TEST(PositionImportance, PrefersTheRecentOrTheFirst) {
  const PromptStatistics prompt = made_up_prompt(5);
  const at::Tensor recent = importance("position")->scores(prompt)[0][0];
  const at::Tensor first = importance("{kind: position, prefer: first}")->scores(prompt)[0][0];
  for (int64_t n = 1; n < 5; ++n) {
    EXPECT_GT(recent[n].item<double>(), recent[n - 1].item<double>());
    EXPECT_LT(first[n].item<double>(), first[n - 1].item<double>());
  }
}

TEST(ValueWeightedImportance, MultipliesByTheNormOfTheValue) {
  const PromptStatistics prompt = made_up_prompt(12, 2, 4, 2);
  expect_means("{kind: value_weighted, epsilon: 0.5, base: {kind: last_row, granularity: kv_head}}",
               prompt, [&](size_t layer, int64_t h, int64_t n) {
                 double squares = 0;
                 for (int64_t d = 0; d < 8; ++d) {
                   squares += std::pow(prompt.layers[layer].values[h / 2][n][d].item<double>(), 2);
                 }
                 return (attention(prompt, layer, h, 11, n) + 0.5) * std::sqrt(squares);
               });
}

TEST(RedundancyImportance, SubtractsWhatOtherKeysSayAlready) {
  // More entries than a block of rows.
  const PromptStatistics prompt = made_up_prompt(300, 1, 2, 1, /*seed=*/4);
  const at::Tensor keys = prompt.layers[0].keys[0].to(at::kDouble);
  const at::Tensor unit = keys / keys.norm(2, 1, true).add(1e-8);
  const at::Tensor cosines = at::matmul(unit, unit.t()).contiguous();
  auto* cosine = cosines.data_ptr<double>();
  std::vector<double> mean(300, 0.0);
  for (int64_t i = 0; i < 300; ++i) {
    cosine[i * 300 + i] = 0;
    int64_t last = 0;
    for (int64_t j = 0; j < 300; ++j) {
      if (cosine[i * 300 + j] > 0.5) last = j;
    }
    cosine[i * 300 + last] = 0;
    for (int64_t j = 0; j < 300; ++j) mean[static_cast<size_t>(j)] += cosine[i * 300 + j] / 300;
  }
  double total = 0;
  for (const double value : mean) total += std::exp(value);
  expect_means("{kind: redundancy, lambda: 0.1, base: {kind: last_row, granularity: kv_head}}",
               prompt, [&](size_t layer, int64_t h, int64_t n) {
                 return 0.1 * attention(prompt, layer, h, 299, n) -
                        0.9 * std::exp(mean[static_cast<size_t>(n)]) / total;
               });
}

}  // namespace
}  // namespace elastikv
