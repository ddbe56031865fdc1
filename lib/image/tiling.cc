#include "image/tiling.h"

#include <algorithm>

#include "base/error.h"

namespace elastikv {

void paste(const Image& from, Image& to, int64_t top, int64_t left) {
  ELASTIKV_ASSERT(top >= 0 && left >= 0 && top + from.size.height <= to.size.height &&
                      left + from.size.width <= to.size.width,
                  "{}x{} at ({}, {}) leaves an image of {}x{}", from.size.height, from.size.width,
                  top, left, to.size.height, to.size.width);
  for (int64_t y = 0; y < from.size.height; ++y) {
    std::copy_n(from.row(y), from.size.width * 3, to.row(top + y) + left * 3);
  }
}

std::vector<Image> cut_into_tiles(const Image& image, int64_t side) {
  ELASTIKV_ASSERT(side > 0 && image.size.height % side == 0 && image.size.width % side == 0,
                  "{}x{} is not cut into squares of {}", image.size.height, image.size.width, side);
  std::vector<Image> tiles;
  tiles.reserve(static_cast<size_t>(image.size.pixels() / (side * side)));
  for (int64_t top = 0; top < image.size.height; top += side) {
    for (int64_t left = 0; left < image.size.width; left += side) {
      Image& tile = tiles.emplace_back(ImageSize{side, side});
      for (int64_t y = 0; y < side; ++y) {
        std::copy_n(image.row(top + y) + left * 3, side * 3, tile.row(y));
      }
    }
  }
  return tiles;
}

}  // namespace elastikv
