#include "image/tiling.h"

#include <algorithm>

#include "base/error.h"

namespace elastikv {

void paste(const Picture& from, Picture& to, int64_t top, int64_t left) {
  ELASTIKV_ASSERT(top >= 0 && left >= 0 && top + from.size.height <= to.size.height &&
                      left + from.size.width <= to.size.width,
                  "{}x{} at ({}, {}) leaves a picture of {}x{}", from.size.height, from.size.width,
                  top, left, to.size.height, to.size.width);
  for (int64_t y = 0; y < from.size.height; ++y) {
    std::copy_n(from.row(y), from.size.width * 3, to.row(top + y) + left * 3);
  }
}

std::vector<Picture> cut_into_tiles(const Picture& picture, int64_t side) {
  ELASTIKV_ASSERT(side > 0 && picture.size.height % side == 0 && picture.size.width % side == 0,
                  "{}x{} is not cut into squares of {}", picture.size.height, picture.size.width,
                  side);
  std::vector<Picture> tiles;
  tiles.reserve(static_cast<size_t>(picture.size.pixels() / (side * side)));
  for (int64_t top = 0; top < picture.size.height; top += side) {
    for (int64_t left = 0; left < picture.size.width; left += side) {
      Picture& tile = tiles.emplace_back(PictureSize{side, side});
      for (int64_t y = 0; y < side; ++y) {
        std::copy_n(picture.row(top + y) + left * 3, side * 3, tile.row(y));
      }
    }
  }
  return tiles;
}

}  // namespace elastikv
