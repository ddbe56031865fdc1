#include "models/llava/architecture.h"

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "base/files.h"
#include "models/llava/config.h"
#include "models/llava/image_prompt.h"
#include "models/llava/llava.h"

namespace elastikv {
namespace {

class LlavaArchitecture : public Architecture {
 public:
  LlavaArchitecture(std::string name, LlavaConfig::Family family)
      : Architecture(std::move(name)), family_(family) {}
  std::unique_ptr<Model> build(const ModelFolder& folder,
                               const WeightReader& weights) const override {
    return std::make_unique<Llava>(read(folder), weights);
  }
  void summarize(const ModelFolder& folder, ModelSummary& summary) const override {
    const LlavaConfig c = read(folder);
    summary.take_decoder(c.text);
    summary.vision = c.vision.summary();
    summary.image_token = c.image_token;
    summary.image_size = c.vision.image_size;
  }
  std::unique_ptr<ImagePrompt> image_prompt(const ModelFolder& folder) const override {
    return make_image_prompt(read(folder), read_processor_config(folder.path));
  }

 protected:
  virtual LlavaConfig read(const ModelFolder& folder) const {
    return LlavaConfig::read(folder.config, family_);
  }

 private:
  LlavaConfig::Family family_;
};

/// liuhaotian/llava-v1.5-* and what was trained with that code: CLIP lies in a folder of its own.
class OriginalLlavaArchitecture final : public LlavaArchitecture {
 public:
  explicit OriginalLlavaArchitecture(std::string name)
      : LlavaArchitecture(std::move(name), LlavaConfig::Family::kOriginal) {}
  Checkpoint open_weights(const ModelFolder& folder) const override {
    Checkpoint weights = Checkpoint::open(folder.path);
    // Checkpoints whose tower was trained too hold it themselves.
    if (weights.has(kTowersFirst)) return weights;
    return weights.with_vision_tower(Checkpoint::open(tower_folder(folder)));
  }
  std::string missing_tower(const ModelFolder& folder) const override {
    try {
      tower_folder(folder);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
  LlamaConfig decoder(const ModelFolder& folder) const override {
    ClipVisionConfig any;
    any.layers = 1000;  // whichever layer of it gives the features, this tower has one
    return LlavaConfig::read_original(folder.config, any).text;
  }
  std::vector<std::string> missing_weights(const ModelFolder& folder) const override {
    std::vector<std::string> missing = missing_weight_files(folder.path);
    if (!missing_tower(folder).empty()) return missing;
    if (missing.empty() && Checkpoint::open(folder.path).has(kTowersFirst)) return missing;
    const std::filesystem::path tower = tower_folder(folder);
    for (const std::string& file : missing_weight_files(tower))
      missing.push_back(fmt::format("{}: {}", tower.string(), file));
    return missing;
  }
  std::unique_ptr<ImageProcessor> image_processor(const ModelFolder& folder,
                                                  const ImageChoice& choice) const override {
    const std::string own = folder.config.string("image_aspect_ratio", "square");
    if (own != "pad" && own != "square") {
      folder.config.fail_key("image_aspect_ratio",
                             fmt::format("is '{}'; pad and square are computed here", own));
    }
    const auto otherwise = own == "pad" ? ImageAspectRatio::kPad : ImageAspectRatio::kCrop;
    return read_image_processor(tower_folder(folder),
                                {choice.aspect_ratio.value_or(otherwise), choice.pixels});
  }

 protected:
  LlavaConfig read(const ModelFolder& folder) const override {
    const JsonFields tower = JsonFields::read(tower_folder(folder) / "config.json");
    LlavaConfig c = LlavaConfig::read_original(
        folder.config,
        ClipVisionConfig::read(tower.has("vision_config") ? tower.object("vision_config") : tower));
    return c;
  }

 private:
  static constexpr const char* kTowersFirst = "model.vision_tower.embeddings.class_embedding";

  /// Where the folder that mm_vision_tower names (a hub name, mostly) lies on this machine.
  static std::filesystem::path tower_folder(const ModelFolder& folder) {
    const std::filesystem::path name =
        folder.config.string("mm_vision_tower", folder.config.string("vision_tower", ""));
    if (name.empty()) {
      folder.config.fail_key("mm_vision_tower", "is missing (the folder of CLIP is needed)");
    }
    if (folder.path.empty()) {
      folder.config.fail_key("mm_vision_tower",
                             fmt::format("is '{}', a folder of its own; a published config.json "
                                         "alone says nothing of it",
                                         name.string()));
    }
    const std::filesystem::path parent = std::filesystem::absolute(folder.path).parent_path();
    const std::vector<std::filesystem::path> places{
        folder.path / name, folder.path / name.filename(), parent / name.filename(), name};
    for (const std::filesystem::path& place : places) {
      if (path_exists(place / "config.json")) return place;
    }
    folder.config.fail_key(
        "mm_vision_tower",
        fmt::format("is '{}', and no folder with a config.json is at {}, {} or {}; put or link the "
                    "vision tower's checkpoint there",
                    name.string(), places[1].string(), places[2].string(), places[3].string()));
  }
};

}  // namespace

Architectures llava_architectures() {
  using Family = LlavaConfig::Family;
  Architectures all;
  all.push_back(
      std::make_unique<LlavaArchitecture>("LlavaForConditionalGeneration", Family::kLlava));
  all.push_back(
      std::make_unique<LlavaArchitecture>("LlavaNextForConditionalGeneration", Family::kNext));
  all.push_back(std::make_unique<LlavaArchitecture>("LlavaOnevisionForConditionalGeneration",
                                                    Family::kOnevision));
  all.push_back(std::make_unique<OriginalLlavaArchitecture>("LlavaLlamaForCausalLM"));
  return all;
}

}  // namespace elastikv
