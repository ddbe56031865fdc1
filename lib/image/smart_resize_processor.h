#pragma once

#include <cstdint>
#include <string>

#include "base/json_fields.h"
#include "image/image_processor.h"
#include "image/pixel_normalizer.h"
#include "image/resample.h"

namespace elastikv {

/// The parameters of transformers' Qwen2VLImageProcessor, with that class's defaults.
struct SmartResizeProcessorConfig {
  /// From a preprocessor_config.json whose image_processor_type is Qwen2VLImageProcessor or
  /// Qwen2_5_VLImageProcessor, or the Fast or Pil variant of either. The limits are 'shortest_edge'
  /// and 'longest_edge' of 'size', which count pixels in spite of their names; 'min_pixels' and
  /// 'max_pixels' go before them. A missing or null key means the class default. Error names the
  /// file and key.
  static SmartResizeProcessorConfig from_fields(const JsonFields& fields);

  bool do_resize = true;
  int64_t min_pixels = int64_t{56} * 56;         ///< least height x width of a view
  int64_t max_pixels = int64_t{28} * 28 * 1280;  ///< largest height x width of a view
  /// Side of a patch of the vision tower, in pixels.
  int64_t patch_size = 14;
  /// merge_size x merge_size patches become one token.
  int64_t merge_size = 2;
  /// Frames in a patch; a still image is repeated as often. No pixel depends on it: repeating is
  /// for who cuts the patches.
  int64_t temporal_patch_size = 2;
  ResampleFilter resample = ResampleFilter::kBicubic;
  NormalizationConfig normalization;

  /// The multiple that both sides of a view are of, in pixels.
  int64_t factor() const { return patch_size * merge_size; }
};

/// Resizes to multiples of `factor` pixels close to the image's own size and shape, within limits
/// on the area: the pixels of transformers 5.17's Qwen2VLImageProcessor with its PIL backend, bit
/// for bit, before that cuts them into patches.
class SmartResizeProcessor final : public ImageProcessor {
 public:
  explicit SmartResizeProcessor(const SmartResizeProcessorConfig& config);

  /// One view `[1, 3, height, width]`, not cut into patches. Error when one side is over 200 times
  /// the other (as in transformers), when the view would be over kMaxImagePixels, or, without
  /// resizing, when a side is no multiple of `factor`.
  ProcessedImage process(const Image& image) const override;
  ImageGeometry geometry(ImageSize image) const override;
  Image crop(const Image& image) const override;
  std::string identity() const override;

  const SmartResizeProcessorConfig& config() const { return config_; }

 private:
  SmartResizeProcessorConfig config_;
  PixelNormalizer normalizer_;
};

}  // namespace elastikv
