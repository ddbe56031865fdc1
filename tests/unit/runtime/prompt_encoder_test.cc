// What encode_prompt hands to strategies, on a small model of random weights.
#include "runtime/prompt_encoder.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <ATen/ops/embedding.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "models/registry.h"
#include "support/expect_error.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"
#include "support/tiny_checkpoint.h"

namespace elastikv {
namespace {

const std::vector<ImageSize> kOneImage{{192, 192}};

class PromptEncoder : public testing::Test {
 protected:
  explicit PromptEncoder(bool images = true)
      : weights_(write_tiny_checkpoint(folder_, "model", images)),
        reader_(folder_.path() / "model", PromptSettings()),
        model_(load_model(folder_.path() / "model", c10::Device(c10::DeviceType::CPU),
                          c10::ScalarType::Float)) {}

  EncodedPrompt encode(const TokenizedPrompt& prompt, const StatisticsRequest& request) const {
    const std::filesystem::path image =
        source_path("datasets/stamp-scenes/test/images/test_0000.png");
    return encode_prompt(*model_, reader_, prompt,
                         std::vector<ImageFile>(prompt.images.size(), image), request,
                         /*seed=*/7);
  }
  EncodedPrompt encode(const StatisticsRequest& request) const {
    return encode(reader_.tokenize("What is here?", kOneImage), request);
  }

  at::Tensor weight(const std::string& name) const {
    const CraftedTensors::Tensor& tensor = weights_.tensors.at(name);
    return at::tensor(tensor.values, at::kFloat).view(tensor.shape);
  }

  TemporaryFolder folder_;
  CraftedTensors weights_;
  PromptReader reader_;
  std::unique_ptr<Model> model_;
};

TEST_F(PromptEncoder, AnswersEndAsTheFormatOrElseTheCheckpointSays) {
  EXPECT_EQ(reader_.answer_end(), 258);  // <|im_end|>
  const std::filesystem::path model = folder_.path() / "model";
  // The plain format says nothing, so that eos_token_id does.
  EXPECT_EQ(PromptReader(model, PromptSettings{"plain"}).answer_end(), 258);
  nlohmann::json config = tiny_config();
  config["text_config"].erase("eos_token_id");
  folder_.write("model/config.json", config.dump());
  EXPECT_EQ(PromptReader(model, PromptSettings()).answer_end(), 258);
  EXPECT_ERROR_CONTAINS(PromptReader(model, PromptSettings{"plain"}).answer_end(),
                        "no token ends an answer: prompt format 'plain' names none");
  EXPECT_ERROR_CONTAINS(PromptReader(model, PromptSettings{"vicuna-v1"}).answer_end(),
                        "the tokenizer has no token '</s>', with which prompt format 'vicuna-v1' "
                        "ends an answer");
}

TEST_F(PromptEncoder, WhatAnAnswerBeginsWithStandsBehindItsOpening) {
  const WrittenPrompt plain = reader_.write("What is here?", kOneImage);
  const WrittenPrompt begun = reader_.write("What is here?", kOneImage, " It is");
  EXPECT_EQ(begun.text, plain.text + " It is");
  // One token a byte; the text is not cut where it goes on.
  std::vector<int64_t> ids = plain.tokens.ids;
  const std::vector<int64_t> more = reader_.tokenizer().encode(" It is");
  ids.insert(ids.end(), more.begin(), more.end());
  EXPECT_EQ(begun.tokens.ids, ids);
  EXPECT_EQ(begun.tokens.images, plain.tokens.images);
}

TEST_F(PromptEncoder, GivesWhatIsAskedForAndNoMore) {
  const EncodedPrompt plain = encode(StatisticsRequest());
  const PromptStatistics& none = plain.statistics;
  ASSERT_EQ(none.layers.size(), 2U);
  EXPECT_EQ(none.image_end - none.image_begin, 9);
  EXPECT_GT(none.tokens_after_image(), 5);
  EXPECT_EQ(none.seed, 7U);
  for (const LayerStatistics& layer : none.layers) {
    EXPECT_FALSE(layer.column_sums.defined());
    EXPECT_FALSE(layer.last_rows.defined());
    EXPECT_FALSE(layer.keys.defined());
    EXPECT_FALSE(layer.values.defined());
    EXPECT_TRUE(layer.query_moments.empty());
  }
  // Radians per position, from theta = 10000 and head_dim 8.
  EXPECT_LT(
      max_difference(none.rotary_frequencies, at::tensor({1.0, 0.1, 0.01, 0.001}, at::kDouble)),
      1e-7);

  StatisticsRequest request;
  request.prefill.column_sums = true;
  request.prefill.column_max = true;
  request.prefill.last_rows = none.prompt_tokens;
  request.keys = true;
  request.values = true;
  const EncodedPrompt full = encode(request);
  EXPECT_TRUE(full.logits.equal(plain.logits));
  for (int64_t i = 0; i < 2; ++i) {
    const LayerStatistics& layer = full.statistics.layers[static_cast<size_t>(i)];
    ASSERT_EQ(layer.last_rows.sizes(),
              at::IntArrayRef({4, none.prompt_tokens, none.prompt_tokens}));
    EXPECT_LT(max_difference(layer.last_rows.sum(1), layer.column_sums), 1e-5);
    EXPECT_LT(max_difference(layer.last_rows.amax(1), layer.column_max), 1e-5);
    ASSERT_EQ(layer.keys.sizes(), at::IntArrayRef({2, none.prompt_tokens, 8}));
    // The prompt's own storage, since it is fp32 on the CPU.
    EXPECT_EQ(layer.keys.const_data_ptr(), full.cache.view(i).keys.const_data_ptr());
    EXPECT_EQ(layer.values.const_data_ptr(), full.cache.view(i).values.const_data_ptr());
    EXPECT_TRUE(layer.keys.equal(full.cache.keys(i)));
    EXPECT_TRUE(layer.values.equal(full.cache.values(i)));
  }
}

TEST_F(PromptEncoder, HalfPrecisionKeysAreCopiedAsFp32) {
  const auto half = load_model(folder_.path() / "model", c10::Device(c10::DeviceType::CPU),
                               c10::ScalarType::BFloat16);
  StatisticsRequest request;
  request.keys = true;
  const EncodedPrompt prompt = encode_prompt(*half, reader_, PromptReader::from_ids({1, 2, 3}),
                                             /*images=*/{}, request, /*seed=*/0);
  const at::Tensor& keys = prompt.statistics.layers[0].keys;
  EXPECT_EQ(keys.scalar_type(), at::kFloat);
  EXPECT_TRUE(keys.equal(prompt.cache.keys(0).to(at::kFloat)));
  EXPECT_FALSE(prompt.statistics.layers[0].values.defined());
}

TEST_F(PromptEncoder, RowsOfTheTextAfterTheImage) {
  StatisticsRequest request;
  request.post_image_rows = true;
  const EncodedPrompt prompt = encode(request);
  const int64_t after = prompt.statistics.tokens_after_image();
  EXPECT_EQ(prompt.statistics.layers[1].last_rows.size(1), after);
  // Of two wishes the longer is met.
  for (const int64_t more : {-2, 3}) {
    request.prefill.last_rows = after + more;
    EXPECT_EQ(encode(request).statistics.layers[1].last_rows.size(1),
              after + std::max<int64_t>(more, 0));
  }
}

/// Its embedding stands for an image's features: as a part of an answer it would be scored as if
/// it were a word.
TEST_F(PromptEncoder, AnImagesPlaceIsNoPartOfAnAnswer) {
  const int64_t place = reader_.summary().image_token;
  const std::string text = reader_.tokenizer().id_to_token(place).value();
  const std::vector<int64_t> answer = reader_.tokenize_answer("a red kite", "the answer");
  EXPECT_EQ(std::count(answer.begin(), answer.end(), place), 0);
  EXPECT_ERROR(reader_.tokenize_answer("a red " + text + " kite", "the answer"),
               "the answer holds '" + text + "', which this model's tokenizer reads as token " +
                   std::to_string(place) + ", the place of an image");
  // Windows of a text's ids are held to the same.
  EXPECT_NO_THROW(reader_.require_text({5, 6}, "the window"));
  EXPECT_ERROR_CONTAINS(reader_.require_text({5, place}, "the window"), "the window holds '");
}

TEST_F(PromptEncoder, SaysWhatAPromptCannotGive) {
  StatisticsRequest request;
  request.post_image_rows = true;
  EXPECT_ERROR(encode(PromptReader::from_ids({1, 2, 3}), request),
               "the prompt has no image, but the strategy reads the attention of the text after "
               "one");
  TokenizedPrompt prompt = reader_.tokenize("", kOneImage);
  prompt.ids.resize(static_cast<size_t>(prompt.images[0].end));
  EXPECT_ERROR(encode(prompt, request),
               "the prompt has no text after its image, but the strategy reads that text's "
               "attention");
}

class TextPromptEncoder : public PromptEncoder {
 protected:
  TextPromptEncoder() : PromptEncoder(/*images=*/false) {}
};

/// A text model has no such token: every text is text.
TEST_F(TextPromptEncoder, EveryAnswerIsText) {
  EXPECT_FALSE(reader_.tokenize_answer("a red <image> kite", "the answer").empty());
}

TEST_F(TextPromptEncoder, QueryMomentsAreThoseBeforeRotation) {
  const std::vector<int64_t> ids{5, 90, 7, 7, 31, 200, 14, 2, 66};
  StatisticsRequest request;
  request.prefill.query_moments = {0, 4, 100};
  const EncodedPrompt prompt = encode(PromptReader::from_ids(ids), request);
  // The first layer's queries from the weights.
  const at::Tensor x =
      at::embedding(weight("model.embed_tokens.weight"), at::tensor(ids, at::kLong))
          .to(at::kDouble);
  const at::Tensor normed = x * at::rsqrt(x.square().mean(-1, /*keepdim=*/true) + 1e-6) *
                            weight("model.layers.0.input_layernorm.weight").to(at::kDouble);
  const at::Tensor queries =
      at::matmul(normed, weight("model.layers.0.self_attn.q_proj.weight").to(at::kDouble).t())
          .view({static_cast<int64_t>(ids.size()), 4, 8})
          .transpose(0, 1);  // [heads, tokens, head_dim]
  const auto& all = prompt.statistics.layers[0].query_moments;
  ASSERT_EQ(all.size(), 3U);
  for (const int64_t skip : {0, 4, 100}) {
    const at::Tensor counted = queries.slice(1, skip == 4 ? 4 : 0);
    const at::Tensor mean = counted.mean(1);
    const at::Tensor second =
        at::matmul(counted.transpose(1, 2), counted) / static_cast<double>(counted.size(1));
    const at::Tensor covariance = second - mean.unsqueeze(2) * mean.unsqueeze(1);
    EXPECT_LT(max_difference(all.at(skip).mean, mean), 1e-5) << "skip " << skip;
    EXPECT_LT(max_difference(all.at(skip).covariance, covariance), 1e-4) << "skip " << skip;
  }
}

}  // namespace
}  // namespace elastikv
