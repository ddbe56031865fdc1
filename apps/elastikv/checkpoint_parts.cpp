#include "checkpoint_parts.h"

#include <cstdint>

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
  look([&] { tokenizer = load_tokenizer(model.path); });
  look([&] {
    const int64_t image_token = summarize_model(model.path).image_token;
    writer = make_prompt_writer({model.path, image_token >= 0, image_token, tokenizer.get()},
                                model.prompt);
  });
  look([&] {
    image_prompt = read_image_prompt(model.path);
    if (image_prompt != nullptr)
      image_processor = read_model_image_processor(model.path, image_choice(model));
  });
}

}  // namespace elastikv
