#pragma once

#include <string>
#include <string_view>

#include "image/image.h"

namespace elastikv {

/// The pixels of a JPEG of four channels, CMYK or YCCK, whose header has been checked and says
/// `size`, as Pillow gives them: libjpeg's CMYK, taken for inverted as Adobe writes it, made RGB by
/// (1 - C) (1 - K). Error when the data are damaged.
Image decode_cmyk_jpeg(std::string_view bytes, ImageSize size, const std::string& origin);

}  // namespace elastikv
