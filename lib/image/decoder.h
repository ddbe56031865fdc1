#pragma once

#include <string>
#include <string_view>

#include "image/image.h"

namespace elastikv {

/// Decodes the pixels of a PNG, JPEG or WebP whose header has been checked: `format` and `size` are
/// what it says, `grey16` that it is a PNG of one 16-bit channel. Error when the data are damaged,
/// and in a build without OpenCV (ELASTIKV_IMAGES=OFF) always.
Image decode_pixels(std::string_view bytes, std::string_view format, ImageSize size, bool grey16,
                    const std::string& origin);

}  // namespace elastikv
