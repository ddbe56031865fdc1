// Images that their files say are stored turned, against Pillow's ImageOps.exif_transpose.
#include "image/orientation.h"

#include <string>

#include <gtest/gtest.h>

#include "base/files.h"
#include "support/expect_error.h"
#include "unit/image/golden.h"

namespace elastikv {
namespace {

std::string bytes_of(const std::string& name) { return read_file(golden_image(name)); }

TEST(Orientation, TurnsAsPillowDoes) {
  size_t turned = 0;
  for (const auto& expected : golden()["decoded"]) {
    const std::string name = expected["file"];
    if (name == "cmyk_70x50.jpg") continue;  // within one level
    SCOPED_TRACE(name);
    const auto& upright = expected.contains("upright") ? expected["upright"] : expected;
    if (expected.contains("upright")) ++turned;
    const ImageFile file(golden_image(name), ImageOrientation::kExif);
    const ImageSize size{upright["height"], upright["width"]};
    EXPECT_EQ(check_image(file), size);
    const Image image = read_image(file);
    EXPECT_EQ(image.size, size);
    EXPECT_EQ(crc32(image.pixels.data(), image.pixels.size()), upright["crc"]);
    EXPECT_EQ(stored_orientation(golden_image(name)) != 1, expected.contains("upright"));
    // Only when it is asked for.
    EXPECT_EQ(check_image(golden_image(name)), (ImageSize{expected["height"], expected["width"]}));
  }
  EXPECT_EQ(turned, 21U);
}

TEST(Orientation, AllEightAreRead) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    EXPECT_EQ(stored_orientation(golden_image("turned_" + std::to_string(orientation) + ".jpg")),
              orientation);
  }
  EXPECT_EQ(stored_orientation(golden_image("turned_0.jpg")), 1);
  EXPECT_EQ(stored_orientation(golden_image("turned_9.jpg")), 1);
  EXPECT_EQ(stored_orientation(golden_image("no_such_file.jpg")), 1);
}

TEST(Orientation, DamagedFilesAreUprightOrReadAsFarAsTheyGo) {
  for (const char* name : {"turned_6.jpg", "turned_xmp_6.jpg", "turned_behind_6.png",
                           "turned_xmp_5.png", "turned_8.webp", "turned_xmp_7.webp"}) {
    SCOPED_TRACE(name);
    const std::string whole = bytes_of(name);
    const int orientation = stored_orientation(std::string_view(whole));
    ASSERT_NE(orientation, 1);
    for (size_t size = 0; size < whole.size(); ++size) {
      const int found = stored_orientation(std::string_view(whole).substr(0, size));
      EXPECT_TRUE(found == 1 || found == orientation) << size;
    }
    for (size_t at = 0; at < whole.size(); ++at) {
      for (const char value : {'\0', '\x7f', '\xff'}) {
        std::string changed = whole;
        changed[at] = value;
        const int found = stored_orientation(std::string_view(changed));
        EXPECT_TRUE(found >= 1 && found <= 8) << at;
      }
    }
  }
}

TEST(Orientation, HasANameBothWays) {
  for (const ImageOrientation orientation : {ImageOrientation::kStored, ImageOrientation::kExif})
    EXPECT_EQ(parse_image_orientation(image_orientation_name(orientation)), orientation);
  EXPECT_ERROR(parse_image_orientation("up"), "image_orientation is 'up', needs stored or exif");
}

}  // namespace
}  // namespace elastikv
