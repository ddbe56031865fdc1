#include "image/drawing.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace elastikv {

Colour viridis(double value) {
  // The map at multiples of 1/16; between them it is straight to within two levels.
  static constexpr std::array<Colour, 17> kMap{{{68, 1, 84},
                                                {72, 24, 106},
                                                {71, 45, 123},
                                                {66, 64, 134},
                                                {59, 82, 139},
                                                {51, 99, 141},
                                                {44, 114, 142},
                                                {38, 130, 142},
                                                {33, 145, 140},
                                                {31, 160, 136},
                                                {40, 174, 128},
                                                {63, 188, 115},
                                                {94, 201, 98},
                                                {132, 212, 75},
                                                {173, 220, 48},
                                                {216, 226, 25},
                                                {253, 231, 37}}};
  const double at = std::clamp(value, 0.0, 1.0) * (kMap.size() - 1);
  const auto below = std::min(static_cast<size_t>(at), kMap.size() - 2);
  const double share = at - static_cast<double>(below);
  const auto mix = [&](uint8_t from, uint8_t to) {
    return static_cast<uint8_t>(std::lround(from + share * (to - from)));
  };
  const Colour& a = kMap[below];
  const Colour& b = kMap[below + 1];
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

void fill(Image& image, int64_t x, int64_t y, int64_t width, int64_t height, Colour colour) {
  const int64_t left = std::max<int64_t>(x, 0);
  const int64_t right = std::min(x + width, image.size.width);
  for (int64_t row = std::max<int64_t>(y, 0); row < std::min(y + height, image.size.height);
       ++row) {
    uint8_t* pixel = image.row(row) + left * 3;
    for (int64_t column = left; column < right; ++column) {
      *pixel++ = colour.red;
      *pixel++ = colour.green;
      *pixel++ = colour.blue;
    }
  }
}

void outline(Image& image, int64_t x, int64_t y, int64_t width, int64_t height, int64_t thickness,
             Colour colour) {
  fill(image, x, y, width, thickness, colour);
  fill(image, x, y + height - thickness, width, thickness, colour);
  fill(image, x, y, thickness, height, colour);
  fill(image, x + width - thickness, y, thickness, height, colour);
}

void paste(Image& image, int64_t x, int64_t y, const Image& part) {
  const int64_t left = std::max<int64_t>(-x, 0);
  const int64_t right = std::min(part.size.width, image.size.width - x);
  if (left >= right) return;
  for (int64_t row = std::max<int64_t>(-y, 0);
       row < std::min(part.size.height, image.size.height - y); ++row) {
    std::copy(part.row(row) + left * 3, part.row(row) + right * 3,
              image.row(y + row) + (x + left) * 3);
  }
}

}  // namespace elastikv
