#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json_fields.h"
#include "image/clip_processor.h"
#include "image/image_processor.h"
#include "image/pixel_normalizer.h"

namespace elastikv {

/// The parameters of transformers' LlavaNextImageProcessor and LlavaOnevisionImageProcessor.
struct AnyresProcessorConfig {
  /// From a preprocessor_config.json whose image_processor_type is LlavaNextImageProcessor or
  /// LlavaOnevisionImageProcessor, or the Fast or Pil variant of either. A missing or null key
  /// means the default of that class, which for LlavaNextImageProcessor do not go together: its
  /// 'size' and 'crop_size' must be given. 'do_pad' changes nothing, as it is about several
  /// images. Error names the file and key, also when a pinpoint is not made of whole tiles or
  /// views would differ in size.
  static AnyresProcessorConfig from_fields(const JsonFields& fields);

  /// Resolutions to choose from, each of whole tiles.
  std::vector<ImageSize> pinpoints;
  /// Side of a tile in pixels: the height of 'crop_size', else that of 'size'.
  int64_t tile = 0;
  /// Size of the view of the whole image before the steps of `view`: 'size'.
  ImageSize whole;
  /// What each view then goes through. Its filter resizes the image too.
  ClipProcessorConfig view;
};

/// LLaVA's "anyres": chooses the resolution that keeps most of the image, resizes to fit into it,
/// pads with black around and cuts it into tiles; the whole image, squeezed into one view, goes
/// first. The pixels of transformers 5.17's LlavaNextImageProcessor and
/// LlavaOnevisionImageProcessor (for a prompt with one image) bit for bit, by the backend of
/// the view's normalization.
class AnyresProcessor final : public ImageProcessor {
 public:
  explicit AnyresProcessor(AnyresProcessorConfig config);

  /// `[1 + tiles, 3, height, width]`: the whole image first, then the tiles row by row.
  ProcessedImage process(const Image& image) const override;
  ImageGeometry geometry(ImageSize image) const override;
  /// The padded image that is cut into tiles.
  Image crop(const Image& image) const override;
  std::string identity() const override;

  /// The pinpoint for an image: the largest area after fitting the image into it, counted at
  /// most as the image's own; among equals the smallest area left over, then the first.
  ImageSize best_resolution(ImageSize image) const;

  const AnyresProcessorConfig& config() const { return config_; }

 private:
  PixelBackend backend() const { return config_.view.normalization.backend; }

  AnyresProcessorConfig config_;
  ClipProcessor view_;
  PixelNormalizer normalizer_;
};

}  // namespace elastikv
