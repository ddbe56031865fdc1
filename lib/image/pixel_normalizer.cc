#include "image/pixel_normalizer.h"

#include <algorithm>
#include <vector>

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace elastikv {
namespace {

/// One number per channel, or one for all.
void read_channels(const JsonFields& fields, std::string_view key, std::array<double, 3>& into) {
  if (!fields.has(key)) return;
  if (fields.json()[std::string(key)].is_number()) {
    into.fill(fields.number(key));
    return;
  }
  const std::vector<double> values = fields.numbers(key);
  if (values.size() != into.size()) {
    fields.fail_key(key, fmt::format("has {} numbers, {} are needed (red, green, blue)",
                                     values.size(), into.size()));
  }
  std::copy(values.begin(), values.end(), into.begin());
}

/// Multiplied in double, rounded to float, then normalized in float.
float value_by_numpy(const NormalizationConfig& config, size_t channel, size_t level) {
  const double scale = config.do_rescale ? config.rescale_factor : 1.0;
  const auto value = static_cast<float>(static_cast<double>(level) * scale);
  if (!config.do_normalize) return value;
  return (value - static_cast<float>(config.image_mean[channel])) /
         static_cast<float>(config.image_std[channel]);
}

/// All in float; with both steps it is mean and deviation that are rescaled, not the level.
float value_by_torchvision(const NormalizationConfig& config, size_t channel, size_t level) {
  const auto value = static_cast<float>(level);
  if (!config.do_normalize)
    return config.do_rescale ? value * static_cast<float>(config.rescale_factor) : value;
  auto mean = static_cast<float>(config.image_mean[channel]);
  auto deviation = static_cast<float>(config.image_std[channel]);
  if (config.do_rescale) {
    const auto levels = static_cast<float>(1.0 / config.rescale_factor);
    mean *= levels;
    deviation *= levels;
  }
  return (value - mean) / deviation;
}

}  // namespace

NormalizationConfig NormalizationConfig::from_fields(const JsonFields& fields,
                                                     NormalizationConfig otherwise) {
  NormalizationConfig config = otherwise;
  config.do_rescale = fields.boolean("do_rescale", config.do_rescale);
  config.rescale_factor = fields.number("rescale_factor", config.rescale_factor);
  config.do_normalize = fields.boolean("do_normalize", config.do_normalize);
  read_channels(fields, "image_mean", config.image_mean);
  read_channels(fields, "image_std", config.image_std);
  if (std::find(config.image_std.begin(), config.image_std.end(), 0.0) != config.image_std.end()) {
    fields.fail_key("image_std", "holds a 0, numbers to divide by are needed");
  }
  return config;
}

std::string NormalizationConfig::identity(bool mean_matters) const {
  std::string text;
  if (do_rescale) text += fmt::format(" rescale={}", rescale_factor);
  if (do_normalize || mean_matters) {
    text += fmt::format(" mean={},{},{}", image_mean[0], image_mean[1], image_mean[2]);
  }
  if (do_normalize) {
    text += fmt::format(" std={},{},{}", image_std[0], image_std[1], image_std[2]);
  }
  if (backend != PixelBackend::kPil) text += fmt::format(" pixels={}", pixel_backend_name(backend));
  return text;
}

PixelNormalizer::PixelNormalizer(const NormalizationConfig& config) {
  for (size_t channel = 0; channel < values_.size(); ++channel) {
    for (size_t level = 0; level < values_[channel].size(); ++level) {
      values_[channel][level] = config.backend == PixelBackend::kPil
                                    ? value_by_numpy(config, channel, level)
                                    : value_by_torchvision(config, channel, level);
    }
  }
}

at::Tensor PixelNormalizer::pixels(std::span<const Image> views) const {
  ELASTIKV_ASSERT(!views.empty(), "no views");
  const ImageSize size = views.front().size;
  at::Tensor result =
      at::empty({static_cast<int64_t>(views.size()), 3, size.height, size.width}, at::kFloat);
  const int64_t plane = size.pixels();
  float* to = result.mutable_data_ptr<float>();
  for (const Image& view : views) {
    ELASTIKV_ASSERT(view.size == size, "views of {} x {} and {} x {}", size.height, size.width,
                    view.size.height, view.size.width);
    for (int64_t i = 0; i < plane; ++i) {
      for (int64_t channel = 0; channel < 3; ++channel) {
        to[channel * plane + i] = values_[static_cast<size_t>(channel)]
                                         [view.pixels[static_cast<size_t>(i * 3 + channel)]];
      }
    }
    to += 3 * plane;
  }
  return result;
}

}  // namespace elastikv
