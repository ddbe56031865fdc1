// Every variant of the image formats, held to Pillow: tests/parity/make_picture_golden.py makes
// the files and says what Pillow makes of them.
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "image/image.h"
#include "support/crc32.h"
#include "support/paths.h"

namespace elastikv {
namespace {

std::string bytes_of(const std::string& name) {
  return read_file(source_path("tests/golden/pictures/" + name));
}

/// What is refused, with the message behind "p: ". All other files have Pillow's pixels.
const std::map<std::string, std::string>& refusals() {
  static const std::vector<std::pair<std::string, std::vector<std::string>>> by_message{
      {"the PNG is of Apple's own kind (CgBI), which only its systems read; convert it",
       {"apple.png"}},
      {"the PNG is cut off after 398 bytes; copy or download it again", {"cut_off.png"}},
      {"the PNG is damaged (Not enough image data)", {"one_row_short.png"}},
      {"the JPEG is damaged (the decoder gives up)", {"baseline_331.jpg"}},
      {"the JPEG is cut off after 480 bytes; copy or download it again", {"cmyk_cut_off.jpg"}},
      {"the JPEG is damaged (Corrupt JPEG data: premature end of data segment)",
       {"cmyk_missing_data.jpg", "missing_data.jpg"}},
      {"the JPEG is cut off after 391 bytes; copy or download it again", {"cut_off.jpg"}},
      {"the JPEG states its height only behind its pixels (DNL), which is not read",
       {"height_later.jpg"}},
      {"the JPEG is hierarchical, which is not read; convert it to PNG", {"hierarchical.jpg"}},
      {"the JPEG is coded without loss (lossless JPEG), which is not read; convert it to PNG",
       {"lossless.jpg"}},
      {"the JPEG is cut off after 539 bytes; copy or download it again", {"no_end.jpg"}},
      {"the JPEG is damaged (it is progressive and lacks scans, so that details would be guessed)",
       {"progressive_1_scans.jpg", "progressive_3_scans.jpg", "progressive_6_scans.jpg"}},
      {"the JPEG has 12 bits per channel; 8 are read", {"twelve_bits.jpg"}},
      {"the JPEG has 2 channels; 1 (grey), 3 and 4 (CMYK) are read", {"two_components.jpg"}},
      {"the WebP is animated; still images are read", {"animated.webp"}},
      {"the WebP is cut off after 652 bytes; copy or download it again", {"cut_off.webp"}},
      {"the BMP has 1 bits per pixel and a palette of 1 greys, which Pillow takes for another "
       "depth; convert it to PNG",
       {"black1_of_1.bmp"}},
      {"the BMP has 8 bits per pixel and a palette of 2 greys, which Pillow takes for another "
       "depth; convert it to PNG",
       {"black_white8_of_2.bmp", "rle8_black_white.bmp"}},
      {"the BMP has 24 bits per pixel and compression 4; plain ones of 1, 4, 8, 16, 24 or 32 bits, "
       "run-length coded ones of 4 or 8 bits and those with channel masks (compression 3) of 16, "
       "24 or 32 bits are read",
       {"compression_jpeg.bmp"}},
      {"the BMP has 24 bits per pixel and compression 5; plain ones of 1, 4, 8, 16, 24 or 32 bits, "
       "run-length coded ones of 4 or 8 bits and those with channel masks (compression 3) of 16, "
       "24 or 32 bits are read",
       {"compression_png.bmp"}},
      {"the BMP has 24 bits per pixel and compression 11; plain ones of 1, 4, 8, 16, 24 or 32 "
       "bits, run-length coded ones of 4 or 8 bits and those with channel masks (compression 3) of "
       "16, 24 or 32 bits are read",
       {"compression_unknown.bmp"}},
      {"the BMP is cut off after 364 bytes; copy or download it again", {"cut_off24.bmp"}},
      {"the BMP is cut off after 520 bytes; copy or download it again", {"cut_off32.bmp"}},
      {"the BMP is cut off after 1202 bytes; copy or download it again", {"cut_off8.bmp"}},
      {"the BMP has 4 bits per pixel and a palette of 16 greys, which Pillow takes for another "
       "depth; convert it to PNG",
       {"dark_grey4.bmp"}},
      {"the BMP has a header of 16 bytes, which is none of the format's", {"header16.bmp"}},
      {"the BMP has 16 bits per pixel and channel masks F00, F0, F and 0 (alpha), which Pillow "
       "does not read either; convert it to PNG",
       {"masks16_444_header124.bmp", "masks16_444_header40.bmp", "masks16_444_header56.bmp"}},
      {"the BMP has 16 bits per pixel and channel masks 1F, 7E0, F800 and 0 (alpha), which Pillow "
       "does not read either; convert it to PNG",
       {"masks16_bgr565_header124.bmp", "masks16_bgr565_header40.bmp",
        "masks16_bgr565_header56.bmp"}},
      {"the BMP has 24 bits per pixel and channel masks FF, FF00, FF0000 and 0 (alpha), which "
       "Pillow does not read either; convert it to PNG",
       {"masks24_rgb_header124.bmp", "masks24_rgb_header40.bmp", "masks24_rgb_header56.bmp"}},
      {"the BMP has 32 bits per pixel and compression 6; plain ones of 1, 4, 8, 16, 24 or 32 bits, "
       "run-length coded ones of 4 or 8 bits and those with channel masks (compression 3) of 16, "
       "24 or 32 bits are read",
       {"masks32_alpha_compression6.bmp"}},
      {"the BMP has 32 bits per pixel and channel masks FF, FF00, FF0000 and 0 (alpha), which "
       "Pillow does not read either; convert it to PNG",
       {"masks32_rgba_header40.bmp", "masks32_rgba_header52.bmp", "masks32_rgbx_header124.bmp",
        "masks32_rgbx_header40.bmp", "masks32_rgbx_header56.bmp"}},
      {"the BMP has 32 bits per pixel and channel masks 3FF00000, FFC00, 3FF and 0 (alpha), which "
       "Pillow does not read either; convert it to PNG",
       {"masks32_ten_bits_header124.bmp", "masks32_ten_bits_header40.bmp",
        "masks32_ten_bits_header56.bmp"}},
      {"the BMP has 8 bits per pixel and compression 3; plain ones of 1, 4, 8, 16, 24 or 32 bits, "
       "run-length coded ones of 4 or 8 bits and those with channel masks (compression 3) of 16, "
       "24 or 32 bits are read",
       {"masks8.bmp"}},
      {"the BMP has a palette of 300 colours; at most 256 are read", {"palette8_of_300.bmp"}},
      {"the BMP has 2 bits per pixel and compression 0; plain ones of 1, 4, 8, 16, 24 or 32 bits, "
       "run-length coded ones of 4 or 8 bits and those with channel masks (compression 3) of 16, "
       "24 or 32 bits are read",
       {"plain2.bmp"}},
      {"the BMP has 64 bits per pixel and compression 0; plain ones of 1, 4, 8, 16, 24 or 32 bits, "
       "run-length coded ones of 4 or 8 bits and those with channel masks (compression 3) of 16, "
       "24 or 32 bits are read",
       {"plain64.bmp"}},
      {"the BMP has 4 bits per pixel and a palette of 2 greys, which Pillow takes for another "
       "depth; convert it to PNG",
       {"rle4_black_white.bmp"}},
      {"the BMP is cut off after 168 bytes; copy or download it again", {"rle4_cut_off.bmp"}},
      {"the BMP is damaged (its run-length code ends before its last row)",
       {"rle4_ends_early.bmp", "rle4_skips_to_end.bmp", "rle8_ends_early.bmp",
        "rle8_skips_to_end.bmp"}},
      {"the BMP is damaged (a literal run of its run-length code is longer than its row)",
       {"rle4_literal_too_long.bmp", "rle4_no_line_ends.bmp", "rle8_literal_too_long.bmp",
        "rle8_no_line_ends.bmp"}},
      {"the BMP has a literal run of an odd number of 4-bit pixels, which Pillow reads wrongly; "
       "convert it to PNG",
       {"rle4_odd_literal.bmp"}},
      {"the BMP is run-length coded from an odd byte on; convert it to PNG",
       {"rle4_odd_offset.bmp", "rle8_odd_offset.bmp"}},
      {"the BMP has 8 bits per pixel and compression 2; plain ones of 1, 4, 8, 16, 24 or 32 bits, "
       "run-length coded ones of 4 or 8 bits and those with channel masks (compression 3) of 16, "
       "24 or 32 bits are read",
       {"rle4_of_8_bits.bmp"}},
      {"the BMP has a run-length code that leaves out a row; convert it to PNG",
       {"rle4_row_left_out.bmp", "rle8_row_left_out.bmp"}},
      {"the BMP is cut off after 1158 bytes; copy or download it again", {"rle8_cut_off.bmp"}},
      {"the BMP has 24 bits per pixel and compression 1; plain ones of 1, 4, 8, 16, 24 or 32 bits, "
       "run-length coded ones of 4 or 8 bits and those with channel masks (compression 3) of 16, "
       "24 or 32 bits are read",
       {"rle8_of_24_bits.bmp"}},
      {"the BMP has 4 bits per pixel and compression 1; plain ones of 1, 4, 8, 16, 24 or 32 bits, "
       "run-length coded ones of 4 or 8 bits and those with channel masks (compression 3) of 16, "
       "24 or 32 bits are read",
       {"rle8_of_4_bits.bmp"}},
      {"by its content this is a Netpbm image (PBM, PGM, PPM or PAM), which is not read; convert "
       "it to PNG, JPEG, WebP or BMP",
       {"any.pam", "bits.pbm", "grey.pgm", "rgb.ppm"}},
      {"by its content this is an AVIF image, which is not read; convert it to PNG, JPEG, WebP "
       "or BMP",
       {"avif_named.jpg", "avif_of_mif1.avif", "picture.avif"}},
      {"by its content this is a TIFF image, which is not read; convert it to PNG, JPEG, WebP or "
       "BMP",
       {"big.tif", "big_endian.tif", "little_endian.tif"}},
      {"by its content this is a JPEG XL image, which is not read; convert it to PNG, JPEG, WebP "
       "or BMP",
       {"box.jxl", "codestream.jxl"}},
      {"by its content this is a JPEG 2000 image, which is not read; convert it to PNG, JPEG, "
       "WebP or BMP",
       {"codestream.j2k", "picture.jp2"}},
      {"by its content this is a cursor (CUR), which is not read; convert it to PNG, JPEG, WebP or "
       "BMP",
       {"cursor.cur"}},
      {"by its content this is a drawing (SVG), which is not read; convert it to PNG, JPEG, WebP "
       "or BMP",
       {"drawing.svg", "drawing_plain.svg"}},
      {"by its content this is a film or another ISO media file, which is not read; convert it to "
       "PNG, JPEG, WebP or BMP",
       {"film.mp4"}},
      {"by its content this is a HEIC image, as telephones write them, which is not read; "
       "convert it to PNG, JPEG, WebP or BMP",
       {"heic_named.jpg", "heic_of_mif1.heic", "picture.heic"}},
      {"by its content this is an icon (ICO), which is not read; convert it to PNG, JPEG, WebP or "
       "BMP",
       {"icon.ico"}},
      {"not an image of a known format (PNG, JPEG, WebP and BMP are read)", {"page.html"}},
      {"by its content this is a PDF file, which is not read; convert it to PNG, JPEG, WebP or BMP",
       {"page.pdf"}},
      {"by its content this is a GIF image, which is not read; convert it to PNG, JPEG, WebP or "
       "BMP",
       {"picture.gif"}},
      {"by its content this is a Photoshop file (PSD), which is not read; convert it to PNG, JPEG, "
       "WebP or BMP",
       {"picture.psd"}},
      {"by its content this is a QOI image, which is not read; convert it to PNG, JPEG, WebP or "
       "BMP",
       {"picture.qoi"}},
  };
  static const std::map<std::string, std::string> by_file = [] {
    std::map<std::string, std::string> all;
    for (const auto& [message, files] : by_message)
      for (const std::string& file : files) all[file] = message;
    return all;
  }();
  return by_file;
}

/// Files that are read though Pillow refuses them, with one of the same pixels.
const std::map<std::string, std::string> kReadHereOnly{
    // The checksum of a text, of which no pixel depends.
    {"rgb8_wrong_checksum_of_text.png", "rgb8_texts.png"}};

/// The image, or the message of the error.
std::pair<std::optional<Image>, std::string> outcome(const std::string& bytes) {
  try {
    return {decode_image(bytes, "p"), ""};
  } catch (const Error& error) {
    return {std::nullopt, error.what()};
  }
}

TEST(ImageVariants, HavePillowsPixelsOrAreRefusedByName) {
  const auto golden = nlohmann::json::parse(bytes_of("golden.json"));
  size_t equal = 0;
  size_t refused = 0;
  testing::internal::CaptureStderr();
  for (const auto& expected : golden["files"]) {
    const std::string name = expected["file"];
    SCOPED_TRACE(name);
    const std::string bytes = bytes_of(name);
    const auto [image, message] = outcome(bytes);
    const auto known = refusals().find(name);
    if (known != refusals().end()) {
      EXPECT_EQ(message, "p: " + known->second);
      ++refused;
      continue;
    }
    if (!image) {
      ADD_FAILURE() << message;
      continue;
    }
    EXPECT_EQ(check_image_bytes(bytes, "p"), image->size);
    if (const auto twin = kReadHereOnly.find(name); twin != kReadHereOnly.end()) {
      EXPECT_TRUE(expected.contains("error"));
      EXPECT_EQ(image->pixels, decode_image(bytes_of(twin->second), "p").pixels);
      continue;
    }
    ASSERT_TRUE(expected.contains("crc")) << "Pillow refuses it";
    EXPECT_EQ(image->size, (ImageSize{expected["height"], expected["width"]}));
    EXPECT_EQ(crc32(image->pixels.data(), image->pixels.size()), expected["crc"]);
    ++equal;
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(refused, refusals().size());
  EXPECT_GE(equal, 290U);
}

}  // namespace
}  // namespace elastikv
