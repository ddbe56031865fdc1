#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "image/image.h"

namespace elastikv {

struct Colour {
  uint8_t red = 0;
  uint8_t green = 0;
  uint8_t blue = 0;
};

/// The colour of a value in [0, 1] on the map viridis (van der Walt and Smith): from dark blue to
/// yellow, lightness rising evenly, so that it reads alike in grey and for colour-blind readers.
Colour viridis(double value);

/// Fills a rectangle; what lies outside the image is left out.
void fill(Image& image, int64_t x, int64_t y, int64_t width, int64_t height, Colour colour);
/// Draws the inner edge of a rectangle, `thickness` pixels wide.
void outline(Image& image, int64_t x, int64_t y, int64_t width, int64_t height, int64_t thickness,
             Colour colour);
/// Copies an image into another, its upper left corner at x, y.
void paste(Image& image, int64_t x, int64_t y, const Image& part);

/// Draws one line of ASCII text whose capitals are `height` pixels high, on the base line `y`. Like
/// write_png, Error in a build without OpenCV (ELASTIKV_IMAGES=OFF).
void draw_text(Image& image, int64_t x, int64_t y, const std::string& text, int64_t height,
               Colour colour);
/// Pixels that such a line takes.
int64_t text_width(const std::string& text, int64_t height);

/// The bytes of a PNG file.
std::string encode_png(const Image& image);
/// Writes a PNG file, all at once or not at all. Error when the file cannot be written.
void write_png(const std::filesystem::path& file, const Image& image);

}  // namespace elastikv
