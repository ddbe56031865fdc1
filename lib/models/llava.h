#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

#include "models/clip_vision.h"
#include "models/config.h"
#include "models/llama.h"
#include "models/model.h"

namespace elastikv {

/// LLaVA-1.5: CLIP features of one layer through a two-layer projector into a LLaMA decoder
/// (transformers' LlavaForConditionalGeneration).
class Llava final : public Model {
 public:
  Llava(const LlavaConfig& config, const WeightReader& weights);

  const LanguageModel& language() const override { return language_; }
  int64_t image_token() const override { return config_.image_token; }
  int64_t image_tokens() const override { return config_.image_tokens(); }
  int64_t image_size() const override { return config_.vision.image_size; }
  at::Tensor encode_image(const at::Tensor& pixels, const Observer* observer) const override;

 private:
  LlavaConfig config_;
  ClipVisionTower tower_;
  Linear projector_in_;
  Linear projector_out_;
  Llama language_;
};

}  // namespace elastikv
