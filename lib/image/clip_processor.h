#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/json_fields.h"
#include "image/image_processor.h"
#include "image/pixel_normalizer.h"
#include "image/resample.h"

namespace elastikv {

/// The parameters of transformers' CLIPImageProcessor, with that class's defaults.
struct ClipProcessorConfig {
  /// From a preprocessor_config.json whose image_processor_type is CLIPImageProcessor,
  /// LlavaImageProcessor, or the Fast or Pil variant of either (or the older
  /// feature_extractor_type). A missing or null key means the class default. Without `ratio`,
  /// 'do_pad' of a LlavaImageProcessor decides. Error names the file and key.
  static ClipProcessorConfig from_fields(const JsonFields& fields,
                                         std::optional<ImageAspectRatio> ratio = std::nullopt);

  /// The keys of resizing, cropping and normalizing, which other families share; a missing or null
  /// key keeps what `otherwise` says. Neither the type nor 'do_pad' is looked at.
  static ClipProcessorConfig steps_from_fields(const JsonFields& fields,
                                               const ClipProcessorConfig& otherwise);

  bool do_resize = true;
  /// Length of the shorter side after resizing; unset when `resize_to` says both.
  std::optional<int64_t> shortest_edge = 224;
  std::optional<ImageSize> resize_to;
  ResampleFilter resample = ResampleFilter::kBicubic;
  bool do_center_crop = true;
  ImageSize crop_size{224, 224};
  NormalizationConfig normalization;
  ImageAspectRatio aspect_ratio = ImageAspectRatio::kCrop;
};

/// Pad to a square (optional), resize, centre crop, rescale, normalize: the pixels of transformers
/// 5.17's CLIPImageProcessor, bit for bit, by the backend of its normalization.
class ClipProcessor final : public ImageProcessor {
 public:
  explicit ClipProcessor(const ClipProcessorConfig& config);

  /// One view. Error when a step would make an image over kMaxImagePixels.
  ProcessedImage process(const Image& image) const override;
  ImageGeometry geometry(ImageSize image) const override;
  std::string identity() const override;

  /// The 8-bit image after padding, resizing and cropping: what process() normalizes. Where the
  /// crop is larger than the resized image it is black, as in transformers.
  Image crop(const Image& image) const override;

  const ClipProcessorConfig& config() const { return config_; }

 private:
  ImageSize padded_size(ImageSize image) const;
  ImageSize resized_size(ImageSize image) const;

  ClipProcessorConfig config_;
  PixelNormalizer normalizer_;
};

}  // namespace elastikv
