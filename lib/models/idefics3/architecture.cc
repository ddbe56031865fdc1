#include "models/idefics3/architecture.h"

#include <memory>

#include "models/idefics3/config.h"
#include "models/idefics3/idefics3.h"
#include "models/idefics3/image_prompt.h"

namespace elastikv {
namespace {

class Idefics3Architecture final : public Architecture {
 public:
  using Architecture::Architecture;
  std::unique_ptr<Model> build(const ModelFolder& folder,
                               const WeightReader& weights) const override {
    return std::make_unique<Idefics3>(Idefics3Config::read(folder.config), weights);
  }
  void summarize(const ModelFolder& folder, ModelSummary& summary) const override {
    const Idefics3Config c = Idefics3Config::read(folder.config);
    summary.take_decoder(c.text);
    summary.vision = c.vision.summary();
    summary.image_token = c.image_token;
    summary.image_size = c.vision.image_size;
  }
  std::unique_ptr<ImagePrompt> image_prompt(const ModelFolder& folder) const override {
    return make_image_prompt(Idefics3Config::read(folder.config),
                             read_processor_config(folder.path));
  }
};

}  // namespace

Architectures idefics3_architectures() {
  Architectures all;
  all.push_back(std::make_unique<Idefics3Architecture>("Idefics3ForConditionalGeneration"));
  all.push_back(std::make_unique<Idefics3Architecture>("SmolVLMForConditionalGeneration"));
  return all;
}

}  // namespace elastikv
