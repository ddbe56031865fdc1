// A prefill behind the beginning of an earlier one, beside the same prompt prefilled whole.
#include <cstdint>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "models/language_model.h"
#include "support/tensors.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

// fp32 with sums in another order, as with chunks: logits are of up to 23.
constexpr double kTolerance = 1e-4;

class PromptBeginnings : public testing::TestWithParam<std::string> {
 protected:
  PromptBeginnings() : tiny_(GetParam()) {}

  PrefillInput input() const {
    PrefillInput input;
    input.embeddings = tiny_.embeddings();
    input.request.column_sums = true;
    input.request.column_max = true;
    input.request.row_entropy = true;
    input.request.decays = {0.9};
    input.request.last_rows = tiny_.tokens();
    input.request.query_moments = {4};
    return input;
  }

  TinyModel tiny_;
};

INSTANTIATE_TEST_SUITE_P(Models, PromptBeginnings, testing::ValuesIn(tiny_model_names()),
                         [](const auto& info) { return info.param; });

TEST_P(PromptBeginnings, ServeOtherPromptsThatBeginAlike) {
  const LanguageModel& model = tiny_.language();
  KVCache whole(model.cache_shape());
  const PrefillOutput expected = model.prefill(input(), whole);
  for (const int64_t shared : {int64_t{1}, tiny_.tokens() / 2, tiny_.tokens() - 1}) {
    PromptBeginning beginning;
    PrefillInput first = input();
    first.keep = &beginning;
    KVCache kept(model.cache_shape());
    EXPECT_TRUE(model.prefill(first, kept).logits.equal(expected.logits));
    EXPECT_EQ(beginning.tokens, tiny_.tokens());
    beginning.shorten(shared);
    PrefillInput second = input();
    second.beginning = &beginning;
    KVCache cache(model.cache_shape());
    const PrefillOutput output = model.prefill(second, cache);
    EXPECT_LE(max_difference(output.logits, expected.logits), kTolerance);
    ASSERT_EQ(output.statistics.size(), expected.statistics.size());
    for (size_t i = 0; i < output.statistics.size(); ++i) {
      const PrefillStatistics& ours = output.statistics[i];
      const PrefillStatistics& theirs = expected.statistics[i];
      const auto layer = static_cast<int64_t>(i);
      EXPECT_LE(max_difference(cache.keys(layer), whole.keys(layer)), kTolerance);
      EXPECT_LE(max_difference(cache.values(layer), whole.values(layer)), kTolerance);
      EXPECT_LE(max_difference(ours.column_sums, theirs.column_sums), kTolerance);
      EXPECT_LE(max_difference(ours.column_max, theirs.column_max), kTolerance);
      EXPECT_LE(max_difference(ours.row_entropy, theirs.row_entropy), kTolerance);
      EXPECT_LE(max_difference(ours.last_rows, theirs.last_rows), kTolerance);
      EXPECT_LE(max_difference(ours.moving_averages.at(0.9), theirs.moving_averages.at(0.9)),
                kTolerance);
      EXPECT_LE(max_difference(ours.query_moments.at(4).mean, theirs.query_moments.at(4).mean),
                kTolerance);
      EXPECT_LE(max_difference(ours.query_moments.at(4).covariance,
                               theirs.query_moments.at(4).covariance),
                kTolerance);
    }
  }
}

}  // namespace
}  // namespace elastikv
