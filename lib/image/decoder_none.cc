#include "base/error.h"
#include "image/decoder.h"
#include "image/drawing.h"

namespace elastikv {

Image decode_pixels(std::string_view /*bytes*/, std::string_view /*format*/, ImageSize /*size*/,
                    bool /*grey16*/, const std::string& origin) {
  fail("{}: this program was built without image decoding (ELASTIKV_IMAGES=OFF)", origin);
}

void draw_text(Image& /*image*/, int64_t /*x*/, int64_t /*y*/, const std::string& /*text*/,
               int64_t /*height*/, Colour /*colour*/) {
  fail("this program was built without drawing (ELASTIKV_IMAGES=OFF)");
}

int64_t text_width(const std::string& /*text*/, int64_t /*height*/) {
  fail("this program was built without drawing (ELASTIKV_IMAGES=OFF)");
}

std::string encode_png(const Image& /*image*/) {
  fail("this program was built without drawing (ELASTIKV_IMAGES=OFF)");
}

void write_png(const std::filesystem::path& file, const Image& /*image*/) {
  fail("{}: this program was built without drawing (ELASTIKV_IMAGES=OFF)", file.string());
}

}  // namespace elastikv
