#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>

#include "base/json_fields.h"
#include "image/image.h"
#include "image/pixel_backend.h"

namespace elastikv {

/// What becomes of the parts of an image that a square crop would cut off.
enum class ImageAspectRatio {
  kCrop,  ///< cut off, as Hugging Face's processors do
  kPad,   ///< kept: the image is first padded to a square, as LLaVA's own code does
};

/// "crop" or "pad". Error for anything else.
ImageAspectRatio parse_image_aspect_ratio(std::string_view name);
std::string_view image_aspect_ratio_name(ImageAspectRatio ratio);

/// What a user decides about image processing.
struct ImageChoice {
  /// Overrides what a ClipProcessor's file says.
  std::optional<ImageAspectRatio> aspect_ratio{};
  PixelBackend pixels = PixelBackend::kPil;
};

/// What becomes of an image of some size, known before its pixels are: what the number of its
/// tokens and their positions follow from.
struct ImageGeometry {
  ImageSize image;  ///< as decoded
  ImageSize view;   ///< of each view that the vision tower takes, in pixels
  /// The grid of tiles that the image is cut into; 0 x 0 where it is not cut. Tiles are views
  /// beside one of the whole image.
  int64_t tile_rows = 0;
  int64_t tile_columns = 0;

  int64_t views() const { return 1 + tile_rows * tile_columns; }
  bool operator==(const ImageGeometry&) const = default;
};

struct ProcessedImage {
  at::Tensor pixels;  ///< f32 [views, 3, height, width] on the CPU, normalized
  ImageGeometry geometry;
};

/// Turns a decoded image into what a vision tower takes.
class ImageProcessor {
 public:
  virtual ~ImageProcessor() = default;

  virtual ProcessedImage process(const Image& image) const = 0;

  /// The geometry that process() gives for an image of this size. Error for a size that it
  /// refuses.
  virtual ImageGeometry geometry(ImageSize image) const = 0;

  /// The 8-bit image that the model sees: what process() normalizes, in one piece where it is cut
  /// into tiles.
  virtual Image crop(const Image& image) const = 0;

  /// Names the processing with every parameter that can change a pixel: part of a record's key.
  virtual std::string identity() const = 0;
};

/// What describes a checkpoint's image processor: the object 'image_processor' of
/// processor_config.json when it is there, otherwise preprocessor_config.json (transformers 5 looks
/// in this order). Error when neither file is there.
JsonFields read_image_processor_fields(const std::filesystem::path& checkpoint);

/// The processor that these fields describe. image_processor_type chooses the class: ClipProcessor,
/// SmartResizeProcessor, TileProcessor or AnyresProcessor. Error for an aspect ratio that is given
/// for another than a ClipProcessor, for torchvision's pixels of a TileProcessor and where
/// require_torchvision_filter() refuses them, when a value is wrong, and when the type is not
/// supported.
std::unique_ptr<ImageProcessor> read_image_processor(const std::filesystem::path& checkpoint,
                                                     const ImageChoice& choice = {});

/// The same of fields that are already read.
std::unique_ptr<ImageProcessor> make_image_processor(const JsonFields& fields,
                                                     const ImageChoice& choice = {});

}  // namespace elastikv
