// The families' config.json.
#include "models/llama/config.h"

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/json_fields.h"
#include "models/clip_vision_config.h"
#include "models/qwen2_vl/config.h"
#include "models/registry.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

JsonFields config(const std::string& text) { return {nlohmann::json::parse(text), "c.json"}; }

// Sizes are multiplied with each other, and something is made for every layer: no number in a file
// may lead out of range, or to memory and time without end.
TEST(ModelConfig, SizesBeyondAnyModelAreRefused) {
  EXPECT_ERROR(LlamaConfig::read(config(R"({"num_hidden_layers": 4097})")),
               "c.json: key 'num_hidden_layers' is 4097, a number of at most 4096 is needed");
  EXPECT_ERROR(LlamaConfig::read(config(R"({"vocab_size": 9223372036854775807})")),
               "c.json: key 'vocab_size' is 9223372036854775807, a number of at most 4194304 is "
               "needed");
  EXPECT_ERROR(LlamaConfig::read(config(R"({"head_dim": 1000000})")),
               "c.json: key 'head_dim' is 1000000, which with num_attention_heads 32 makes more "
               "than 4194304");
  EXPECT_EQ(LlamaConfig::read(config(R"({"max_position_embeddings": 10485760})")).max_positions,
            10485760);
  EXPECT_ERROR(LlamaConfig::read(config(R"({"max_position_embeddings": 1099511627776})")),
               "c.json: key 'max_position_embeddings' is 1099511627776, a number of at most "
               "16777216 is needed");
  EXPECT_ERROR(ClipVisionConfig::read(config(R"({"image_size": 32769})")),
               "c.json: key 'image_size' is 32769, a number of at most 32768 is needed");
  EXPECT_ERROR(
      ClipVisionConfig::read(config(R"({"patch_size": [1e300, 1e300]})")),
      "c.json: key 'patch_size' is [1e+300,1e+300], a number or two equal ones are needed");
}

// A factor of 0 would divide, one below it turn backwards; a checkpoint with such a value is
// damaged.
TEST(ModelConfig, RotaryFactorsAreAboveZero) {
  EXPECT_ERROR(LlamaConfig::read(config(R"({"rope_scaling": {"type": "linear", "factor": 0}})")),
               "c.json: key 'rope_scaling.factor' is 0, a number above 0 is needed");
  EXPECT_ERROR(LlamaConfig::read(config(R"({"rope_theta": -10000})")),
               "c.json: key 'rope_theta' is -10000, a number above 0 is needed");
  const auto llama3 = [](const std::string& rest) {
    return config(R"({"rope_scaling": {"rope_type": "llama3", "factor": 32, )" + rest + "}}");
  };
  EXPECT_ERROR(LlamaConfig::read(llama3(R"("low_freq_factor": 4, "high_freq_factor": 4,
                                            "original_max_position_embeddings": 8192)")),
               "c.json: key 'rope_scaling.high_freq_factor' is 4, more than low_freq_factor 4 is "
               "needed");
  EXPECT_ERROR(LlamaConfig::read(llama3(R"("low_freq_factor": 1, "high_freq_factor": 4,
                                            "original_max_position_embeddings": 0)")),
               "c.json: key 'rope_scaling.original_max_position_embeddings' is 0, a number of at "
               "least 1 is needed");
}

// A double beyond int64_t has no integer.
TEST(ModelConfig, NumbersThatAreCutToWholeOnesAreInRange) {
  EXPECT_ERROR(LlamaConfig::read(
                   config(R"({"rope_scaling": {"type": "default", "mrope_section": [1e300]}})")),
               "c.json: key 'rope_scaling.mrope_section' holds 1e+300, a number of at most 4194304 "
               "is needed");
  const std::string qwen = R"({"model_type": "qwen2_vl", "hidden_size": 8192,
      "num_attention_heads": 64, "num_key_value_heads": 8, "vision_config": {"mlp_ratio": 1e300},
      "rope_scaling": {"type": "default", "mrope_section": [16, 24, 24]}})";
  EXPECT_ERROR(Qwen2VlConfig::read(config(qwen)),
               "c.json: key 'vision_config.mlp_ratio' is 1e+300, more than 0 and at most 1024 is "
               "needed");
}

TEST(ModelConfig, TheLargestSizesHaveACountOfParameters) {
  const TemporaryFolder folder;
  const auto file = folder.write("config.json", R"({"architectures": ["LlamaForCausalLM"],
      "num_hidden_layers": 4096, "hidden_size": 4194304, "intermediate_size": 4194304,
      "vocab_size": 4194304, "num_attention_heads": 1, "max_position_embeddings": 16777216})");
  // Embedding and head; per layer four attention and three MLP products and two norms; a last norm.
  constexpr int64_t kSide = 4194304;
  EXPECT_EQ(read_published_model(file).parameters,
            2 * kSide * kSide + 4096 * (7 * kSide * kSide + 2 * kSide) + kSide);
}

TEST(ModelConfig, ATowerOfAnImpossibleName) {
  const TemporaryFolder folder;
  folder.write("config.json",
               R"({"architectures": ["LlavaLlamaForCausalLM"], "mm_vision_tower": ")" +
                   std::string(300, 'x') + "\"}");
  EXPECT_ERROR_CONTAINS(summarize_model(folder.path()), "cannot be looked at: File name too long");
  // No folder stands around a published config.json, so that nothing can be looked for there.
  const auto published = folder.write(
      "p.json", R"({"architectures": ["LlavaLlamaForCausalLM"], "mm_vision_tower": "a/clip"})");
  EXPECT_ERROR(read_published_model(published),
               published.string() +
                   ": key 'mm_vision_tower' is 'a/clip', a folder of its own; a published "
                   "config.json alone says nothing of it");
}

}  // namespace
}  // namespace elastikv
