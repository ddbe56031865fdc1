#include "image/image.h"

#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "unit/image/golden.h"

namespace elastikv {
namespace {

/// What a function prints to standard error.
std::string printed_by(const std::function<void()>& function) {
  testing::internal::CaptureStderr();
  function();
  return testing::internal::GetCapturedStderr();
}

std::string bytes_of(const std::string& name) { return read_file(golden_image(name)); }

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
  return bytes;
}

/// Both functions must refuse the bytes with this message, and print nothing.
void expect_refused(const std::string& bytes, const std::string& message) {
  EXPECT_EQ(printed_by([&] { EXPECT_ERROR(check_image_bytes(bytes, "p"), message); }), "");
  EXPECT_EQ(printed_by([&] { EXPECT_ERROR(decode_image(bytes, "p"), message); }), "");
}

/// Only decoding finds this out.
void expect_undecodable(const std::string& bytes, const std::string& message) {
  EXPECT_NO_THROW(check_image_bytes(bytes, "p"));
  EXPECT_EQ(printed_by([&] { EXPECT_ERROR(decode_image(bytes, "p"), message); }), "");
}

TEST(Image, DecodesAsPillowDoes) {
  ASSERT_GE(golden()["decoded"].size(), 30U);
  for (const auto& expected : golden()["decoded"]) {
    const std::string name = expected["file"];
    SCOPED_TRACE(name);
    const ImageSize size{expected["height"], expected["width"]};
    const auto file = golden_image(name);
    EXPECT_EQ(printed_by([&] { EXPECT_EQ(check_image(file), size); }), "");
    Image image;
    EXPECT_EQ(printed_by([&] { image = read_image(file); }), "");
    EXPECT_EQ(image.size, size);
    EXPECT_EQ(crc32(image.pixels.data(), image.pixels.size()), expected["crc"]);
  }
}

TEST(Image, MissingFile) {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "none.png").string();
  const std::string message = file + ": cannot open: No such file or directory";
  EXPECT_EQ(printed_by([&] { EXPECT_ERROR(read_image(file), message); }), "");
  EXPECT_EQ(printed_by([&] { EXPECT_ERROR(check_image(file), message); }), "");
  EXPECT_ERROR(read_image(folder.path()), folder.path().string() + ": not a regular file");
}

TEST(Image, EmptyFile) {
  const TemporaryFolder folder;
  const auto file = folder.write("empty.jpg", "");
  const std::string message = file.string() + ": the image file is empty (0 bytes)";
  EXPECT_ERROR(read_image(file), message);
  EXPECT_ERROR(check_image(file), message);
}

TEST(Image, UnknownFormats) {
  expect_refused("<!DOCTYPE html>",
                 "p: not an image of a known format (PNG, JPEG, WebP and BMP are read)");
  expect_refused("P8 1 1 255 abc",
                 "p: not an image of a known format (PNG, JPEG, WebP and BMP are read)");
  expect_refused("RIFF", "p: not an image of a known format (PNG, JPEG, WebP and BMP are read)");
  expect_refused(
      "GIF89a......",
      "p: by its content this is a GIF image, which is not read; convert it to PNG, JPEG, "
      "WebP or BMP");
}

TEST(Image, EveryTruncationIsFound) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"square_60x60.png", "PNG"},         {"exif_rotated_120x80.jpg", "JPEG"},
      {"progressive_251x333.jpg", "JPEG"}, {"lossy_130x90.webp", "WebP"},
      {"alpha_70x50.webp", "WebP"},        {"rgb_70x50.bmp", "BMP"},
  };
  for (const auto& [name, format] : files) {
    SCOPED_TRACE(name);
    const std::string bytes = bytes_of(name);
    for (size_t size = 12; size < bytes.size(); size += 1 + size / 3) {
      expect_refused(bytes.substr(0, size),
                     fmt::format("p: the {} is cut off after {} bytes; copy or download it again",
                                 format, size));
    }
    const size_t almost = bytes.size() - 1;
    expect_refused(bytes.substr(0, almost),
                   fmt::format("p: the {} is cut off after {} bytes; copy or download it again",
                               format, almost));
  }
}

TEST(Image, BytesAfterTheEndAreIgnored) {
  for (const char* name : {"square_60x60.png", "exif_rotated_120x80.jpg", "lossy_130x90.webp"}) {
    SCOPED_TRACE(name);
    const std::string bytes = bytes_of(name);
    EXPECT_EQ(decode_image(bytes + std::string(100, '\xFF'), "p").pixels,
              decode_image(bytes, "p").pixels);
  }
}

TEST(Image, HugePngIsRefusedFromItsHeader) {
  std::string bytes = bytes_of("one_1x1.png");
  bytes.replace(16, 8, big_endian(100000) + big_endian(3));
  expect_refused(bytes,
                 "p: the PNG is 100000 x 3 pixels (width x height); at most 32768 on a side are "
                 "read");
  bytes.replace(16, 8, big_endian(16000) + big_endian(16000));
  expect_refused(bytes,
                 "p: the PNG is 16000 x 16000 pixels (width x height), 256000000 in all; more than "
                 "178956970 are only read when the environment's ELASTIKV_MAX_IMAGE_PIXELS says "
                 "so");
  bytes.replace(16, 8, big_endian(0xFFFFFFFF) + big_endian(0xFFFFFFFF));
  expect_refused(bytes,
                 "p: the PNG is 4294967295 x 4294967295 pixels (width x height); at most 32768 on "
                 "a side are read");
  bytes.replace(16, 8, big_endian(0) + big_endian(4));
  expect_refused(bytes, "p: the PNG is 0 x 4 pixels (width x height), which is no image");
}

TEST(Image, TheMostPixelsThatAreReadCanBeSet) {
  const std::string bytes = bytes_of("square_60x60.png");
  const auto with_limit = [&](const char* pixels, const std::string& message) {
    setenv("ELASTIKV_MAX_IMAGE_PIXELS", pixels, /*overwrite=*/1);
    if (message.empty()) {
      EXPECT_EQ(decode_image(bytes, "p").size, (ImageSize{60, 60}));
    } else {
      expect_refused(bytes, message);
    }
    unsetenv("ELASTIKV_MAX_IMAGE_PIXELS");
  };
  with_limit("3600", "");
  with_limit("1073741824", "");
  with_limit("3599",
             "p: the PNG is 60 x 60 pixels (width x height), 3600 in all; more than 3599 are only "
             "read when the environment's ELASTIKV_MAX_IMAGE_PIXELS says so");
  for (const std::string wrong : {"0", "1073741825", "many", "-4"}) {
    with_limit(wrong.c_str(), "ELASTIKV_MAX_IMAGE_PIXELS is '" + wrong +
                                  "', needs a number of pixels from 1 to 1073741824");
  }
  // The earlier name says the same, unless the name does.
  setenv("ELASTIKV_MAX_PICTURE_PIXELS", "many", /*overwrite=*/1);
  expect_refused(bytes,
                 "ELASTIKV_MAX_PICTURE_PIXELS is 'many', needs a number of pixels from 1 to "
                 "1073741824");
  with_limit("3600", "");
  unsetenv("ELASTIKV_MAX_PICTURE_PIXELS");
}

TEST(Image, HugeJpegWebpAndBmpAreRefusedFromTheirHeaders) {
  std::string jpeg = bytes_of("exif_rotated_120x80.jpg");
  const size_t frame = jpeg.find(std::string("\xFF\xC0\x00\x11\x08", 5));
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\xFF\xFF\x90\x01");
  expect_refused(jpeg,
                 "p: the JPEG is 36865 x 65535 pixels (width x height); at most 32768 on a side "
                 "are read");

  std::string webp = bytes_of("alpha_70x50.webp");
  ASSERT_EQ(webp.substr(12, 4), "VP8X");
  webp.replace(24, 6, std::string("\xFF\xFF\x00\x01\x00\x00", 6));
  expect_refused(webp,
                 "p: the WebP is 65536 x 2 pixels (width x height); at most 32768 on a side are "
                 "read");

  std::string bmp = bytes_of("rgb_70x50.bmp");
  bmp.replace(18, 8, std::string("\xA0\x86\x01\x00\xFE\xFF\xFF\xFF", 8));
  expect_refused(bmp,
                 "p: the BMP is 100000 x 2 pixels (width x height); at most 32768 on a side are "
                 "read");
}

TEST(Image, UnsupportedKinds) {
  std::string webp = bytes_of("alpha_70x50.webp");
  webp[20] = static_cast<char>(webp[20] | 0x02);
  expect_refused(webp, "p: the WebP is animated; still images are read");

  std::string bmp = bytes_of("rgb_70x50.bmp");
  bmp[28] = 2;
  expect_refused(bmp,
                 "p: the BMP has 2 bits per pixel and compression 0; plain ones of 1, 4, 8, 16, 24 "
                 "or 32 bits, run-length coded ones of 4 or 8 bits and those with channel masks "
                 "(compression 3) of 16, 24 or 32 bits are read");
}

TEST(Image, DamagedPng) {
  std::string bytes = bytes_of("square_60x60.png");
  const size_t data = bytes.find("IDAT");
  std::string flipped = bytes;
  flipped[data + 200] = static_cast<char>(flipped[data + 200] ^ 0x55);
  expect_undecodable(flipped, "p: the PNG is damaged (IDAT: incorrect data check)");

  std::string early_end = bytes.substr(0, data - 4) + bytes.substr(bytes.size() - 12);
  expect_undecodable(early_end, "p: the PNG is damaged (IEND: out of place)");

  std::string no_header = bytes;
  no_header.replace(12, 4, "IHDX");
  expect_refused(no_header, "p: the PNG is damaged (its first chunk is not IHDR)");
}

TEST(Image, DamagedJpeg) {
  const std::string bytes = bytes_of("photo_640x480.jpg");
  // Cut in the middle of the pixels, with an end marker put after the cut.
  expect_undecodable(bytes.substr(0, bytes.size() / 2) + "\xFF\xD9",
                     "p: the JPEG is damaged (Corrupt JPEG data: premature end of data segment)");
  expect_refused("\xFF\xD8\xFF\xD9", "p: the JPEG is damaged (it has no frame header)");
}

TEST(Image, DamagedWebp) {
  std::string bytes = bytes_of("lossless_70x50.webp");
  for (size_t i = 30; i < 120; ++i) bytes[i] = static_cast<char>(bytes[i] ^ 0x5A);
  expect_undecodable(bytes, "p: the WebP is damaged (the decoder gives up)");
}

TEST(Image, HarmlessJpegWarningsAreNoErrors) {
  std::string bytes = bytes_of("photo_640x480.jpg");
  const Image expected = decode_image(bytes, "p");
  bytes.insert(bytes.size() - 2, "\x01\x02\x03");  // libjpeg: "extraneous bytes before marker"
  Image image;
  EXPECT_EQ(printed_by([&] { image = decode_image(bytes, "p"); }), "");
  EXPECT_EQ(image.pixels, expected.pixels);
}

TEST(Image, StandardErrorWorksAfterwards) {
  EXPECT_EQ(printed_by([] {
              EXPECT_THROW(
                  decode_image(bytes_of("photo_640x480.jpg").substr(0, 9000) + "\xFF\xD9", "p"),
                  Error);
              std::fputs("still here\n", stderr);
            }),
            "still here\n");
}

}  // namespace
}  // namespace elastikv
