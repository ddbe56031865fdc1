#pragma once

#include <cstdint>
#include <vector>

#include "image/image.h"

namespace elastikv {

/// Copies all of `from` into `to`, its first pixel to (top, left). It must fit.
void paste(const Image& from, Image& to, int64_t top, int64_t left);

/// The squares of `side` pixels that an image consists of, row by row. `side` must divide both of
/// its sides.
std::vector<Image> cut_into_tiles(const Image& image, int64_t side);

}  // namespace elastikv
