#pragma once

#include <string>
#include <string_view>

#include "image/image.h"
#include "image/resample.h"

namespace elastikv {

/// Which of transformers' two implementations of an image processor pixels are equal to.
enum class PixelBackend {
  kPil,          ///< Pillow and numpy: its processors before version 5, and those named Pil since
  kTorchvision,  ///< torchvision on the CPU: those named Fast, and version 5's default
};

/// "pil" or "torchvision". Error for anything else.
PixelBackend parse_pixel_backend(std::string_view name);
std::string_view pixel_backend_name(PixelBackend backend);

/// A processor's identity as reports show it: always with the backend.
std::string shown_image_processing(const std::string& identity);

/// The backend of a processor by its identity, which leaves it unsaid when it is Pillow's, since
/// keys of records depend on it.
PixelBackend pixel_backend_of(std::string_view identity);

/// Error unless torchvision resizes with this filter in the same way in all of its versions and on
/// all processors: bilinear and bicubic.
void require_torchvision_filter(ResampleFilter filter);

/// Resizes as torchvision does 8-bit images on the CPU with antialiasing: by ATen's kernels,
/// whose weights have fewer bits than Pillow's. An image that has the size already is copied.
/// Error for one that would become 1 x 1 pixel, where ATen's kernel fails, and a filter that
/// require_torchvision_filter() refuses.
Image torchvision_resize(const Image& image, ImageSize size, ResampleFilter filter);

/// By the backend's resampler; of `region` alone, which must lie within `size`.
Image resize_as(PixelBackend backend, const Image& image, ImageSize size, ResampleFilter filter,
                const Region& region);
/// Of all of it.
Image resize_as(PixelBackend backend, const Image& image, ImageSize size, ResampleFilter filter);

}  // namespace elastikv
