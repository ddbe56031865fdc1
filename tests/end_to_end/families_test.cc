// The program on checkpoints of every family, as a user runs it.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/paths.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

using nlohmann::json;

std::filesystem::path families_folder() { return source_path("tests/parity/data/families"); }

struct FamilyCheckpoint {
  std::string name;
  std::string prompt_format;
  bool images = false;
};

std::vector<FamilyCheckpoint> checkpoints() {
  std::vector<FamilyCheckpoint> all;
  for (const auto& entry : std::filesystem::directory_iterator(families_folder())) {
    if (entry.path().extension() != ".json") continue;
    const json families = json::parse(read_file(entry.path())).at("families");
    for (const auto& [name, family] : families.items()) {
      all.push_back(
          {name, family.at("prompt_format"), !family.at("cases").at(0).at("pictures").empty()});
    }
  }
  return all;
}

class Families : public testing::Test {
 protected:
  Families() {
    const auto image = [](const char* name) {
      return (families_folder() / "pictures" / name).string();
    };
    std::string lines;
    for (const char* name : {"00_64x48.png", "01_40x120.png"}) {
      lines += json{{"id", name},
                    {"image", image(name)},
                    {"question", "What is in this picture?"},
                    {"answer", "A red circle above two blue squares."}}
                   .dump() +
               "\n";
    }
    folder_.write("pictures.jsonl", lines);
    folder_.write(
        "text.jsonl",
        json{{"id", "t"}, {"question", "Who?"}, {"answer", "Nobody knows."}}.dump() + "\n");
  }
  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }

  /// A sweep of `elastic` and others over all families, with or without images.
  std::string sweep(bool images) const {
    std::string text = "models:\n";
    for (const FamilyCheckpoint& checkpoint : checkpoints()) {
      if (checkpoint.images != images) continue;
      text += fmt::format("  - {{path: {}, prompt_format: {}}}\n",
                          (families_folder() / checkpoint.name).string(), checkpoint.prompt_format);
    }
    text += fmt::format("data: {{path: {}}}\n", at(images ? "pictures.jsonl" : "text.jsonl"));
    text +=
        "strategies: [full, elastic, h2o, streaming-llm]\nbudgets: {keep: [0.2, 0.5, 1.0]}\n"
        "metrics: {perplexity: true, text: [rouge-l-pltrdy, rougeL]}\n"
        "generation: {max_new_tokens: 12}\nbootstrap: {iterations: 20}\n";
    return folder_.write("s.yaml", text).string();
  }

  TemporaryFolder folder_;
};

// The original LLaVA has no token for an image: -200 stands for one.
TEST_F(Families, InspectShowsImagesOfAModelWithoutATokenForThem) {
  const ProgramResult result =
      run_elastikv({"inspect", (families_folder() / "original_llava").string(), "--prompt", "Hi",
                    "--image", (families_folder() / "pictures/00_64x48.png").string()});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_NE(result.output.find("image 1:       64 x 48 pixels"), std::string::npos)
      << result.output;
}

TEST_F(Families, SweepThroughPerplexityAndRouge) {
  for (const bool images : {true, false}) {
    const std::string out = at(images ? "with" : "without");
    const ProgramResult result = run_elastikv({"sweep", sweep(images), "--output", out});
    ASSERT_EQ(result.exit_code, 0) << result.errors;
    size_t cells = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(out)) {
      if (entry.path().extension() != ".jsonl") continue;
      const std::string text = read_file(entry.path());
      for (size_t begin = 0; begin < text.size();) {
        const size_t end = text.find('\n', begin);
        const json record = json::parse(text.substr(begin, end - begin));
        begin = end + 1;
        if (!record.contains("cell")) continue;
        ++cells;
        EXPECT_FALSE(record.contains("error")) << record.dump();
      }
    }
    size_t models = 0;
    for (const FamilyCheckpoint& checkpoint : checkpoints())
      models += checkpoint.images == images ? 1 : 0;
    // The full cache and three strategies at three budgets, for each sample.
    EXPECT_EQ(cells, models * 10 * (images ? 2 : 1));
    EXPECT_NE(result.output.find("elastic"), std::string::npos);
  }
}

TEST_F(Families, InspectShowsThePromptAndItsTokens) {
  const std::string model = (families_folder() / "qwen2_vl").string();
  const std::string image = (families_folder() / "pictures/02_333x257.png").string();
  const ProgramResult result = run_elastikv(
      {"inspect", model, "--prompt", "What is it?", "--image", image, "--image-place", "after"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_NE(result.output.find(R"(prompt:        "<|im_start|>system\nYou are a helpful assistant.)"
                               R"(<|im_end|>\n<|im_start|>user\nWhat is it?<|vision_start|><image>)"
                               R"(<|vision_end|><|im_end|>\n<|im_start|>assistant\n")"),
            std::string::npos)
      << result.output;
  EXPECT_NE(result.output.find("333 x 257 pixels -> 1 view of 224 x 168, 48 image tokens at "),
            std::string::npos)
      << result.output;
  const ProgramResult refused =
      run_elastikv({"inspect", (families_folder() / "qwen3").string(), "--prompt", "x", "--image",
                    image, "--prompt-format", "qwen3"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(refused.errors,
            "error: " + (families_folder() / "qwen3").string() + ": this model takes no images\n");
}

/// A copy of a family's checkpoint whose files a test may spoil.
std::filesystem::path copy_of(const TemporaryFolder& folder, const std::string& family) {
  const std::filesystem::path copy = folder.path() / family;
  std::filesystem::copy(families_folder() / family, copy, std::filesystem::copy_options::recursive);
  return copy;
}

void change_json(const std::filesystem::path& file, const std::string& pointer, const json& value) {
  json content = json::parse(read_file(file));
  content[json::json_pointer(pointer)] = value;
  write_file_atomically(file, content.dump());
}

TEST_F(Families, SidesThatDisagreeOverImageTokensAreNamed) {
  const std::filesystem::path model = copy_of(folder_, "llava");
  change_json(model / "processor_config.json", "/num_additional_image_tokens", 0);
  const ProgramResult result = run_elastikv(
      {"generate", "--model", model.string(), "--prompt-format", "llava-v1-hf", "--image",
       (families_folder() / "pictures/00_64x48.png").string(), "--prompt", "What?"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(
      result.errors,
      "error: " + model.string() +
          ": an image of 64 x 48 pixels (width x height) gets 15 image tokens in the prompt "
          "(processor_config.json: patch_size 7, num_additional_image_tokens 0, "
          "vision_feature_select_strategy default), but the vision tower makes 16 features of "
          "it (config.json: vision_config.image_size 28, vision_config.patch_size 7, "
          "vision_feature_select_strategy default)\n");
  change_json(model / "processor_config.json", "/image_processor/crop_size/height", 21);
  const ProgramResult view = run_elastikv(
      {"generate", "--model", model.string(), "--prompt-format", "llava-v1-hf", "--image",
       (families_folder() / "pictures/00_64x48.png").string(), "--prompt", "What?"});
  EXPECT_EQ(view.errors,
            "error: " + model.string() +
                ": the image processor makes views of 28 x 21 pixels (width x height; "
                "preprocessor_config.json: size, crop_size), the vision tower takes 28 x 28 "
                "(config.json: vision_config.image_size)\n");
}

TEST_F(Families, WrongCheckpointsListWhatIsMissingUnexpectedAndMisshapen) {
  const std::filesystem::path model = copy_of(folder_, "qwen2_vl");
  change_json(model / "config.json", "/vision_config/depth", 3);
  change_json(model / "config.json", "/text_config/num_hidden_layers", 2);
  change_json(model / "config.json", "/text_config/vocab_size", 512);
  const ProgramResult result = run_elastikv({"inspect", model.string()});
  EXPECT_EQ(result.exit_code, 1);
  for (const char* line :
       {"missing:       model.visual.blocks.2.attn.qkv.weight [96, 32]",
        "unexpected:    model.language_model.layers.2.mlp.down_proj.weight",
        "wrong shape:   model.language_model.embed_tokens.weight is [432, 48], [512, 48] is needed",
        "this checkpoint does not fit its config.json"}) {
    EXPECT_NE(result.output.find(line), std::string::npos) << line << "\n" << result.output;
  }
  const ProgramResult generate = run_elastikv(
      {"generate", "--model", model.string(), "--prompt", "x", "--prompt-format", "qwen2-vl"});
  EXPECT_EQ(generate.exit_code, 1);
  EXPECT_NE(generate.errors.find("12 tensors are missing: model.visual.blocks.2."),
            std::string::npos)
      << generate.errors;
}

/// Published Qwen2-VL folders keep the decoder's fields at the top, name the rotary embedding
/// "mrope", and describe images in a preprocessor_config.json with min_pixels and max_pixels.
TEST_F(Families, Qwen2VlAsItWasPublished) {
  const std::filesystem::path model = copy_of(folder_, "qwen2_vl");
  json config = json::parse(read_file(model / "config.json"));
  json text = config.at("text_config");
  const json rope = text.at("rope_parameters");
  for (const char* key : {"rope_parameters", "model_type", "layer_types"}) text.erase(key);
  text["rope_theta"] = rope.at("rope_theta");
  text["rope_scaling"] = {{"type", "mrope"}, {"mrope_section", rope.at("mrope_section")}};
  config.erase("text_config");
  json& vision = config.at("vision_config");
  vision["in_chans"] = vision.at("in_channels");
  vision["spatial_patch_size"] = vision.at("patch_size");
  for (const char* key : {"in_channels", "patch_size", "rope_parameters"}) vision.erase(key);
  for (const auto& [key, value] : text.items()) {
    if (!config.contains(key)) config[key] = value;
  }
  write_file_atomically(model / "config.json", config.dump());
  json processor = json::parse(read_file(model / "processor_config.json")).at("image_processor");
  processor["min_pixels"] = processor.at("size").at("shortest_edge");
  processor["max_pixels"] = processor.at("size").at("longest_edge");
  processor.erase("size");
  std::filesystem::remove(model / "processor_config.json");
  write_file_atomically(model / "preprocessor_config.json", processor.dump());
  const auto generate = [](const std::filesystem::path& folder) {
    const ProgramResult result =
        run_elastikv({"generate", "--model", folder.string(), "--image",
                      (families_folder() / "pictures/02_333x257.png").string(), "--prompt",
                      "What is it?", "--max-new-tokens", "12", "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return result.exit_code == 0 ? json::parse(result.output) : json::object();
  };
  const json as_published = generate(model);
  const json as_saved = generate(families_folder() / "qwen2_vl");
  EXPECT_EQ(as_published.value("token_ids", json()), as_saved.value("token_ids", json(1)));
  EXPECT_EQ(as_published.value("prompt_token_ids", json()),
            as_saved.value("prompt_token_ids", json(1)));
}

TEST_F(Families, TheOriginalLayoutSaysWhereItLooksForClip) {
  const std::filesystem::path model = copy_of(folder_, "original_llava");
  const std::string missing = (model / "config.json").string() +
                              ": key 'mm_vision_tower' is 'somebody/tiny-clip', and no folder "
                              "with a config.json is at " +
                              (model / "tiny-clip").string() + ", " + at("tiny-clip") +
                              " or somebody/tiny-clip; put or link the vision tower's checkpoint "
                              "there\n";
  const ProgramResult generate = run_elastikv({"generate", "--model", model.string(), "-p", "x"});
  EXPECT_EQ(generate.exit_code, 1);
  EXPECT_EQ(generate.errors, "error: " + missing);
  // The decoder can be described without it.
  const ProgramResult result = run_elastikv({"inspect", model.string()});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_NE(result.output.find("\nmissing:       " + missing), std::string::npos) << result.output;
  EXPECT_NE(result.output.find(" M parameters are needed by the decoder alone\n"),
            std::string::npos)
      << result.output;
  EXPECT_EQ(run_elastikv({"inspect", model.string(), "--strict"}).exit_code, 1);
  std::filesystem::copy(families_folder() / "tiny-clip", folder_.path() / "tiny-clip");
  EXPECT_EQ(run_elastikv({"inspect", model.string()}).exit_code, 0);
}

TEST_F(Families, APlanOfAPublishedModelNeedsNoWeights) {
  const std::filesystem::path model = copy_of(folder_, "smolvlm");
  std::filesystem::remove(model / "model.safetensors");
  const std::string text = fmt::format(
      "models: {{preset: smolvlm-256m-instruct, path: {}}}\ndata: {{path: {}}}\nstrategies: "
      "[full, elastic]\nbudgets: {{keep: [0.2]}}\n",
      model.string(), at("pictures.jsonl"));
  const ProgramResult result = run_elastikv({"plan", folder_.write("p.yaml", text).string()});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  for (const std::string& part :
       {std::string("2 cells in tables, 4 evaluations of 2 samples"), std::string("About 0:0"),
        fmt::format("Not at hand, planned by published sizes: weights in {}.", model.string())}) {
    EXPECT_NE(result.output.find(part), std::string::npos) << part << "\n" << result.output;
  }
}

TEST(PaperConfigs, ArePlannedWithoutCheckpointAndData) {
  const std::filesystem::path folder = source_path("configs/paper");
  const std::map<std::string, std::string> sizes{
      {"fig2", "110 cells in tables, 66990 evaluations of 1218 samples"},
      {"table3", "24 cells in tables, 2400 evaluations of 100 samples"},
      {"fig3", "37 cells in tables, 3700 evaluations of 100 samples"}};
  for (const auto& [name, size] : sizes) {
    for (const char* model : {"llava7b", "llava13b", "qwenvl"}) {
      const ProgramResult result =
          run_elastikv({"plan", (folder / fmt::format("{}_{}.yaml", name, model)).string()});
      EXPECT_EQ(result.exit_code, 0) << result.errors;
      for (const std::string& part :
           {size, std::string(" GiB |"), std::string("About "),
            std::string("Not at hand, planned by published sizes: checkpoint checkpoints/")}) {
        EXPECT_NE(result.output.find(part), std::string::npos) << part << "\n" << result.output;
      }
    }
  }
}

}  // namespace
}  // namespace elastikv
