// Perplexity of a text by its words and bytes.
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "metrics/metric_set.h"

namespace elastikv {
namespace {

MetricSet windows_set() {
  MetricChoice choice{.text = {}, .agreement = false};
  choice.windows = true;
  return MetricSet(choice);
}

/// "word_ppl" and "byte_ppl" of windows: each a text and its NLL.
std::pair<double, double> measured(const std::vector<std::pair<std::string, double>>& windows) {
  const MetricSet set = windows_set();
  std::vector<ModelOutput> outputs(windows.size());
  std::vector<Question> questions(windows.size());
  std::vector<MeasuredSample> samples;
  for (size_t i = 0; i < windows.size(); ++i) {
    questions[i].answer = windows[i].first;
    outputs[i].nll_sum = windows[i].second;
    outputs[i].scored_tokens = 3;
    samples.push_back({outputs[i], {}, &questions[i]});
  }
  const auto value = [&](size_t place) {
    return set.metrics().at(place)->measure(samples, {}, Bootstrap(10)).value.value();
  };
  EXPECT_EQ(set.metrics().at(1)->traits().name, kWordPerplexity);
  EXPECT_EQ(set.metrics().at(2)->traits().name, kBytePerplexity);
  return {value(1), value(2)};
}

TEST(WindowPerplexity, IsThatOfLmEvaluationHarness) {
  // Python: len(re.split(r"\s+", "The cat\n\n sat.")) is 3, of "" it is 1; UTF-8 has 14 bytes.
  const auto [words, bytes] = measured({{"The cat\n\n sat.", 12}});
  EXPECT_NEAR(words, std::exp(12.0 / 3), 1e-9);
  EXPECT_NEAR(bytes, std::exp(12.0 / 14), 1e-9);
  const auto [accented, of_bytes] = measured({{"\u00e9t\u00e9\u3000x ", 6}});
  EXPECT_NEAR(accented, std::exp(6.0 / 3), 1e-9);  // what follows the last space counts, too
  EXPECT_NEAR(of_bytes, std::exp(6.0 / 10), 1e-9);
}

TEST(WindowPerplexity, OfWindowsIsThatOfTheirText) {
  const auto together = measured({{"a b c d", 8}});
  const auto apart = measured({{"a b", 5}, {" c d", 3}});
  EXPECT_NEAR(apart.first, together.first, 1e-9);
  EXPECT_NEAR(apart.second, together.second, 1e-9);
}

TEST(WindowPerplexity, IsOfWholeWindowsAlone) {
  EXPECT_EQ(windows_set().metrics().size(), 3U);
  MetricChoice choice{.text = {}, .agreement = false};
  EXPECT_EQ(MetricSet(choice).metrics().size(), 1U);
  choice.windows = true;
  choice.score_last_token = false;
  EXPECT_EQ(MetricSet(choice).metrics().size(), 1U);
}

}  // namespace
}  // namespace elastikv
