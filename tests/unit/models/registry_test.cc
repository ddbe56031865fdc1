#include "models/registry.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

TEST(ModelRegistry, EveryFamilyListsItsArchitectures) {
  EXPECT_EQ(known_architectures(),
            (std::vector<std::string>{
                "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM",
                "LlavaForConditionalGeneration", "LlavaNextForConditionalGeneration",
                "LlavaOnevisionForConditionalGeneration", "LlavaLlamaForCausalLM",
                "Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration",
                "Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration",
                "QWenLMHeadModel"}));
}

TEST(ModelRegistry, FamiliesDescribeWhatConfigJsonSays) {
  const TemporaryFolder folder;
  const auto summary = [&](const std::string& text) {
    folder.write("config.json", text);
    return summarize_model(folder.path());
  };
  const ModelSummary text = summary(R"({"architectures": ["LlamaForCausalLM"]})");
  EXPECT_EQ(text.architecture, "LlamaForCausalLM");
  EXPECT_EQ(text.text, "32 layers, hidden 4096, 32 query and 32 KV heads of 128, vocabulary 32000");
  EXPECT_FALSE(text.takes_images());
  EXPECT_EQ(text.cache_bytes_per_token_fp16, 2 * 32 * 32 * 128 * 2);

  const ModelSummary llava = summary(R"({"architectures": ["LlavaForConditionalGeneration"],
                                         "text_config": {"vocab_size": 32064}})");
  EXPECT_EQ(llava.vision, "CLIP, 24 layers, hidden 1024, 16 heads, 336 px in patches of 14");
  EXPECT_EQ(llava.image_token, 32000);
  EXPECT_EQ(llava.image_size, 336);
  EXPECT_EQ(llava.vocab_size, 32064);

  const ModelSummary smolvlm = summary(R"({"architectures": ["SmolVLMForConditionalGeneration"],
      "image_token_id": 7, "vision_config": {"model_type": "smolvlm_vision",
                                               "image_size": 512, "patch_size": 16}})");
  EXPECT_EQ(smolvlm.vision, "SigLIP, 12 layers, hidden 1152, 16 heads, 512 px in patches of 16");
  EXPECT_EQ(smolvlm.image_token, 7);
}

TEST(ModelRegistry, AnUnknownArchitectureIsNamed) {
  const TemporaryFolder folder;
  const auto file = folder.write("config.json", R"({"architectures": ["LlavaForCausalLM"]})");
  EXPECT_ERROR(summarize_model(folder.path()),
               file.string() +
                   ": key 'architectures' names 'LlavaForCausalLM', which is not "
                   "known; did you mean 'LlamaForCausalLM'?");
}

}  // namespace
}  // namespace elastikv
