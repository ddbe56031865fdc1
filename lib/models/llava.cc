#include "models/llava.h"

#include <algorithm>
#include <vector>

#include <ATen/ops/cat.h>

namespace elastikv {

Llava::Llava(const LlavaConfig& config, const WeightReader& weights)
    : config_(config),
      tower_(config.vision, weights.scope("model.vision_tower."),
             *std::max_element(config.feature_layers.begin(), config.feature_layers.end())),
      language_(config.text, weights.scope("model.language_model."), weights) {
  const WeightReader projector = weights.scope("model.multi_modal_projector.");
  const int64_t features =
      config.vision.hidden_size * static_cast<int64_t>(config.feature_layers.size());
  projector_in_ =
      take_linear(projector, "linear_1", config.text.hidden_size, features, config.projector_bias);
  projector_out_ = take_linear(projector, "linear_2", config.text.hidden_size,
                               config.text.hidden_size, config.projector_bias);
}

at::Tensor Llava::encode_image(const at::Tensor& pixels, const Observer* observer) const {
  const std::vector<at::Tensor> states =
      tower_.hidden_states(pixels, config_.feature_layers, observer);
  at::Tensor features = states.size() == 1 ? states[0] : at::cat(states, -1);
  if (config_.drop_class_token) features = features.narrow(0, 1, features.size(0) - 1);
  const at::Tensor projected =
      projector_out_(activate(config_.projector_activation, projector_in_(features.contiguous())));
  if (observer != nullptr) (*observer)("projector", projected);
  return projected;
}

}  // namespace elastikv
