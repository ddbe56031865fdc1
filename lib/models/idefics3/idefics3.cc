#include "models/idefics3/idefics3.h"

#include <vector>

#include <ATen/ops/cat.h>

namespace elastikv {

Idefics3::Idefics3(const Idefics3Config& config, const WeightReader& weights)
    : config_(config),
      tower_(config.vision, weights.scope("model.vision_model."), config.vision.layers,
             ClipVisionTower::LastNorm::kLoad),
      projection_(take_linear(weights, "model.connector.modality_projection.proj",
                              config.text.hidden_size,
                              config.vision.hidden_size * config.scale_factor * config.scale_factor,
                              /*bias=*/false)),
      language_(config.text, weights.scope("model.text_model."), weights) {}

at::Tensor Idefics3::encode_image(const ProcessedImage& image, const Observer* observer) const {
  const int64_t scale = config_.scale_factor;
  const int64_t side = config_.vision.patches_per_side() / scale;
  std::vector<at::Tensor> views;
  for (int64_t i = 0; i < image.pixels.size(0); ++i) {
    // Squares of scale x scale patches become one token: row by row, left to right.
    const at::Tensor squares = tower_.last_state(image.pixels[i], observer)
                                   .view({side, scale, side, scale, -1})
                                   .permute({0, 2, 1, 3, 4})
                                   .reshape({side * side, -1});
    views.push_back(projection_(squares));
    if (observer != nullptr) (*observer)("projector", views.back());
  }
  return at::cat(views);
}

}  // namespace elastikv
