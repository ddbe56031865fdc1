#pragma once

#include <cstdint>
#include <vector>

#include "image/picture.h"

namespace elastikv {

/// Copies all of `from` into `to`, its first pixel to (top, left). It must fit.
void paste(const Picture& from, Picture& to, int64_t top, int64_t left);

/// The squares of `side` pixels that a picture consists of, row by row. `side` must divide both of
/// its sides.
std::vector<Picture> cut_into_tiles(const Picture& picture, int64_t side);

}  // namespace elastikv
