#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>

#include "image/picture.h"

namespace elastikv {

/// What becomes of the parts of a picture that a square crop would cut off.
enum class ImageAspectRatio {
  kCrop,  ///< cut off, as Hugging Face's processors do
  kPad,   ///< kept: the picture is first padded to a square, as LLaVA's own code does
};

/// "crop" or "pad". Error for anything else.
ImageAspectRatio parse_image_aspect_ratio(std::string_view name);
std::string_view image_aspect_ratio_name(ImageAspectRatio ratio);

/// Turns a decoded picture into what a vision tower takes.
class ImageProcessor {
 public:
  virtual ~ImageProcessor() = default;

  /// The normalized pixels, fp32 on the CPU; their shape is the family's (`[3, height, width]` for
  /// CLIP).
  virtual at::Tensor process(const Picture& picture) const = 0;

  /// The 8-bit picture whose pixels process() normalizes: what the vision tower sees.
  virtual Picture crop(const Picture& picture) const = 0;

  /// The height and width that process() gives for a picture of this size.
  virtual PictureSize output_size(PictureSize picture) const = 0;

  /// Names the processing with every parameter that can change a pixel: part of a record's key.
  virtual std::string identity() const = 0;
};

/// The processor that a checkpoint directory describes: the object 'image_processor' of
/// processor_config.json when it is there, otherwise preprocessor_config.json (transformers 5 looks
/// in this order). `ratio` overrides what the file says. Error when neither file is there, when a
/// value is wrong, or when the family is not supported.
std::unique_ptr<ImageProcessor> read_image_processor(
    const std::filesystem::path& checkpoint, std::optional<ImageAspectRatio> ratio = std::nullopt);

}  // namespace elastikv
