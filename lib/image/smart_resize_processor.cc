#include "image/smart_resize_processor.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "image/pixel_backend.h"
#include "image/processor_fields.h"

namespace elastikv {
namespace {

/// How many times as long as the other a side may be.
constexpr int64_t kMaxAspect = 200;
/// Up to here the size of an image that is refused for it is a number that can be said.
constexpr int64_t kMostMinPixels = kMaxImagePixels << 20;

/// One limit: `key`, else `size_key` of 'size', else `otherwise`.
int64_t read_limit(const JsonFields& fields, std::string_view key, std::string_view size_key,
                   int64_t otherwise) {
  if (fields.has(key)) return read_positive(fields, key, otherwise);
  if (!fields.has("size")) return otherwise;
  const JsonFields size = fields.object("size");
  if (!size.has(size_key)) {
    fields.fail_key("size", fmt::format("has no '{}' and there is no '{}'; one of them is needed",
                                        size_key, key));
  }
  return read_positive(size, size_key, otherwise);
}

/// A length of so many factors, which are whole.
int64_t factors(double count, int64_t factor) { return static_cast<int64_t>(count) * factor; }

}  // namespace

SmartResizeProcessorConfig SmartResizeProcessorConfig::from_fields(const JsonFields& fields) {
  require_processor_type(fields, {"Qwen2VLImageProcessor", "Qwen2_5_VLImageProcessor"});
  SmartResizeProcessorConfig config;
  config.do_resize = fields.boolean("do_resize", config.do_resize);
  config.min_pixels = read_limit(fields, "min_pixels", "shortest_edge", config.min_pixels);
  config.max_pixels = read_limit(fields, "max_pixels", "longest_edge", config.max_pixels);
  config.patch_size = read_positive(fields, "patch_size", config.patch_size);
  config.merge_size = read_positive(fields, "merge_size", config.merge_size);
  config.temporal_patch_size =
      read_positive(fields, "temporal_patch_size", config.temporal_patch_size);
  for (const auto& [key, value] :
       {std::pair{"patch_size", config.patch_size}, std::pair{"merge_size", config.merge_size}}) {
    if (value > kMaxImageSide) {
      fields.fail_key(key, fmt::format("is {}, at most {} is supported", value, kMaxImageSide));
    }
  }
  if (config.factor() > kMaxImageSide) {
    fields.fail_key(
        "merge_size",
        fmt::format("is {}, which with patch_size {} makes {} pixels; at most {} are "
                    "supported",
                    config.merge_size, config.patch_size, config.factor(), kMaxImageSide));
  }
  if (config.min_pixels > kMostMinPixels) {
    fields.fail_key(fields.has("min_pixels") ? "min_pixels" : "size",
                    fmt::format("asks for {} pixels at least; at most {} are made",
                                config.min_pixels, kMaxImagePixels));
  }
  config.resample = read_filter(fields, config.resample);
  config.normalization = NormalizationConfig::from_fields(fields, config.normalization);
  return config;
}

SmartResizeProcessor::SmartResizeProcessor(const SmartResizeProcessorConfig& config)
    : config_(config), normalizer_(config_.normalization) {}

ImageGeometry SmartResizeProcessor::geometry(ImageSize image) const {
  ImageGeometry geometry;
  geometry.image = image;
  geometry.view = image;
  const int64_t factor = config_.factor();
  if (!config_.do_resize) {
    if (image.height % factor != 0 || image.width % factor != 0) {
      fail(
          "an image of {} x {} pixels (width x height) cannot be taken as it is (do_resize is "
          "false): both sides must be multiples of {}",
          image.width, image.height, factor);
    }
    return geometry;
  }
  const auto [shorter, longer] = std::minmax(image.height, image.width);
  if (longer > kMaxAspect * shorter) {
    fail(
        "an image of {} x {} pixels (width x height) is too narrow: one side may be at most {} "
        "times the other",
        image.width, image.height, kMaxAspect);
  }
  // The order of the divisions and products is that of transformers: it decides which way a length
  // near a whole number of factors falls.
  const auto height = static_cast<double>(image.height);
  const auto width = static_cast<double>(image.width);
  const auto unit = static_cast<double>(factor);
  ImageSize& view = geometry.view;
  // A half goes to the even neighbour, as Python's round() does it.
  view = {factors(std::nearbyint(height / unit), factor),
          factors(std::nearbyint(width / unit), factor)};
  if (view.pixels() > config_.max_pixels) {
    const double by = std::sqrt(height * width / static_cast<double>(config_.max_pixels));
    view = {std::max(factor, factors(std::floor(height / by / unit), factor)),
            std::max(factor, factors(std::floor(width / by / unit), factor))};
  } else if (view.pixels() < config_.min_pixels) {
    const double by = std::sqrt(static_cast<double>(config_.min_pixels) / (height * width));
    view = {factors(std::ceil(height * by / unit), factor),
            factors(std::ceil(width * by / unit), factor)};
  }
  require_pixels(view, "resized", image);
  return geometry;
}

Image SmartResizeProcessor::crop(const Image& image) const {
  return resize_as(config_.normalization.backend, image, geometry(image.size).view,
                   config_.resample);
}

ProcessedImage SmartResizeProcessor::process(const Image& image) const {
  const Image resized = crop(image);
  return {normalizer_.pixels({&resized, 1}), geometry(image.size)};
}

std::string SmartResizeProcessor::identity() const {
  std::string text = fmt::format("smart_resize factor={}", config_.factor());
  if (config_.do_resize) {
    text += fmt::format(" min_pixels={} max_pixels={} resample={}", config_.min_pixels,
                        config_.max_pixels, filter_name(config_.resample));
  }
  return text + config_.normalization.identity();
}

}  // namespace elastikv
