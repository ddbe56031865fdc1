#include <algorithm>
#include <filesystem>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "image/image.h"
#include "support/paths.h"

namespace elastikv {
namespace {

/// Changes, removes, repeats or inserts bytes at a few places. Only the raw engine is used, whose
/// sequence the C++ standard fixes, so every run sees the same bytes.
std::string mutated(std::string bytes, std::mt19937& random) {
  const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
  const size_t changes = 1 + below(4);
  for (size_t change = 0; change < changes && !bytes.empty(); ++change) {
    // Half of the changes fall on the first bytes, where the headers are.
    const size_t reach = below(2) == 0 ? std::min<size_t>(bytes.size(), 64) : bytes.size();
    const size_t at = below(reach);
    switch (below(6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ 1 << below(8));
        break;
      case 1:
        bytes[at] = static_cast<char>(below(256));
        break;
      case 2:
        bytes[at] = below(2) == 0 ? '\xFF' : '\0';
        break;
      case 3:
        bytes.erase(at, 1 + below(16));
        break;
      case 4:
        bytes.insert(at, bytes.substr(at, 1 + below(16)));
        break;
      default:
        bytes.resize(at);
    }
  }
  return bytes;
}

class ImageFuzz : public testing::TestWithParam<const char*> {};

TEST_P(ImageFuzz, DamagedBytesGiveAnImageOrAnError) {
  const std::string original =
      read_file(std::filesystem::path(source_path("tests/golden")) / GetParam());
  constexpr int kRounds = 1500;
  // Larger claims are legal, and only cost time here.
  constexpr int64_t kMaxPixels = 1 << 18;
  std::mt19937 random(20240229);
  int images = 0;
  int errors = 0;
  testing::internal::CaptureStderr();
  for (int round = 0; round < kRounds; ++round) {
    const std::string bytes = mutated(original, random);
    try {
      const ImageSize size = check_image_bytes(bytes, "p");
      if (size.pixels() > kMaxPixels) continue;
      const Image image = decode_image(bytes, "p");
      EXPECT_EQ(image.size, size);
      EXPECT_EQ(image.pixels.size(), static_cast<size_t>(size.pixels() * 3));
      ++images;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).substr(0, 3), "p: ");
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      ++errors;
    }
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  // Mutations must neither all be harmless nor all be caught at the first byte.
  EXPECT_GT(images, 0);
  EXPECT_GT(errors, kRounds / 4);
}

INSTANTIATE_TEST_SUITE_P(
    Formats, ImageFuzz,
    testing::Values("image/palette_70x50.png", "image/grey16_40x30.png",
                    "image/bad_profile_30x20.png", "image/exif_rotated_120x80.jpg",
                    "image/grey_70x50.jpg", "image/cmyk_70x50.jpg", "image/lossy_130x90.webp",
                    "image/alpha_70x50.webp", "image/palette_70x50.bmp", "pictures/rle8.bmp",
                    "pictures/rle4_skips.bmp", "pictures/masks32_rgba_header124.bmp",
                    "pictures/masks16_565_header40.bmp", "pictures/ycck_progressive.jpg"));

}  // namespace
}  // namespace elastikv
