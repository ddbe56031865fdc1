#include "checkpoint_parts.h"

#include "base/error.h"
#include "models/registry.h"
#include "runtime/prompt_encoder.h"
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
  look([&] { tokenizer = load_tokenizer(model.path); });
  look([&] {
    writer = make_prompt_writer(
        prompt_model(model.path, summarize_model(model.path), tokenizer.get()), model.prompt);
  });
  look([&] {
    image_prompt = read_image_prompt(model.path);
    if (image_prompt != nullptr)
      image_processor = read_model_image_processor(model.path, image_choice(model));
  });
}

}  // namespace elastikv
