// What only Qwen-VL-Chat does, beyond what every family is held to (family_parity_test.cc): prompts
// longer than the model was trained with, and a checkpoint folder of a layout of its own.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "image/clip_processor.h"
#include "runtime/evaluation.h"
#include "runtime/generation.h"
#include "runtime/sequence.h"
#include "strategies/registry.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"
#include "support/tiny_models.h"

namespace elastikv {
namespace {

using nlohmann::json;

constexpr double kTolerance = 1e-4;  // fp32 with sums taken in another order

std::filesystem::path families_folder() { return parity_folder() / "families"; }
std::filesystem::path checkpoint() { return families_folder() / "qwen_vl_chat"; }
json read_json(const std::filesystem::path& file) { return json::parse(read_file(file)); }

class QwenVlParity : public testing::Test {
 protected:
  EncodedPrompt encode(const std::string& name, const StatisticsRequest& request = {}) {
    for (const json& one : family_.at("cases")) {
      if (one.at("name") != name) continue;
      std::vector<ImageFile> images;
      for (const std::string file : one.at("pictures"))
        images.emplace_back(families_folder() / "pictures" / file);
      const TokenizedPrompt prompt =
          reader_.tokenize(one.at("question").get<std::string>(), images);
      return encode_prompt(*model_, reader_, prompt, images, request, /*seed=*/0);
    }
    throw std::out_of_range(name);
  }
  std::vector<int64_t> answer() const { return family_.at("answer_ids"); }

  OneThread one_thread_;
  json family_ = read_json(families_folder() / "qwen_vl_chat.json")["families"]["qwen_vl_chat"];
  SafetensorsFile golden_{families_folder() / "qwen_vl_chat.golden.safetensors"};
  PromptReader reader_{checkpoint(), PromptSettings()};
  std::unique_ptr<Model> model_ =
      load_model(checkpoint(), c10::Device(c10::DeviceType::CPU), c10::ScalarType::Float);
};

TEST_F(QwenVlParity, GoldenCasesReachEveryRotaryTable) {
  EXPECT_EQ(encode("0").cache.rotary_table(), 0);
  EXPECT_EQ(encode("two").cache.rotary_table(), 1);
  EXPECT_EQ(encode("long").cache.rotary_table(), 2);
}

TEST_F(QwenVlParity, PromptsOfAllLengthsShareABatch) {
  const auto full = make_strategy("full");
  std::vector<EncodedPrompt> prompts;
  for (const char* name : {"0", "two", "long"}) prompts.push_back(encode(name));
  std::vector<Sequence> together;
  std::vector<Sequence> alone;
  for (const EncodedPrompt& prompt : prompts) {
    together.emplace_back(model_->language(), prompt, *full, Budget::unlimited());
    alone.emplace_back(model_->language(), prompt, *full, Budget::unlimited());
  }
  // Long enough for the first prompt to pass the trained length.
  for (int64_t step = 0; step < 14; ++step) {
    const std::vector<int64_t> tokens{20 + step, 60 + step, 40 + step};
    const at::Tensor logits =
        decode_step(model_->language(), {&together[0], &together[1], &together[2]}, tokens);
    for (size_t i = 0; i < alone.size(); ++i) {
      const at::Tensor expected = decode_step(model_->language(), {&alone[i]}, {tokens[i]});
      EXPECT_LE(max_difference(logits[static_cast<int64_t>(i)], expected[0]), 1e-5)
          << "prompt " << i << ", step " << step;
    }
  }
}

/// Un-rotated keys take the prompt's own table: with nothing evicted, ranks are positions.
TEST_F(QwenVlParity, UnrotatedKeysOfALongPrompt) {
  const auto strategy = make_strategy("streaming-llm");
  const EncodedPrompt prompt = encode("long", strategy->needs());
  const at::Tensor expected = golden_.tensor("long.nll");
  for (const bool one_pass : {true, false}) {
    Sequence sequence(model_->language(), prompt, *strategy, Budget::tokens(4096));
    ASSERT_TRUE(sequence.cache().keys_are_unrotated());
    ForcedOptions options;
    options.one_pass = one_pass;
    const std::vector<double> nll =
        teacher_force(model_->language(), {&sequence}, answer(), options)[0].nll;
    ASSERT_EQ(static_cast<int64_t>(nll.size()), expected.size(0));
    for (size_t i = 0; i < nll.size(); ++i)
      EXPECT_NEAR(nll[i], expected[static_cast<int64_t>(i)].item<double>(), kTolerance);
  }
}

TEST_F(QwenVlParity, StrategiesOnALongPrompt) {
  for (const char* name : {"elastic", "streaming-llm", "elastic-released", "d2o"}) {
    const auto strategy = make_strategy(name);
    const EncodedPrompt prompt = encode("long", strategy->needs());
    std::vector<double> sums;
    for (const bool one_pass : {true, false}) {
      Sequence sequence(model_->language(), prompt, *strategy, Budget::fraction(0.3));
      ForcedOptions options;
      options.one_pass = one_pass;
      const std::vector<ForcedScores> scores =
          teacher_force(model_->language(), {&sequence}, answer(), options);
      double& sum = sums.emplace_back();
      for (const double nll : scores[0].nll) sum += nll;
    }
    EXPECT_NEAR(sums[0], sums[1], 1e-3) << name;
  }
}

TEST_F(QwenVlParity, WhatTheFolderDoesNotSay) {
  // generation_config.json names only the first of these.
  EXPECT_EQ(reader_.end_tokens(),
            (std::vector<int64_t>{*reader_.tokenizer().token_to_id("<|endoftext|>"),
                                  *reader_.tokenizer().token_to_id("<|im_end|>")}));
  EXPECT_EQ(reader_.writer().name(), "qwen-vl-chat");
  EXPECT_EQ(reader_.tokenizer().id_to_token(model_->image_token()), "<imgpad>");
  const ImageGeometry geometry = reader_.image_processor()->geometry({30, 500});
  EXPECT_EQ(geometry.view, (ImageSize{84, 84}));
  EXPECT_EQ(reader_.image_prompt()->features(geometry), 256);
  EXPECT_EQ(reader_.image_prompt()->patches(geometry), 21 * 21);
  EXPECT_EQ(reader_.image_prompt()->grid(geometry), (ImageSize{0, 0}));
  EXPECT_TRUE(check_weights(checkpoint()).clean());
}

/// A checkpoint folder with another config.json; weights are linked.
class QwenVlFolder : public testing::Test {
 protected:
  QwenVlFolder() {
    for (const auto& entry : std::filesystem::directory_iterator(checkpoint())) {
      if (entry.path().filename() != "config.json")
        std::filesystem::copy(entry.path(), folder_.path() / entry.path().filename());
    }
    change([](json&) {});
  }
  void change(const std::function<void(json&)>& damage) const {
    json config = read_json(checkpoint() / "config.json");
    damage(config);
    folder_.write("config.json", config.dump());
  }
  void expect_refused(const std::function<void(json&)>& damage, const std::string& problem) const {
    change(damage);
    EXPECT_ERROR(require_loadable(folder_.path()),
                 (folder_.path() / "config.json").string() + ": key '" + problem);
  }

  TemporaryFolder folder_;
};

TEST_F(QwenVlFolder, RefusesWhatCannotBeComputed) {
  expect_refused([](json& c) { c.erase("visual"); }, "visual' is missing (an object is needed)");
  expect_refused([](json& c) { c["rotary_pct"] = 0.25; },
                 "rotary_pct' is 0.25; 1, all of a head, is what is computed here");
  expect_refused([](json& c) { c["kv_channels"] = 32; },
                 "kv_channels' is 32, which times num_attention_heads 4 is not hidden_size 256");
  expect_refused(
      [](json& c) {
        c["kv_channels"] = 2;
        c["num_attention_heads"] = 128;
      },
      "kv_channels' is 2, an even number of at least 4 is needed");
  expect_refused([](json& c) { c["intermediate_size"] = 175; },
                 "intermediate_size' is 175, an even number is needed (of w1 and w2 together)");
  expect_refused([](json& c) { c["seq_length"] = 1; },
                 "seq_length' is 1, at least 2 is needed with use_logn_attn");
  expect_refused([](json& c) { c["scale_attn_weights"] = false; },
                 "scale_attn_weights' is false, which is not computed here");
  expect_refused([](json& c) { c["visual"]["heads"] = 5; },
                 "visual.heads' is 5, which does not divide width 32");
  expect_refused([](json& c) { c["visual"]["patch_size"] = 85; },
                 "visual.patch_size' is 85, more than image_size 84");
  expect_refused([](json& c) { c["visual"]["image_size"] = 40000; },
                 "visual.image_size' is 40000, at most 32768 is computed");
  expect_refused([](json& c) { c["visual"]["mlp_ratio"] = -1; },
                 "visual.mlp_ratio' is -1, more than 0 and at most 1024 is needed");
  expect_refused([](json& c) { c["visual"]["n_queries"] = 250; },
                 "visual.n_queries' is 250, a square number is needed");
  expect_refused([](json& c) { c["visual"]["output_dim"] = 512; },
                 "visual.output_dim' is 512, the decoder's hidden_size is 256");
  expect_refused(
      [](json& c) {
        c["visual"]["output_dim"] = c["hidden_size"] = 100;
        c["kv_channels"] = 20;
        c["num_attention_heads"] = 5;
      },
      "visual.output_dim' is 100; a multiple of 128, the size of the resampler's heads, is needed");
  expect_refused([](json& c) { c["visual"]["image_start_id"] = 622; },
                 "visual.image_start_id' is 622; it and the two ids behind it must lie in the "
                 "vocabulary of 624");
  expect_refused([](json& c) { c["visual"].erase("image_start_id"); },
                 "visual.image_start_id' is missing (an integer is needed)");
}

TEST_F(QwenVlFolder, TellsWhatDoesNotFit) {
  change([](json& c) { c["num_hidden_layers"] = 1; });
  const WeightReport report = check_weights(folder_.path());
  EXPECT_TRUE(report.missing.empty());
  EXPECT_EQ(report.unexpected,
            (std::vector<std::string>{
                "transformer.h.1.attn.c_attn.bias", "transformer.h.1.attn.c_attn.weight",
                "transformer.h.1.attn.c_proj.weight", "transformer.h.1.ln_1.weight",
                "transformer.h.1.ln_2.weight", "transformer.h.1.mlp.c_proj.weight",
                "transformer.h.1.mlp.w1.weight", "transformer.h.1.mlp.w2.weight"}));
  // Biases everywhere, which these weights do not have.
  change([](json& c) { c["no_bias"] = false; });
  const std::vector<WeightReport::Missing> missing = check_weights(folder_.path()).missing;
  ASSERT_EQ(missing.size(), 8U);
  EXPECT_EQ(missing[0].name, "transformer.h.0.attn.c_proj.bias");
}

TEST_F(QwenVlFolder, AnotherNumberOfQueriesThanThePromptHasTokens) {
  change([](json& c) { c["visual"]["n_queries"] = 64; });
  const PromptReader reader(folder_.path(), PromptSettings());
  EXPECT_ERROR(
      reader.tokenize("What?", std::vector<ImageSize>{{30, 20}}),
      folder_.path().string() +
          ": an image of 20 x 30 pixels (width x height) gets 256 image tokens in the prompt "
          "(fixed by Qwen-VL's tokenizer), but the vision tower makes 64 features of it "
          "(config.json: visual.n_queries 64)");
}

}  // namespace
}  // namespace elastikv
