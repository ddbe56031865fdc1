#include "checkpoint_parts.h"

#include "base/error.h"
#include "models/registry.h"
#include "sweep/choices.h"

namespace elastikv {

CheckpointParts::CheckpointParts(const ModelChoice& model) {
  const auto look = [this](const auto& part) {
    try {
      part();
    } catch (const Error& error) {
      missing.emplace_back(error.what());
    }
  };
  look([&] {
    format =
        choose_prompt_format(model.path, model.prompt_format == "auto" ? "" : model.prompt_format);
  });
  look([&] { tokenizer = load_tokenizer(model.path); });
  look([&] {
    image_prompt = read_image_prompt(model.path);
    if (image_prompt != nullptr)
      image_processor = read_model_image_processor(model.path, image_choice(model));
  });
}

}  // namespace elastikv
