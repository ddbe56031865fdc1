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
  /// pictures. Error names the file and key, also when a pinpoint is not made of whole tiles or
  /// views would differ in size.
  static AnyresProcessorConfig from_fields(const JsonFields& fields);

  /// Resolutions to choose from, each of whole tiles.
  std::vector<PictureSize> pinpoints;
  /// Side of a tile in pixels: the height of 'crop_size', else that of 'size'.
  int64_t tile = 0;
  /// Size of the view of the whole picture before the steps of `view`: 'size'.
  PictureSize whole;
  /// What each view then goes through. Its filter resizes the picture too.
  ClipProcessorConfig view;
};

/// LLaVA's "anyres": chooses the resolution that keeps most of the picture, resizes to fit into it,
/// pads with black around and cuts it into tiles; the whole picture, squeezed into one view, goes
/// first. The pixels of transformers 5.17's LlavaNextImageProcessor and
/// LlavaOnevisionImageProcessor (for a prompt with one picture) bit for bit, by the backend of
/// the view's normalization.
class AnyresProcessor final : public ImageProcessor {
 public:
  explicit AnyresProcessor(AnyresProcessorConfig config);

  /// `[1 + tiles, 3, height, width]`: the whole picture first, then the tiles row by row.
  ProcessedImage process(const Picture& picture) const override;
  ImageGeometry geometry(PictureSize picture) const override;
  /// The padded picture that is cut into tiles.
  Picture crop(const Picture& picture) const override;
  std::string identity() const override;

  /// The pinpoint for a picture: the largest area after fitting the picture into it, counted at
  /// most as the picture's own; among equals the smallest area left over, then the first.
  PictureSize best_resolution(PictureSize picture) const;

  const AnyresProcessorConfig& config() const { return config_; }

 private:
  PixelBackend backend() const { return config_.view.normalization.backend; }

  AnyresProcessorConfig config_;
  ClipProcessor view_;
  PixelNormalizer normalizer_;
};

}  // namespace elastikv
