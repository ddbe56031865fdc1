#include "weights/tensor_names.h"

#include <fstream>
#include <map>
#include <utility>

#include <gtest/gtest.h>

#include "support/paths.h"

namespace elastikv {
namespace {

TEST(CanonicalName, EveryOldSpelling) {
  const std::vector<std::pair<std::string, std::string>> table{
      {"language_model.model.layers.0.mlp.up_proj.weight",
       "model.language_model.layers.0.mlp.up_proj.weight"},
      {"language_model.model.embed_tokens.weight", "model.language_model.embed_tokens.weight"},
      {"language_model.layers.3.mlp.up_proj.weight",
       "model.language_model.layers.3.mlp.up_proj.weight"},
      {"model.language_model.model.norm.weight", "model.language_model.norm.weight"},
      {"language_model.lm_head.weight", "lm_head.weight"},
      {"vision_tower.vision_model.pre_layrnorm.bias", "model.vision_tower.pre_layrnorm.bias"},
      {"vision_tower.pre_layrnorm.bias", "model.vision_tower.pre_layrnorm.bias"},
      {"model.vision_tower.vision_model.pre_layrnorm.bias", "model.vision_tower.pre_layrnorm.bias"},
      {"multi_modal_projector.linear_1.weight", "model.multi_modal_projector.linear_1.weight"},
      {"image_newline", "model.image_newline"},
      {"visual.merger.ln_q.weight", "model.visual.merger.ln_q.weight"},
      {"mlp_AR.pre_norm.bias", "model.projector.pre_norm.bias"},
  };
  for (const auto& [old_name, canonical] : table) {
    EXPECT_EQ(canonical_name(old_name), canonical);
    EXPECT_EQ(canonical_name(canonical), canonical) << "not a fixed point";
  }
}

TEST(CanonicalName, LeavesOtherNamesAlone) {
  for (const char* name : {"model.layers.0.self_attn.q_proj.weight", "model.embed_tokens.weight",
                           "model.norm.weight", "lm_head.weight", "model.text_model.norm.weight",
                           "model.vision_model.post_layernorm.bias", "transformer.visual.proj",
                           "language_models.x", "image_newlines", "vision_tower", "visual", ""}) {
    EXPECT_EQ(canonical_name(name), name);
  }
}

TEST(CanonicalNames, TheWholeListDecidesAboutModelLayers) {
  const std::vector<std::string> text_only{"model.layers.0.w", "model.norm.weight"};
  EXPECT_EQ(canonical_names(text_only), text_only);
  EXPECT_EQ(
      canonical_names({"lm_head.weight", "model.layers.0.w", "visual.patch_embed.proj.weight"}),
      (std::vector<std::string>{"lm_head.weight", "model.language_model.layers.0.w",
                                "model.visual.patch_embed.proj.weight"}));
  const std::vector<std::string> canonical{"model.language_model.layers.0.w", "model.projector.x",
                                           "model.visual.x"};
  EXPECT_EQ(canonical_names(canonical), canonical);
}

// As transformers' convert_llava_weights_to_hf.py and its mapping after it name them.
TEST(CanonicalNames, OriginalLlava) {
  const std::vector<std::pair<std::string, std::string>> table{
      {"lm_head.weight", "lm_head.weight"},
      {"model.embed_tokens.weight", "model.language_model.embed_tokens.weight"},
      {"model.image_newline", "model.image_newline"},
      {"model.layers.31.self_attn.q_proj.weight",
       "model.language_model.layers.31.self_attn.q_proj.weight"},
      {"model.mm_projector.0.bias", "model.multi_modal_projector.linear_1.bias"},
      {"model.mm_projector.0.weight", "model.multi_modal_projector.linear_1.weight"},
      {"model.mm_projector.2.weight", "model.multi_modal_projector.linear_2.weight"},
      // Of projectors that the other layout does not have.
      {"model.mm_projector.4.weight", "model.mm_projector.4.weight"},
      {"model.mm_projector.weight", "model.mm_projector.weight"},
      {"model.norm.weight", "model.language_model.norm.weight"},
      {"model.vision_tower.vision_tower.vision_model.encoder.layers.0.layer_norm1.bias",
       "model.vision_tower.encoder.layers.0.layer_norm1.bias"},
  };
  std::vector<std::string> original;
  std::vector<std::string> canonical;
  for (const auto& [old_name, name] : table) {
    original.push_back(old_name);
    canonical.push_back(name);
  }
  EXPECT_EQ(canonical_names(original), canonical);
  // Without its projector the same list is a plain language model's.
  EXPECT_EQ(canonical_names({"model.norm.weight"}), std::vector<std::string>{"model.norm.weight"});
}

// The table says into which parameter transformers 5.17 loads each name on disk
// (tests/parity/make_safetensors_golden.py).
TEST(CanonicalNames, AgreeWithTransformers) {
  std::ifstream table(source_path("tests/unit/weights/data/renames.tsv"));
  std::map<std::string, std::pair<std::vector<std::string>, std::vector<std::string>>> models;
  std::string line;
  std::string model;
  while (std::getline(table, line)) {
    if (line.starts_with("# ")) {
      model = line.substr(2);
      continue;
    }
    const size_t tab = line.find('\t');
    ASSERT_NE(tab, std::string::npos) << line;
    models[model].first.push_back(line.substr(0, tab));
    models[model].second.push_back(line.substr(tab + 1));
  }
  ASSERT_EQ(models.size(), 9U);
  for (const auto& [name, names] : models) {
    SCOPED_TRACE(name);
    EXPECT_EQ(canonical_names(names.first), names.second);
    EXPECT_EQ(canonical_names(names.second), names.second) << "not a fixed point";
  }
}

TEST(TensorNames, TextForMessages) {
  EXPECT_EQ(shape_text({32, 3, 14}), "[32, 3, 14]");
  EXPECT_EQ(shape_text({}), "[]");
  EXPECT_EQ(printable_name("a\nb\tc\x7f"), "a?b?c?");
  EXPECT_EQ(printable_name(std::string(200, 'x')), std::string(200, 'x'));
  EXPECT_EQ(printable_name(std::string(201, 'x')), std::string(200, 'x') + "...");
  // The two bytes of an umlaut stay together.
  EXPECT_EQ(printable_name(std::string(199, 'x') + "\xC3\xA4y"), std::string(199, 'x') + "...");
}

}  // namespace
}  // namespace elastikv
