#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "models/clip_vision.h"
#include "models/idefics3/config.h"
#include "models/llama/llama.h"
#include "models/model.h"

namespace elastikv {

/// Idefics3 and SmolVLM: SigLIP features of the tiles and of the whole image, so many neighbours
/// in one token, through one linear layer into a LLaMA decoder (transformers'
/// Idefics3ForConditionalGeneration, SmolVLMForConditionalGeneration).
class Idefics3 final : public Model {
 public:
  Idefics3(const Idefics3Config& config, const WeightReader& weights);

  const LanguageModel& language() const override { return language_; }
  int64_t image_token() const override { return config_.image_token; }
  at::Tensor encode_image(const ProcessedImage& image, const Observer* observer) const override;

 private:
  Idefics3Config config_;
  ClipVisionTower tower_;
  Linear projection_;
  Llama language_;
};

}  // namespace elastikv
