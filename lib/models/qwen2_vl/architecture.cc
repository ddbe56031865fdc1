#include "models/qwen2_vl/architecture.h"

#include <memory>

#include <fmt/format.h>

#include "models/qwen2_vl/config.h"
#include "models/qwen2_vl/image_prompt.h"
#include "models/qwen2_vl/qwen2_vl.h"

namespace elastikv {
namespace {

class Qwen2VlArchitecture final : public Architecture {
 public:
  using Architecture::Architecture;
  std::unique_ptr<Model> build(const ModelFolder& folder,
                               const WeightReader& weights) const override {
    return std::make_unique<Qwen2Vl>(Qwen2VlConfig::read(folder.config), weights);
  }
  void summarize(const ModelFolder& folder, ModelSummary& summary) const override {
    const Qwen2VlConfig c = Qwen2VlConfig::read(folder.config);
    summary.take_decoder(c.text);
    summary.vision =
        fmt::format("Qwen, {} layers, hidden {}, {} heads, images of any size in patches of {}",
                    c.vision.layers, c.vision.hidden_size, c.vision.heads, c.vision.patch_size);
    if (c.vision.window_size > 0)
      summary.vision += fmt::format(", windows of {} px", c.vision.window_size);
    summary.image_token = c.image_token;
  }
  std::unique_ptr<ImagePrompt> image_prompt(const ModelFolder& folder) const override {
    return make_image_prompt(Qwen2VlConfig::read(folder.config), folder.path);
  }
};

}  // namespace

Architectures qwen2_vl_architectures() {
  Architectures all;
  all.push_back(std::make_unique<Qwen2VlArchitecture>("Qwen2VLForConditionalGeneration"));
  all.push_back(std::make_unique<Qwen2VlArchitecture>("Qwen2_5_VLForConditionalGeneration"));
  return all;
}

}  // namespace elastikv
