#include "image/anyres_processor.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "image/pixel_backend.h"
#include "image/processor_fields.h"
#include "image/tiling.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

/// LLaVA-NeXT's class default; its checkpoints say the same.
const std::vector<ImageSize>& llava_next_pinpoints() {
  static const std::vector<ImageSize> pinpoints{
      {336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
  return pinpoints;
}

/// Every grid of 1 to 6 by 1 to 6 tiles of LLaVA-OneVision's vision tower.
const std::vector<ImageSize>& llava_onevision_pinpoints() {
  static const std::vector<ImageSize> pinpoints = [] {
    constexpr int64_t kTile = 384;
    std::vector<ImageSize> made;
    made.reserve(36);
    for (int64_t rows = 1; rows <= 6; ++rows) {
      for (int64_t columns = 1; columns <= 6; ++columns) {
        made.push_back({rows * kTile, columns * kTile});
      }
    }
    return made;
  }();
  return pinpoints;
}

/// Error for a size that is not made of whole tiles, or too large.
void check_pinpoints(const JsonFields& fields, const AnyresProcessorConfig& config) {
  for (const ImageSize& pinpoint : config.pinpoints) {
    if (pinpoint.height % config.tile != 0 || pinpoint.width % config.tile != 0) {
      fields.fail_key(kPinpointsKey,
                      fmt::format("holds [{}, {}], which is not made of whole tiles of {} "
                                  "pixels (the height of 'crop_size', else of 'size')",
                                  pinpoint.height, pinpoint.width, config.tile));
    }
    if (pinpoint.height / config.tile * (pinpoint.width / config.tile) > kMaxTiles) {
      fields.fail_key(kPinpointsKey,
                      fmt::format("holds [{}, {}], more than {} tiles of {} pixels",
                                  pinpoint.height, pinpoint.width, kMaxTiles, config.tile));
    }
    if (pinpoint.pixels() > kMaxImagePixels) {
      fields.fail_key(kPinpointsKey,
                      fmt::format("holds [{}, {}]; at most {} pixels in all are made",
                                  pinpoint.height, pinpoint.width, kMaxImagePixels));
    }
  }
}

/// The size of an image that fits into `box` with its shape kept.
ImageSize fitted(ImageSize image, ImageSize box) {
  const auto height = static_cast<double>(image.height);
  const auto width = static_cast<double>(image.width);
  const double by_width = static_cast<double>(box.width) / width;
  const double by_height = static_cast<double>(box.height) / height;
  if (by_width < by_height) {
    return {std::min(static_cast<int64_t>(std::ceil(height * by_width)), box.height), box.width};
  }
  return {box.height, std::min(static_cast<int64_t>(std::ceil(width * by_height)), box.width)};
}

}  // namespace

AnyresProcessorConfig AnyresProcessorConfig::from_fields(const JsonFields& fields) {
  const bool next =
      require_processor_type(fields, {"LlavaNextImageProcessor", "LlavaOnevisionImageProcessor"}) ==
      "LlavaNextImageProcessor";
  AnyresProcessorConfig config;
  ClipProcessorConfig defaults;
  bool crop_size_known = fields.has("crop_size");
  if (next) {
    config.pinpoints = llava_next_pinpoints();
    crop_size_known = true;
  } else {
    config.pinpoints = llava_onevision_pinpoints();
    defaults.shortest_edge.reset();
    defaults.resize_to = ImageSize{384, 384};
    defaults.do_center_crop = false;
  }
  config.view = ClipProcessorConfig::steps_from_fields(fields, defaults);
  const ClipProcessorConfig& view = config.view;
  if (view.do_center_crop && !crop_size_known) {
    fields.fail_key("crop_size", "is missing, and do_center_crop is true");
  }
  config.whole =
      view.resize_to ? *view.resize_to : ImageSize{*view.shortest_edge, *view.shortest_edge};
  if (config.whole.pixels() > kMaxImagePixels) {
    fields.fail_key("size", fmt::format("makes an image of {} x {}; at most {} pixels in all are "
                                        "made",
                                        config.whole.width, config.whole.height, kMaxImagePixels));
  }
  config.tile = crop_size_known ? view.crop_size.height : config.whole.height;
  if (fields.has(kPinpointsKey)) config.pinpoints = read_pinpoints(fields);
  check_pinpoints(fields, config);
  const ImageSize tile{config.tile, config.tile};
  if (!view.do_resize && !view.do_center_crop && config.whole != tile) {
    fields.fail_key(
        "size", fmt::format("makes a view of {} x {} pixels (width x height) beside tiles of {} x "
                            "{}, and do_resize and do_center_crop are false",
                            config.whole.width, config.whole.height, tile.width, tile.height));
  }
  return config;
}

AnyresProcessor::AnyresProcessor(AnyresProcessorConfig config)
    : config_(std::move(config)), view_(config_.view), normalizer_(config_.view.normalization) {
  ELASTIKV_ASSERT(!config_.pinpoints.empty() && config_.tile > 0, "no pinpoints or no tile");
}

ImageSize AnyresProcessor::best_resolution(ImageSize image) const {
  const auto height = static_cast<double>(image.height);
  const auto width = static_cast<double>(image.width);
  ImageSize best = config_.pinpoints.front();
  int64_t most_kept = -1;
  int64_t least_left_over = 0;
  for (const ImageSize& pinpoint : config_.pinpoints) {
    const double scale = std::min(static_cast<double>(pinpoint.width) / width,
                                  static_cast<double>(pinpoint.height) / height);
    const ImageSize inside{static_cast<int64_t>(height * scale),
                           static_cast<int64_t>(width * scale)};
    const int64_t kept = std::min(inside.pixels(), image.pixels());
    const int64_t left_over = pinpoint.pixels() - kept;
    if (kept > most_kept || (kept == most_kept && left_over < least_left_over)) {
      most_kept = kept;
      least_left_over = left_over;
      best = pinpoint;
    }
  }
  return best;
}

ImageGeometry AnyresProcessor::geometry(ImageSize image) const {
  const ImageSize best = best_resolution(image);
  ImageGeometry geometry;
  geometry.image = image;
  geometry.view = view_.geometry(config_.whole).view;
  geometry.tile_rows = best.height / config_.tile;
  geometry.tile_columns = best.width / config_.tile;
  return geometry;
}

Image AnyresProcessor::crop(const Image& image) const {
  const ImageSize best = best_resolution(image.size);
  const ImageSize inside = fitted(image.size, best);
  Image resized = resize_as(backend(), image, inside, config_.view.resample);
  if (inside == best) return resized;
  Image padded(best);
  paste(resized, padded, (best.height - inside.height) / 2, (best.width - inside.width) / 2);
  return padded;
}

ProcessedImage AnyresProcessor::process(const Image& image) const {
  const ImageGeometry geometry = this->geometry(image.size);
  std::vector<Image> views;
  views.reserve(static_cast<size_t>(geometry.views()));
  views.push_back(view_.crop(resize_as(backend(), image, config_.whole, config_.view.resample)));
  for (const Image& tile : cut_into_tiles(crop(image), config_.tile)) {
    views.push_back(view_.crop(tile));
  }
  return {normalizer_.pixels(views), geometry};
}

std::string AnyresProcessor::identity() const {
  std::string pinpoints;
  for (const ImageSize& pinpoint : config_.pinpoints) {
    pinpoints +=
        fmt::format("{}{}x{}", pinpoints.empty() ? "" : ",", pinpoint.height, pinpoint.width);
  }
  return fmt::format("anyres tile={} pinpoints={} whole={}x{} resample={}; each view: {}",
                     config_.tile, pinpoints, config_.whole.height, config_.whole.width,
                     filter_name(config_.view.resample), view_.identity());
}

}  // namespace elastikv
