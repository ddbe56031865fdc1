// Every family of models against what transformers computes with a random tiny checkpoint that it
// wrote itself: prompts, token ids, pixels, vision features, logits, greedy tokens, perplexity.
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "runtime/evaluation.h"
#include "runtime/generation.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/crc32.h"
#include "support/families.h"
#include "support/tensors.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

using nlohmann::json;

// fp32 with sums taken in another order.
constexpr double kTolerance = 1e-4;
// How far a greedy token may lead by and still be another one's.
constexpr double kMargin = 1e-3;

class FamilyParity : public testing::TestWithParam<std::string> {
 protected:
  FamilyParity()
      : family_(families().at(GetParam())),
        golden_(families_folder() / (GetParam() + ".golden.safetensors")),
        reader_(families_folder() / GetParam(),
                PromptSettings{family_.at("prompt_format").get<std::string>()}) {}

  const Model& model() {
    if (model_ == nullptr) {
      model_ = load_model(families_folder() / GetParam(), c10::Device(c10::DeviceType::CPU),
                          c10::ScalarType::Float);
    }
    return *model_;
  }
  TokenizedPrompt prompt_of(const json& one) const {
    return reader_.tokenize(one.at("question").get<std::string>(), images_of(one));
  }
  EncodedPrompt encode(const json& one, const StatisticsRequest& request = {}) {
    return encode_prompt(model(), reader_, prompt_of(one), images_of(one), request, /*seed=*/0);
  }
  at::Tensor golden(const json& one, const std::string& what) const {
    return golden_.tensor(one.at("name").get<std::string>() + "." + what);
  }
  std::vector<json> cases() const { return computed_cases(family_); }
  std::vector<int64_t> answer() const { return family_.at("answer_ids"); }

  OneThread one_thread_;
  const json& family_;
  SafetensorsFile golden_;
  PromptReader reader_;
  std::unique_ptr<Model> model_;
};

INSTANTIATE_TEST_SUITE_P(Families, FamilyParity, testing::ValuesIn(family_names()),
                         [](const auto& info) { return info.param; });

TEST_P(FamilyParity, PromptsAndTokens) {
  for (const json& one : cases()) {
    SCOPED_TRACE(one.dump());
    EXPECT_EQ(prompt_of(one).ids, to_ids(golden(one, "input_ids").to(at::kLong)));
  }
  EXPECT_EQ(reader_.tokenize_answer(family_.at("answer"), "the answer"), answer());
}

TEST_P(FamilyParity, PixelsBitForBit) {
  for (const json& one : cases()) {
    if (!one.contains("pixels_crc")) continue;
    SCOPED_TRACE(one.dump());
    const Image decoded = read_image(images_of(one).at(0));
    const ProcessedImage image = reader_.image_processor()->process(decoded);
    EXPECT_EQ(image.geometry, reader_.image_processor()->geometry(decoded.size));
    ASSERT_EQ(image.pixels.sizes().vec(), one.at("views").get<std::vector<int64_t>>());
    EXPECT_EQ(crc32(image.pixels.const_data_ptr<float>(),
                    static_cast<size_t>(image.pixels.numel()) * sizeof(float)),
              one.at("pixels_crc").get<uint32_t>());
  }
}

TEST_P(FamilyParity, RefusesWhatTransformersRefuses) {
  for (const json& one : family_.at("cases")) {
    if (!one.contains("refused")) continue;
    SCOPED_TRACE(one.dump());
    EXPECT_THROW(prompt_of(one), Error);
  }
}

TEST_P(FamilyParity, VisionFeatures) {
  for (const json& one : cases()) {
    if (one.at("pictures").size() != 1) continue;
    SCOPED_TRACE(one.dump());
    const at::Tensor features =
        model().encode_image(reader_.image_processor()->process(read_image(images_of(one)[0])));
    EXPECT_EQ(features.size(0), static_cast<int64_t>(prompt_of(one).placeholders.size()));
    // A sum over the hidden size may be off by that much more.
    EXPECT_LE(max_difference(features.sum(1), golden(one, "feature_sums")),
              kTolerance * std::sqrt(static_cast<double>(features.size(1))));
    if (golden_.has(one.at("name").get<std::string>() + ".features")) {
      EXPECT_LE(max_difference(features, golden(one, "features")), kTolerance);
    }
  }
}

TEST_P(FamilyParity, LastLogits) {
  for (const json& one : cases()) {
    SCOPED_TRACE(one.dump());
    EXPECT_LE(max_difference(encode(one).logits, golden(one, "last_logits")), kTolerance);
  }
}

TEST_P(FamilyParity, GreedyTokens) {
  const auto full = make_strategy("full");
  int64_t compared = 0;
  for (const json& one : cases()) {
    if (!golden_.has(one.at("name").get<std::string>() + ".greedy_tokens")) continue;
    SCOPED_TRACE(one.dump());
    const EncodedPrompt prompt = encode(one);
    Sequence sequence(model().language(), prompt, *full, Budget::unlimited());
    const std::vector<int64_t> expected = to_ids(golden(one, "greedy_tokens"));
    GreedyOptions options;
    options.max_new_tokens = static_cast<int64_t>(expected.size());
    const auto texts = generate_greedy(model().language(), {&sequence}, options);
    ASSERT_EQ(texts[0].token_ids.size(), expected.size());
    const at::Tensor margins = golden(one, "greedy_margins");
    for (size_t i = 0; i < expected.size(); ++i) {
      // After a near tie the two may go on differently.
      if (margins[static_cast<int64_t>(i)].item<double>() < kMargin) break;
      ASSERT_EQ(texts[0].token_ids[i], expected[i]) << "token " << i;
      ++compared;
    }
  }
  EXPECT_GE(compared, 32);
}

TEST_P(FamilyParity, Perplexity) {
  const auto full = make_strategy("full");
  for (const bool one_pass : {true, false}) {
    for (const json& one : cases()) {
      if (!golden_.has(one.at("name").get<std::string>() + ".nll")) continue;
      SCOPED_TRACE(one.dump());
      const EncodedPrompt prompt = encode(one);
      Sequence sequence(model().language(), prompt, *full, Budget::unlimited());
      ForcedOptions options;
      options.one_pass = one_pass;
      const std::vector<double> nll =
          teacher_force(model().language(), {&sequence}, answer(), options)[0].nll;
      const at::Tensor expected = golden(one, "nll");
      ASSERT_EQ(static_cast<int64_t>(nll.size()), expected.size(0));
      for (size_t i = 0; i < nll.size(); ++i)
        EXPECT_NEAR(nll[i], expected[static_cast<int64_t>(i)].item<double>(), kTolerance);
    }
  }
}

/// All that a strategy does on a model: scored and written text, and true positions at the end.
TEST_P(FamilyParity, StrategiesRunAtEveryBudget) {
  const json one = cases().front();
  for (const char* name :
       {"elastic", "streaming-llm", "h2o", "elastic-released", "d2o", "snapkv"}) {
    const auto strategy = make_strategy(name);
    StatisticsRequest request = strategy->needs();
    if (!missing_for(request, 1 << 20, 0, one.at("pictures").empty() ? 0 : 1).empty()) continue;
    const EncodedPrompt prompt = encode(one, request);
    for (const double keep : {1.0, 0.5, 0.2}) {
      SCOPED_TRACE(fmt::format("{} at {}", name, keep));
      const Budget budget = Budget::fraction(keep, Budget::Growth::kGeneration);
      std::vector<double> sums;
      for (const bool one_pass : {true, false}) {
        Sequence sequence(model().language(), prompt, *strategy, budget);
        ForcedOptions options;
        options.one_pass = one_pass;
        const std::vector<ForcedScores> scores =
            teacher_force(model().language(), {&sequence}, answer(), options);
        double& sum = sums.emplace_back();
        for (const double nll : scores[0].nll) sum += nll;
        ASSERT_TRUE(std::isfinite(sum));
        const auto held = sequence.cache().slots_per_layer();
        EXPECT_LE(held[0], sequence.tokens_seen());
      }
      EXPECT_NEAR(sums[0], sums[1], 1e-3);
      Sequence sequence(model().language(), prompt, *strategy, budget);
      GreedyOptions options;
      options.max_new_tokens = 8;
      EXPECT_EQ(generate_greedy(model().language(), {&sequence}, options)[0].token_ids.size(), 8U);
    }
  }
}

}  // namespace
}  // namespace elastikv
