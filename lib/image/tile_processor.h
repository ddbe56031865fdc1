#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json_fields.h"
#include "image/image_processor.h"
#include "image/pixel_normalizer.h"
#include "image/resample.h"

namespace elastikv {

/// The parameters of transformers' Idefics3ImageProcessor and SmolVLMImageProcessor, which process
/// an image alike, with those classes' defaults.
struct TileProcessorConfig {
  /// From a preprocessor_config.json whose image_processor_type is Idefics3ImageProcessor or
  /// SmolVLMImageProcessor, or the Fast or Pil variant of either. A missing or null key means the
  /// class default. 'do_pad' changes nothing, as all views of an image are of one size. Error
  /// names the file and key.
  static TileProcessorConfig from_fields(const JsonFields& fields);

  bool do_resize = true;
  /// Length of the longer side after the first resizing, at most kMaxLongestEdge of which is made;
  /// unset when `resize_to` says both sides.
  std::optional<int64_t> longest_edge = 4 * 364;
  std::optional<ImageSize> resize_to;
  /// Whether the image is cut into tiles; otherwise it becomes one view.
  bool do_image_splitting = true;
  /// Side of a view in pixels: 'max_image_size.longest_edge'.
  int64_t tile = 364;
  ResampleFilter resample = ResampleFilter::kLanczos;
  /// Mean and deviation of each channel are 0.5.
  NormalizationConfig normalization{.image_mean = {0.5, 0.5, 0.5}, .image_std = {0.5, 0.5, 0.5}};

  static constexpr int64_t kMaxLongestEdge = 4096;
};

/// Resizes to a given longer side, then each side up to a multiple of the tile, and gives the tiles
/// row by row, then the whole image squeezed into one tile. An image that fits into one tile is
/// one view; so is every image without splitting, squeezed into the square. The pixels of
/// transformers 5.17's Idefics3ImageProcessor and SmolVLMImageProcessor with their PIL backend, bit
/// for bit.
class TileProcessor final : public ImageProcessor {
 public:
  explicit TileProcessor(const TileProcessorConfig& config);

  /// `[tiles + 1, 3, tile, tile]`: the tiles row by row, the whole image last. Error when a step
  /// would make an image over kMaxImagePixels.
  ProcessedImage process(const Image& image) const override;
  ImageGeometry geometry(ImageSize image) const override;
  /// The image that is cut into tiles, or the one view.
  Image crop(const Image& image) const override;
  std::string identity() const override;

  const TileProcessorConfig& config() const { return config_; }

 private:
  /// The sizes after the two resizings.
  struct Steps {
    ImageSize resized;
    ImageSize tiled;
  };
  Steps steps(ImageSize image) const;

  TileProcessorConfig config_;
  PixelNormalizer normalizer_;
};

}  // namespace elastikv
