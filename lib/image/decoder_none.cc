#include "base/error.h"
#include "image/decoder.h"

namespace elastikv {

Picture decode_pixels(std::string_view /*bytes*/, std::string_view /*format*/, PictureSize /*size*/,
                      bool /*grey16*/, const std::string& origin) {
  fail("{}: this program was built without picture decoding (ELASTIKV_IMAGES=OFF)", origin);
}

}  // namespace elastikv
