#include "image/tile_processor.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "image/processor_fields.h"
#include "image/tiling.h"

namespace elastikv {
namespace {

using Json = nlohmann::json;

void read_size(const JsonFields& fields, TileProcessorConfig& config) {
  if (!fields.has("size")) return;
  const Json& value = fields.json()["size"];
  config.longest_edge.reset();
  if (has_exactly(value, {"longest_edge"})) {
    config.longest_edge = read_side(fields, "size", value["longest_edge"]);
  } else if (has_exactly(value, {"height", "width"})) {
    config.resize_to = read_both_sides(fields, "size", value);
  } else {
    fields.fail_key("size",
                    fmt::format("is {}; {{\"longest_edge\": n}} or {{\"height\": h, \"width\": w}} "
                                "is needed",
                                value.dump()));
  }
}

void read_tile(const JsonFields& fields, TileProcessorConfig& config) {
  if (!fields.has("max_image_size")) return;
  const Json& value = fields.json()["max_image_size"];
  if (!has_exactly(value, {"longest_edge"})) {
    fields.fail_key("max_image_size",
                    fmt::format("is {}; {{\"longest_edge\": n}} is needed", value.dump()));
  }
  config.tile = read_side(fields, "max_image_size", value["longest_edge"]);
}

double aspect_of(ImageSize size) {
  return static_cast<double>(size.width) / static_cast<double>(size.height);
}

/// `length` of the longer side; the other follows from the image's shape, rounded down.
ImageSize with_longer_side(ImageSize image, int64_t length) {
  const double aspect = aspect_of(image);
  if (image.width >= image.height) {
    return {static_cast<int64_t>(static_cast<double>(length) / aspect), length};
  }
  return {length, static_cast<int64_t>(static_cast<double>(length) * aspect)};
}

int64_t up_to_multiple(int64_t length, int64_t of) { return (length + of - 1) / of * of; }

}  // namespace

TileProcessorConfig TileProcessorConfig::from_fields(const JsonFields& fields) {
  require_processor_type(fields, {"Idefics3ImageProcessor", "SmolVLMImageProcessor"});
  TileProcessorConfig config;
  config.do_resize = fields.boolean("do_resize", config.do_resize);
  read_size(fields, config);
  config.do_image_splitting = fields.boolean("do_image_splitting", config.do_image_splitting);
  read_tile(fields, config);
  config.resample = read_filter(fields, config.resample);
  config.normalization = NormalizationConfig::from_fields(fields, config.normalization);
  return config;
}

TileProcessor::TileProcessor(const TileProcessorConfig& config)
    : config_(config), normalizer_(config_.normalization) {
  ELASTIKV_ASSERT(config_.longest_edge.has_value() != config_.resize_to.has_value(),
                  "exactly one of longest_edge and resize_to must be set");
}

TileProcessor::Steps TileProcessor::steps(ImageSize image) const {
  Steps steps{image, {config_.tile, config_.tile}};
  if (config_.do_resize && config_.resize_to) {
    steps.resized = *config_.resize_to;
  } else if (config_.do_resize) {
    ImageSize size = with_longer_side(image, *config_.longest_edge);
    int64_t& shorter = image.width >= image.height ? size.height : size.width;
    shorter = std::max<int64_t>(shorter + shorter % 2, 1);
    // Which side is the longer one is asked again: rounding up can have made it the other.
    if (std::max(size.height, size.width) > TileProcessorConfig::kMaxLongestEdge) {
      size = with_longer_side(size, TileProcessorConfig::kMaxLongestEdge);
    }
    steps.resized = {std::max<int64_t>(size.height, 1), std::max<int64_t>(size.width, 1)};
  }
  require_pixels(steps.resized, "resized", image);
  if (config_.do_image_splitting) {
    // The longer side goes up first and the other follows it before it goes up itself.
    const int64_t longer = std::max(steps.resized.height, steps.resized.width);
    const ImageSize size = with_longer_side(steps.resized, up_to_multiple(longer, config_.tile));
    // A side of one pixel can come out as none: 49 * (1.0 / 49) is below 1.
    steps.tiled = {up_to_multiple(std::max<int64_t>(size.height, 1), config_.tile),
                   up_to_multiple(std::max<int64_t>(size.width, 1), config_.tile)};
  }
  require_pixels(steps.tiled, "resized to whole tiles", image);
  if (steps.tiled.pixels() / (config_.tile * config_.tile) > kMaxTiles) {
    fail("an image of {} x {} pixels (width x height) would be cut into more than {} tiles of {}",
         image.width, image.height, kMaxTiles, config_.tile);
  }
  return steps;
}

ImageGeometry TileProcessor::geometry(ImageSize image) const {
  ImageGeometry geometry;
  geometry.image = image;
  geometry.view = {config_.tile, config_.tile};
  const ImageSize tiled = steps(image).tiled;
  if (tiled != geometry.view) {
    geometry.tile_rows = tiled.height / config_.tile;
    geometry.tile_columns = tiled.width / config_.tile;
  }
  return geometry;
}

Image TileProcessor::crop(const Image& image) const {
  const auto [resized, tiled] = steps(image.size);
  if (resized == image.size) return resample(image, tiled, config_.resample);
  return resample(resample(image, resized, config_.resample), tiled, config_.resample);
}

ProcessedImage TileProcessor::process(const Image& image) const {
  const ImageGeometry geometry = this->geometry(image.size);
  const Image whole = crop(image);
  if (geometry.views() == 1) return {normalizer_.pixels({&whole, 1}), geometry};
  std::vector<Image> views = cut_into_tiles(whole, config_.tile);
  // transformers makes it of the image as it is cut, not of the one that was given.
  views.push_back(resample(whole, geometry.view, config_.resample));
  return {normalizer_.pixels(views), geometry};
}

std::string TileProcessor::identity() const {
  std::string text =
      fmt::format("tiles tile={} splitting={}", config_.tile, config_.do_image_splitting);
  if (config_.do_resize) {
    text += config_.longest_edge
                ? fmt::format(" longest_edge={}", *config_.longest_edge)
                : fmt::format(" size={}x{}", config_.resize_to->height, config_.resize_to->width);
  }
  return text + fmt::format(" resample={}", filter_name(config_.resample)) +
         config_.normalization.identity();
}

}  // namespace elastikv
