#include "image/clip_processor.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "image/pixel_backend.h"
#include "image/processor_fields.h"
#include "image/tiling.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

void read_size(const JsonFields& fields, ClipProcessorConfig& config) {
  if (!fields.has("size")) return;
  const Json& value = fields.json()["size"];
  config.shortest_edge.reset();
  config.resize_to = read_both_sides(fields, "size", value);
  if (config.resize_to) return;
  if (value.is_number()) {
    config.shortest_edge = read_side(fields, "size", value);
  } else if (has_exactly(value, {"shortest_edge"})) {
    config.shortest_edge = read_side(fields, "size", value["shortest_edge"]);
  } else {
    fields.fail_key("size",
                    fmt::format("is {}; n, {{\"shortest_edge\": n}} or {{\"height\": h, \"width\": "
                                "w}} is needed",
                                value.dump()));
  }
}

void read_crop_size(const JsonFields& fields, ClipProcessorConfig& config) {
  if (!fields.has("crop_size")) return;
  const Json& value = fields.json()["crop_size"];
  if (const auto both = read_both_sides(fields, "crop_size", value)) {
    config.crop_size = *both;
  } else if (value.is_number()) {
    const int64_t length = read_side(fields, "crop_size", value);
    config.crop_size = {length, length};
  } else {
    fields.fail_key(
        "crop_size",
        fmt::format("is {}; n or {{\"height\": h, \"width\": w}} is needed", value.dump()));
  }
}

/// Rounds towards minus infinity, as Python's // does.
int64_t floor_half(int64_t value) { return value >= 0 ? value / 2 : -((1 - value) / 2); }

}  // namespace

ClipProcessorConfig ClipProcessorConfig::from_fields(const JsonFields& fields,
                                                     std::optional<ImageAspectRatio> ratio) {
  const std::string type =
      require_processor_type(fields, {"CLIPImageProcessor", "LlavaImageProcessor"});
  ClipProcessorConfig config = steps_from_fields(fields, {});
  const bool do_pad = fields.boolean("do_pad", false);
  if (do_pad && type != "LlavaImageProcessor") {
    fields.fail_key("do_pad", fmt::format("is true, which {} does not support", type));
  }
  config.aspect_ratio = ratio.value_or(do_pad ? ImageAspectRatio::kPad : ImageAspectRatio::kCrop);
  return config;
}

ClipProcessorConfig ClipProcessorConfig::steps_from_fields(const JsonFields& fields,
                                                           const ClipProcessorConfig& otherwise) {
  ClipProcessorConfig config = otherwise;
  config.do_resize = fields.boolean("do_resize", config.do_resize);
  read_size(fields, config);
  config.resample = read_filter(fields, config.resample);
  config.do_center_crop = fields.boolean("do_center_crop", config.do_center_crop);
  read_crop_size(fields, config);
  config.normalization = NormalizationConfig::from_fields(fields, config.normalization);
  return config;
}

ClipProcessor::ClipProcessor(const ClipProcessorConfig& config)
    : config_(config), normalizer_(config_.normalization) {
  ELASTIKV_ASSERT(config_.shortest_edge.has_value() != config_.resize_to.has_value(),
                  "exactly one of shortest_edge and resize_to must be set");
}

ImageSize ClipProcessor::padded_size(ImageSize image) const {
  if (config_.aspect_ratio == ImageAspectRatio::kCrop) return image;
  const int64_t length = std::max(image.height, image.width);
  const ImageSize padded{length, length};
  require_pixels(padded, "padded to a square", image);
  return padded;
}

ImageSize ClipProcessor::resized_size(ImageSize image) const {
  if (!config_.do_resize) return image;
  if (config_.resize_to) return *config_.resize_to;
  const int64_t edge = *config_.shortest_edge;
  const auto [shorter, longer] = std::minmax(image.height, image.width);
  const auto long_edge =
      static_cast<int64_t>(static_cast<double>(edge * longer) / static_cast<double>(shorter));
  if (image.width <= image.height) return {long_edge, edge};
  return {edge, long_edge};
}

ImageGeometry ClipProcessor::geometry(ImageSize image) const {
  ImageGeometry geometry;
  geometry.image = image;
  geometry.view = config_.do_center_crop ? config_.crop_size : resized_size(padded_size(image));
  return geometry;
}

Image ClipProcessor::crop(const Image& image) const {
  const ImageSize square = padded_size(image.size);
  Image padded;
  const bool pad = square != image.size;
  if (pad) {
    padded = Image(square);
    std::array<uint8_t, 3> colour{};
    for (size_t channel = 0; channel < colour.size(); ++channel) {
      // Clamped as a double: a mean beyond all integers would be cast to any of them.
      colour[channel] = static_cast<uint8_t>(
          std::clamp(config_.normalization.image_mean[channel] * 255, 0.0, 255.0));
    }
    for (size_t i = 0; i < padded.pixels.size(); ++i) padded.pixels[i] = colour[i % 3];
    const int64_t top = (square.height - image.size.height) / 2;
    const int64_t left = (square.width - image.size.width) / 2;
    paste(image, padded, top, left);
  }
  const Image& source = pad ? padded : image;

  const ImageSize resized = resized_size(source.size);
  const ImageSize out = config_.do_center_crop ? config_.crop_size : resized;
  require_pixels(out, "resized", image.size);
  const bool pil = config_.normalization.backend == PixelBackend::kPil;
  // torchvision makes all of the resized image, whatever is cut off.
  if (!pil) require_pixels(resized, "resized", image.size);
  // Row y of the crop is row y + top of the resized image, where there is one.
  // Where the crop is the larger one, an odd row of black goes above or, with torchvision, below.
  const auto begin = [&](int64_t spare) { return pil ? floor_half(spare) : spare / 2; };
  const int64_t top = begin(resized.height - out.height);
  const int64_t left = begin(resized.width - out.width);
  const Region region{std::max<int64_t>(top, 0),
                      std::max<int64_t>(left, 0),
                      {std::min(out.height, resized.height), std::min(out.width, resized.width)}};
  Image part = resize_as(config_.normalization.backend, source, resized, config_.resample, region);
  if (part.size == out) return part;

  Image result(out);
  paste(part, result, std::max<int64_t>(-top, 0), std::max<int64_t>(-left, 0));
  return result;
}

ProcessedImage ClipProcessor::process(const Image& image) const {
  const Image cropped = crop(image);
  return {normalizer_.pixels({&cropped, 1}), geometry(image.size)};
}

std::string ClipProcessor::identity() const {
  std::string text = fmt::format("clip aspect={}", image_aspect_ratio_name(config_.aspect_ratio));
  if (config_.do_resize) {
    text += config_.shortest_edge
                ? fmt::format(" shortest_edge={}", *config_.shortest_edge)
                : fmt::format(" size={}x{}", config_.resize_to->height, config_.resize_to->width);
    text += fmt::format(" resample={}", filter_name(config_.resample));
  }
  if (config_.do_center_crop) {
    text += fmt::format(" crop={}x{}", config_.crop_size.height, config_.crop_size.width);
  }
  // The padding colour follows from the mean, even where nothing is normalized.
  text += config_.normalization.identity(config_.aspect_ratio == ImageAspectRatio::kPad);
  return text;
}

}  // namespace elastikv
