#include "image/cmyk_jpeg.h"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <vector>

// libjpeg's header needs <cstdio>'s FILE and does not include it.
#include <jpeglib.h>
// The codes of its warnings need its header.
#include <jerror.h>

#include "base/error.h"

namespace elastikv {
namespace {

/// libjpeg's error manager and what it said. libjpeg calls back on errors and is left by longjmp,
/// since no exception may pass through it.
struct Decoding {
  jpeg_error_mgr errors{};  // the first member: libjpeg's pointer to it is one to this
  std::jmp_buf on_error{};
  std::array<char, JMSG_LENGTH_MAX> message{};  // of what lost pixels, else empty
};

Decoding& decoding_of(j_common_ptr info) { return *reinterpret_cast<Decoding*>(info->err); }

void keep_message(j_common_ptr info) {
  Decoding& decoding = decoding_of(info);
  if (decoding.message[0] == '\0') info->err->format_message(info, decoding.message.data());
}

[[noreturn]] void end_with_error(j_common_ptr info) {
  keep_message(info);
  std::longjmp(decoding_of(info).on_error, 1);
}

/// Warnings (negative levels) of lost pixels, which libjpeg fills with something; the others are
/// harmless.
void note_warning(j_common_ptr info, int level) {
  constexpr std::array<int, 6> kLost{JWRN_HIT_MARKER, JWRN_HUFF_BAD_CODE, JWRN_ARITH_BAD_CODE,
                                     JWRN_JPEG_EOF,   JWRN_MUST_RESYNC,   JWRN_BOGUS_PROGRESSION};
  if (level < 0 && std::find(kLost.begin(), kLost.end(), info->err->msg_code) != kLost.end())
    keep_message(info);
}

void print_nothing(j_common_ptr /*info*/) {}

/// a x b / 255 of bytes, rounded as Pillow rounds it.
uint32_t byte_product(uint32_t a, uint32_t b) {
  const uint32_t product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/// One row of inverted CMYK as RGB.
void convert_row(const uint8_t* from, int64_t width, uint8_t* to) {
  for (int64_t x = 0; x < width; ++x, from += 4, to += 3) {
    const uint32_t light = from[3];
    for (int channel = 0; channel < 3; ++channel) {
      const uint32_t ink = 255U - from[channel];
      to[channel] = static_cast<uint8_t>(light - byte_product(ink, light));
    }
  }
}

/// Decodes into `image` through `row`, of 4 bytes a pixel, until done or `decoding` has an error.
/// Whatever needs a destructor lives with the caller: longjmp calls none.
void read_rows(jpeg_decompress_struct& info, Decoding& decoding, std::string_view bytes,
               Image& image, uint8_t* row) {
  if (setjmp(decoding.on_error) != 0) return;
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&info, TRUE);
  if (info.image_width != image.size.width || info.image_height != image.size.height ||
      info.num_components != 4) {
    constexpr std::string_view kWhy = "its header and its data disagree about the size";
    std::copy(kWhy.begin(), kWhy.end(), decoding.message.begin());
    return;
  }
  info.out_color_space = JCS_CMYK;
  jpeg_start_decompress(&info);
  while (info.output_scanline < info.output_height) {
    const int64_t y = info.output_scanline;
    if (jpeg_read_scanlines(&info, &row, 1) == 1) convert_row(row, image.size.width, image.row(y));
  }
  jpeg_finish_decompress(&info);
}

}  // namespace

Image decode_cmyk_jpeg(std::string_view bytes, ImageSize size, const std::string& origin) {
  Image image(size);
  std::vector<uint8_t> row(static_cast<size_t>(size.width) * 4);
  Decoding decoding;
  jpeg_decompress_struct info{};
  info.err = jpeg_std_error(&decoding.errors);
  decoding.errors.error_exit = end_with_error;
  decoding.errors.emit_message = note_warning;
  decoding.errors.output_message = print_nothing;
  jpeg_create_decompress(&info);
  read_rows(info, decoding, bytes, image, row.data());
  jpeg_destroy_decompress(&info);
  if (decoding.message[0] != '\0')
    fail("{}: the JPEG is damaged ({})", origin, decoding.message.data());
  return image;
}

}  // namespace elastikv
