#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "base/error.h"
#include "models/llama/config.h"
#include "models/llama/llama.h"
#include "models/model.h"
#include "weights/weight_reader.h"

namespace elastikv {

/// A decoder without images.
class TextModel final : public Model {
 public:
  TextModel(const LlamaConfig& config, const WeightReader& weights)
      : language_(config, weights.scope("model."), weights) {}
  const LanguageModel& language() const override { return language_; }
  int64_t image_token() const override { return -1; }
  at::Tensor encode_image(const ProcessedImage&, const Observer*) const override {
    throw InternalError("a text model was given an image");
  }

 private:
  Llama language_;
};

}  // namespace elastikv
