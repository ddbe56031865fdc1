#include "models/llava/llava.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/upsample_bilinear2d.h>

#include "base/error.h"

namespace elastikv {
namespace {

/// Python's int(round(x, 7)): half of the last digit counts up from there, the rest is cut off.
int64_t rounded(double x) { return static_cast<int64_t>(std::nearbyint(x * 1e7) / 1e7); }

}  // namespace

TileFeatures tile_features(const LlavaConfig& config, const ImageGeometry& geometry, int64_t side) {
  TileFeatures f;
  f.rows = f.kept_rows = side * geometry.tile_rows;
  f.columns = f.kept_columns = side * geometry.tile_columns;
  const auto height = static_cast<double>(geometry.image.height);
  const auto width = static_cast<double>(geometry.image.width);
  const auto rows = static_cast<double>(f.rows);
  const auto columns = static_cast<double>(f.columns);
  if (width / height > columns / rows) {
    f.top = (f.rows - rounded(height * (columns / width))) / 2;
    f.kept_rows = f.rows - 2 * f.top;
  } else {
    f.left = (f.columns - rounded(width * (rows / height))) / 2;
    f.kept_columns = f.columns - 2 * f.left;
  }
  f.scaled_rows = f.kept_rows;
  f.scaled_columns = f.kept_columns;
  if (config.family != LlavaConfig::Family::kOnevision) return f;
  const double ratio = std::sqrt(static_cast<double>(f.kept_rows * f.kept_columns) /
                                 static_cast<double>(config.max_tiles * side * side));
  if (ratio > 1.1) {
    f.scaled_rows = static_cast<int64_t>(std::floor(static_cast<double>(f.kept_rows) / ratio));
    f.scaled_columns =
        static_cast<int64_t>(std::floor(static_cast<double>(f.kept_columns) / ratio));
  }
  return f;
}

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
  if (config.has_tiles()) newline_ = weights.take("model.image_newline", {config.text.hidden_size});
}

at::Tensor Llava::encode_view(const at::Tensor& pixels, const Observer* observer) const {
  const std::vector<at::Tensor> states =
      tower_.hidden_states(pixels, config_.feature_layers, observer);
  at::Tensor features = states.size() == 1 ? states[0] : at::cat(states, -1);
  if (config_.drop_class_token) features = features.narrow(0, 1, features.size(0) - 1);
  at::Tensor projected =
      projector_out_(activate(config_.projector_activation, projector_in_(features.contiguous())));
  if (observer != nullptr) (*observer)("projector", projected);
  return projected;
}

at::Tensor Llava::encode_image(const ProcessedImage& image, const Observer* observer) const {
  std::vector<at::Tensor> views;
  for (int64_t i = 0; i < image.pixels.size(0); ++i)
    views.push_back(encode_view(image.pixels[i], observer));
  if (!config_.has_tiles()) return at::cat(views);
  const at::Tensor whole = views.front();
  if (views.size() == 1) return at::cat({whole, newline_.unsqueeze(0)});
  const ImageGeometry& geometry = image.geometry;
  const int64_t side = config_.vision.patches_per_side();
  const TileFeatures f = tile_features(config_, geometry, side);
  ELASTIKV_ASSERT(geometry.views() == image.pixels.size(0) && whole.size(0) == side * side,
                  "{} views of {} features, {} x {} tiles of {} x {}", image.pixels.size(0),
                  whole.size(0), geometry.tile_rows, geometry.tile_columns, side, side);
  views.erase(views.begin());
  // [tile rows, tile columns, side, side, hidden] -> [hidden, rows, columns]
  at::Tensor tiles = at::stack(views)
                         .view({geometry.tile_rows, geometry.tile_columns, side, side, -1})
                         .permute({4, 0, 2, 1, 3})
                         .reshape({-1, f.rows, f.columns})
                         .narrow(1, f.top, f.kept_rows)
                         .narrow(2, f.left, f.kept_columns);
  if (f.scaled_rows != f.kept_rows || f.scaled_columns != f.kept_columns) {
    tiles =
        at::upsample_bilinear2d(tiles.contiguous().unsqueeze(0), {f.scaled_rows, f.scaled_columns},
                                /*align_corners=*/false)[0];
  }
  const at::Tensor ends = newline_.view({-1, 1, 1}).expand({-1, f.scaled_rows, 1});
  return at::cat({whole, at::cat({tiles, ends}, 2).flatten(1).transpose(0, 1)});
}

}  // namespace elastikv
