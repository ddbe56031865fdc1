// The random small models against what transformers computes for them, layer by layer.
#include <map>
#include <string>
#include <vector>

#include <ATen/ops/equal.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/generation.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/tensors.h"
#include "support/tiny_models.h"
#include "weights/safetensors.h"

namespace elastikv {
namespace {

// fp32 with sums taken in another order; the largest difference seen is 3e-5, at logits of
// up to 23.
constexpr double kTolerance = 1e-4;

/// A name that no file has would compare nothing: counts what was compared.
class Comparison {
 public:
  explicit Comparison(const SafetensorsFile& golden) : golden_(golden) {}

  void compare(const std::string& name, const at::Tensor& value) {
    ++compared_;
    const double difference = max_difference(value, golden_.tensor(name));
    // NaN is off too.
    if (first_off_.empty() && !(difference <= kTolerance))
      first_off_ = fmt::format("{} is off by {}", name, difference);
  }

  /// The first tensor, in the order of computation, that differs; empty when all agree.
  const std::string& first_off() const { return first_off_; }
  int64_t compared() const { return compared_; }

 private:
  const SafetensorsFile& golden_;
  std::string first_off_;
  int64_t compared_ = 0;
};

class TinyParity : public testing::TestWithParam<std::string> {
 protected:
  TinyParity() : tiny_(GetParam()) {}

  TinyModel tiny_;
};

INSTANTIATE_TEST_SUITE_P(Models, TinyParity, testing::ValuesIn(tiny_model_names()),
                         [](const auto& info) { return info.param; });

TEST_P(TinyParity, IntermediatesKeysValuesAndLogits) {
  Comparison comparison(tiny_.golden);
  std::map<std::string, int64_t> seen;
  const Observer observer = [&](const std::string& name, const at::Tensor& value) {
    ++seen[name];
    comparison.compare(name, value);
  };
  PrefillInput input;
  input.embeddings = tiny_.embeddings(&observer);
  comparison.compare("embeddings", input.embeddings);
  input.all_logits = true;
  input.observer = &observer;
  KVCache cache(tiny_.language().cache_shape());
  const PrefillOutput output = tiny_.language().prefill(input, cache);
  EXPECT_EQ(comparison.first_off(), "");

  const int64_t layers = cache.shape().layers;
  const int64_t tokens = tiny_.tokens();
  for (int64_t i = 0; i < layers; ++i) {
    EXPECT_EQ(seen[fmt::format("layers.{}", i)], 1);
    EXPECT_EQ(seen[fmt::format("layers.{}.attn_out", i)], 1);
    ASSERT_EQ(cache.length(i), tokens);
    comparison.compare(fmt::format("layers.{}.keys", i), cache.keys(i).narrow(1, 0, tokens));
    comparison.compare(fmt::format("layers.{}.values", i), cache.values(i).narrow(1, 0, tokens));
  }
  comparison.compare("logits", output.logits);
  EXPECT_EQ(comparison.first_off(), "");
  if (tiny_.model->image_token() >= 0) {
    EXPECT_EQ(seen["projector"], 1);
    EXPECT_EQ(seen["vision.embeddings"], 1);
    EXPECT_EQ(seen["vision.layers.0"], 1);
  }
}

TEST_P(TinyParity, LastLogitsAreThoseOfAllPositions) {
  const EncodedPrompt prompt = tiny_.encode();
  EXPECT_LE(max_difference(prompt.logits, tiny_.golden.tensor("logits")[tiny_.tokens() - 1]),
            kTolerance);
}

TEST_P(TinyParity, ColumnSums) {
  const EncodedPrompt prompt = tiny_.encode();
  const at::Tensor golden = tiny_.golden.tensor("attention_column_sums");
  ASSERT_EQ(static_cast<int64_t>(prompt.statistics.layers.size()), golden.size(0));
  for (int64_t i = 0; i < golden.size(0); ++i) {
    EXPECT_LE(
        max_difference(prompt.statistics.layers[static_cast<size_t>(i)].column_sums, golden[i]),
        kTolerance)
        << "layer " << i;
  }
}

TEST_P(TinyParity, GreedyTokens) {
  const EncodedPrompt prompt = tiny_.encode();
  const auto full = make_strategy("full");
  Sequence sequence(tiny_.language(), prompt, *full, Budget::unlimited());
  const std::vector<int64_t> golden = to_ids(tiny_.golden.tensor("greedy_tokens"));
  GreedyOptions options;
  options.max_new_tokens = static_cast<int64_t>(golden.size());
  const auto texts = generate_greedy(tiny_.language(), {&sequence}, options);
  ASSERT_EQ(texts.size(), 1U);
  EXPECT_EQ(texts[0].token_ids, golden);
}

/// Prefills the first part of the prompt and runs the others one by one, as `rows` equal rows.
void expect_decode_equals_prefill(const TinyModel& tiny, size_t rows) {
  const LanguageModel& language = tiny.language();
  const std::vector<int64_t> ids = to_ids(tiny.ids());
  const at::Tensor golden = tiny.golden.tensor("logits");
  // Placeholders have no embedding of their own, so an image belongs to the first part.
  const int64_t begin = tiny.text_begin() == 0 ? tiny.tokens() / 2 : tiny.text_begin() + 1;
  ASSERT_LT(begin, tiny.tokens());
  PrefillInput input;
  input.embeddings = tiny.embeddings().narrow(0, 0, begin);
  KVCache prefilled(language.cache_shape());
  language.prefill(input, prefilled);
  std::vector<KVCache> caches;
  for (size_t r = 0; r < rows; ++r) caches.push_back(prefilled.fork());
  for (int64_t t = begin; t < tiny.tokens(); ++t) {
    std::vector<DecodeInput> inputs(rows);
    for (size_t r = 0; r < rows; ++r) {
      inputs[r].cache = &caches[r];
      inputs[r].token = ids[static_cast<size_t>(t)];
      inputs[r].token_index = t;
    }
    const at::Tensor logits = language.decode(inputs).logits;
    ASSERT_EQ(logits.size(0), static_cast<int64_t>(rows));
    for (int64_t r = 0; r < logits.size(0); ++r)
      ASSERT_LE(max_difference(logits[r], golden[t]), kTolerance) << "token " << t << ", row " << r;
  }
  const int64_t last_layer = prefilled.shape().layers - 1;
  for (const KVCache& cache : caches) {
    ASSERT_EQ(cache.length(last_layer), tiny.tokens());
    EXPECT_LE(max_difference(cache.keys(last_layer).narrow(1, 0, tiny.tokens()),
                             tiny.golden.tensor(fmt::format("layers.{}.keys", last_layer))),
              kTolerance);
  }
  EXPECT_EQ(prefilled.length(0), begin);
}

TEST_P(TinyParity, DecodeAlone) { expect_decode_equals_prefill(tiny_, /*rows=*/1); }

TEST_P(TinyParity, DecodeInABatch) { expect_decode_equals_prefill(tiny_, /*rows=*/3); }

}  // namespace
}  // namespace elastikv
