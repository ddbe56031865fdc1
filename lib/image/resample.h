#pragma once

#include <cstdint>
#include <string_view>

#include "image/image.h"

namespace elastikv {

/// Resampling filters, with the numbers that Pillow and preprocessor_config.json give them.
enum class ResampleFilter : int {
  kLanczos = 1,
  kBilinear = 2,
  kBicubic = 3,
  kBox = 4,
  kHamming = 5,
};

/// "bicubic" and so on.
std::string_view filter_name(ResampleFilter filter);

/// A rectangle of an image, in pixels.
struct Region {
  int64_t top = 0;
  int64_t left = 0;
  ImageSize size;
};

/// Resizes with Pillow's 8-bit resampler, bit for bit (Pillow up to 12.3): separable, the filter
/// widened by the shrinking factor (so there is no aliasing), weights in 22-bit fixed point, each
/// pass rounded and clipped to 8 bits, the horizontal pass first. Image processors of published
/// checkpoints resize with it; OpenCV's and torch's resizing give other pixels.
Image resample(const Image& image, ImageSize size, ResampleFilter filter);

/// Only `region` of the resized image, without computing the rest. The region must lie within
/// `size`.
Image resample(const Image& image, ImageSize size, ResampleFilter filter, const Region& region);

}  // namespace elastikv
