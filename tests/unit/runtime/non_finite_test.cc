// What is said of a model that computes no numbers: which part is the first, and that it is said at
// all wherever a token would be made of it.
#include "runtime/non_finite.h"

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "kernels/finite.h"
#include "models/registry.h"
#include "runtime/evaluation.h"
#include "runtime/generation.h"
#include "runtime/prompt_encoder.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/expect_error.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "support/tiny_checkpoint.h"

namespace elastikv {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr const char* kDamaged = "; a weight of the checkpoint may be damaged";
const std::string kImage = source_path("datasets/stamp-scenes/test/images/test_0000.png");
constexpr int64_t kHidden = 32;

TEST(AllFinite, SeesEveryElement) {
  for (const c10::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble}) {
    at::Tensor values = at::full({7, 33}, 1.5, dtype);
    EXPECT_TRUE(all_finite(values));
    for (const float bad : {kNaN, kInfinity, -kInfinity}) {
      at::Tensor broken = values.clone();
      broken[6][32].fill_(bad);
      EXPECT_FALSE(all_finite(broken)) << bad;
      EXPECT_FALSE(all_finite(broken.t()));
    }
    at::Tensor both = values.clone();
    both[0][0].fill_(kInfinity);
    both[0][1].fill_(-kInfinity);
    EXPECT_FALSE(all_finite(both));
  }
  EXPECT_TRUE(all_finite({}));
  EXPECT_TRUE(all_finite(at::full({0, 3}, 1.0, at::kFloat)));
  // Finite numbers whose sum is none.
  EXPECT_TRUE(all_finite(at::full({64}, 3e38, at::kFloat)));
  EXPECT_TRUE(all_finite(at::full({64}, 60000, at::kHalf)));
}

/// A model of random weights with a damaged one.
class NonFinite : public testing::Test {
 protected:
  NonFinite() : weights_(write_tiny_checkpoint(folder_, "model")) {}

  /// The model with a number in place of one weight, of the tensor whose name ends so.
  std::unique_ptr<Model> with(const std::string& name, size_t index, float value = kNaN) const {
    CraftedTensors damaged = weights_;
    int found = 0;
    for (auto& [full, tensor] : damaged.tensors) {
      if (!full.ends_with(name)) continue;
      tensor.values.at(index) = value;
      ++found;
    }
    EXPECT_EQ(found, 1) << name;
    folder_.write("model/model.safetensors", damaged.bytes());
    return load_model(path(), c10::Device(c10::DeviceType::CPU), at::kFloat);
  }
  std::unique_ptr<Model> with_embedding(int64_t token) const {
    return with("embed_tokens.weight", static_cast<size_t>(token * kHidden + 5));
  }
  std::filesystem::path path() const { return folder_.path() / "model"; }

  static EncodedPrompt encode(const Model& model) {
    StatisticsRequest request;
    request.prefill.column_sums = true;
    return encode_ids(model, {'S', 'o', '?'}, request, /*seed=*/0);
  }

  TemporaryFolder folder_;
  CraftedTensors weights_;
};

TEST_F(NonFinite, AnEmbeddingIsNamedWithItsTokenAndPlace) {
  const std::unique_ptr<Model> model = with_embedding('o');
  EXPECT_ERROR(
      encode(*model),
      std::string("the embedding of token 111, number 2 of the prompt's 3, is not finite") +
          kDamaged);
  const PromptReader reader(path(), PromptSettings{"plain"});
  EXPECT_ERROR(
      encode_prompt(*model, reader, reader.tokenize("So", std::vector<ImageSize>{}), {}, {}, 0),
      std::string("the embedding of token 111 ('o'), number 2 of the prompt's 2, is not finite") +
          kDamaged);
}

TEST_F(NonFinite, AnImagesFeatures) {
  const std::unique_ptr<Model> model = with("linear_2.bias", 3, kInfinity);
  const PromptReader reader(path(), PromptSettings());
  const std::vector<ImageFile> images{kImage};
  EXPECT_ERROR(encode_prompt(*model, reader, reader.tokenize("So?", images), images, {}, 0),
               std::string("the features of image 1 are not finite") + kDamaged);
  EXPECT_NO_THROW(encode(*model)) << "a prompt without an image does not read them";
}

TEST_F(NonFinite, TheLayerAndItsPart) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"layers.0.self_attn.k_proj.weight", "layer 0: the keys of the prompt are not finite"},
      {"layers.1.self_attn.k_proj.weight", "layer 1: the keys of the prompt are not finite"},
      {"layers.1.self_attn.v_proj.weight", "layer 1: the values of the prompt are not finite"},
      {"layers.1.self_attn.q_proj.weight", "layer 1: the queries of the prompt are not finite"},
      {"layers.0.self_attn.o_proj.weight", "layer 0: the output of the attention is not finite"},
      {"layers.0.mlp.down_proj.weight", "layer 0: the output is not finite"},
      {"layers.1.mlp.up_proj.weight", "layer 1: the output is not finite"},
      {"lm_head.weight", "the logits are not finite, though every layer's output is"},
      {"language_model.norm.weight", "the logits are not finite, though every layer's output is"}};
  for (const auto& [name, message] : cases) {
    SCOPED_TRACE(name);
    // The vision tower has layers of its own.
    const std::string owner = name.starts_with("layers.") ? "language_model." : "";
    EXPECT_ERROR(encode(*with(owner + name, 4)), message + kDamaged);
  }
}

TEST_F(NonFinite, NothingIsSaidOfASoundModel) {
  const auto model = load_model(path(), c10::Device(c10::DeviceType::CPU), at::kFloat);
  const EncodedPrompt prompt = encode(*model);
  ASSERT_EQ(prompt.non_finite.size(), 2U);
  for (const StatisticsRequest& layer : prompt.non_finite)
    EXPECT_FALSE(layer.prefill.column_sums || layer.prefill.last_rows > 0 || layer.keys);
  const auto strategy = make_strategy("h2o");
  Sequence sequence(model->language(), prompt, *strategy, Budget::fraction(0.5));
  GreedyOptions options;
  options.max_new_tokens = 6;
  const auto texts = generate_greedy(model->language(), {&sequence}, options);
  EXPECT_EQ(texts[0].failure, "");
  EXPECT_EQ(texts[0].token_ids.size(), 6U);
}

/// Statistics can be lost where the last token's logits are not: those of strategies that read them
/// only.
TEST_F(NonFinite, AStrategyThatReadsWhatIsLostIsRefused) {
  const auto model = load_model(path(), c10::Device(c10::DeviceType::CPU), at::kFloat);
  EncodedPrompt prompt = encode(*model);
  prompt.non_finite[1].prefill.column_sums = true;
  const auto h2o = make_strategy("h2o");
  EXPECT_ERROR(Sequence(model->language(), prompt, *h2o, Budget::fraction(0.5)),
               "layer 1: the prompt's attention is not finite; try a wider dtype (fp32 or bf16)");
  EXPECT_NO_THROW(Sequence(model->language(), prompt, *h2o, Budget::unlimited()));
  EXPECT_NO_THROW(
      Sequence(model->language(), prompt, *make_strategy("streaming-llm"), Budget::fraction(0.5)));
}

TEST_F(NonFinite, AStepThatFailsEndsItsText) {
  GreedyOptions options;
  options.max_new_tokens = 6;
  const auto full = make_strategy("full");
  std::vector<int64_t> sound;
  {
    const auto model = load_model(path(), c10::Device(c10::DeviceType::CPU), at::kFloat);
    const EncodedPrompt prompt = encode(*model);
    Sequence sequence(model->language(), prompt, *full, Budget::unlimited());
    sound = generate_greedy(model->language(), {&sequence}, options)[0].token_ids;
  }
  ASSERT_NE(sound[0], 'S');
  ASSERT_NE(sound[0], 'o');
  ASSERT_NE(sound[0], '?');
  const std::unique_ptr<Model> model = with_embedding(sound[0]);
  const EncodedPrompt prompt = encode(*model);
  // A policy that reads attention must not be asked what is smallest among NaN.
  const auto h2o = make_strategy("h2o");
  Sequence first(model->language(), prompt, *full, Budget::unlimited());
  Sequence second(model->language(), prompt, *h2o, Budget::tokens(2));
  const auto texts = generate_greedy(model->language(), {&first, &second}, options);
  const std::string message =
      "the embedding of token " + std::to_string(sound[0]) + " is not finite" + kDamaged;
  for (const GreedyText& text : texts) {
    EXPECT_EQ(text.failure, message);
    EXPECT_EQ(text.token_ids, std::vector<int64_t>{sound[0]});
    EXPECT_FALSE(text.finished);
  }
}

TEST_F(NonFinite, ScoresSayWhy) {
  const std::unique_ptr<Model> model = with_embedding('b');
  const EncodedPrompt prompt = encode(*model);
  const auto full = make_strategy("full");
  const auto h2o = make_strategy("h2o");
  for (const bool one_pass : {true, false}) {
    Sequence first(model->language(), prompt, *full, Budget::unlimited());
    Sequence second(model->language(), prompt, *h2o, Budget::tokens(2));
    ForcedOptions options;
    options.one_pass = one_pass;
    auto scores = teacher_force(model->language(), {&first, &second}, {'a', 'b', 'c'}, options);
    for (const ForcedScores& score : scores)
      EXPECT_EQ(score.failure, std::string("the embedding of token 98 is not finite") + kDamaged);
    Sequence third(model->language(), prompt, *full, Budget::unlimited());
    Sequence fourth(model->language(), prompt, *h2o, Budget::tokens(2));
    scores = teacher_force(model->language(), {&third, &fourth}, {'a', 'c', 'b'}, options);
    for (const ForcedScores& score : scores) EXPECT_EQ(score.failure, "") << "b is never run";
  }
}

/// Keeps everything but the first entry, which it merges into the second with a weight that is no
/// number, in the last layer.
class BadWeights final : public Strategy {
 public:
  StatisticsRequest needs() const override { return {}; }
  PositionMode positions() const override { return PositionMode::kOriginal; }
  std::vector<LayerPlan> compress(const PromptStatistics& prompt, const Budget&) const override {
    std::vector<LayerPlan> plans(prompt.layers.size());
    std::vector<int64_t> kept;
    for (int64_t i = 1; i < prompt.prompt_tokens; ++i) kept.push_back(i);
    plans.back().kept = at::tensor(kept, at::kLong).unsqueeze(0);
    plans.back().source = at::full({1, 1}, 0, at::kLong);
    plans.back().anchor = at::full({1, 1}, 0, at::kLong);
    plans.back().source_weight = at::full({1, 1}, kNaN, at::kFloat);
    return plans;
  }
  std::vector<at::Tensor> importance(const PromptStatistics&) const override { return {}; }
  std::unique_ptr<GenerationPolicy> begin_generation(const PromptStatistics&,
                                                     const std::vector<LayerPlan>&,
                                                     const Budget&) const override {
    return nullptr;
  }
  std::string description() const override { return "bad weights"; }
  std::vector<std::string> parts() const override { return {}; }
};

TEST_F(NonFinite, OnlyTheCellFailsWhoseCacheIsBroken) {
  const auto model = load_model(path(), c10::Device(c10::DeviceType::CPU), at::kFloat);
  const EncodedPrompt prompt = encode(*model);
  const auto full = make_strategy("full");
  const BadWeights bad;
  const std::string message = std::string("layer 1: keys in the cache are not finite") + kDamaged;
  for (const bool one_pass : {true, false}) {
    Sequence sound(model->language(), prompt, *full, Budget::unlimited());
    Sequence broken(model->language(), prompt, bad, Budget::fraction(0.5));
    ForcedOptions options;
    options.one_pass = one_pass;
    const auto scores =
        teacher_force(model->language(), {&sound, &broken}, {'a', 'b', 'c'}, options);
    EXPECT_EQ(scores[0].failure, "");
    EXPECT_EQ(scores[1].failure, message);
  }
  Sequence sound(model->language(), prompt, *full, Budget::unlimited());
  Sequence alone = sound.restart();
  Sequence broken(model->language(), prompt, bad, Budget::fraction(0.5));
  GreedyOptions options;
  options.max_new_tokens = 5;
  const auto texts = generate_greedy(model->language(), {&sound, &broken}, options);
  EXPECT_EQ(texts[1].failure, message);
  EXPECT_EQ(texts[1].token_ids.size(), 1U);
  EXPECT_EQ(texts[0].failure, "");
  EXPECT_EQ(texts[0].token_ids, generate_greedy(model->language(), {&alone}, options)[0].token_ids);
}

}  // namespace
}  // namespace elastikv
