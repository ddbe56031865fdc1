#include "image/resample.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "base/error.h"
#include "unit/image/golden.h"

namespace elastikv {
namespace {

ResampleFilter filter_named(const std::string& name) {
  for (int number = 1; number <= 5; ++number) {
    const auto filter = static_cast<ResampleFilter>(number);
    if (filter_name(filter) == name) return filter;
  }
  ADD_FAILURE() << "no filter " << name;
  return ResampleFilter::kBox;
}

TEST(Resample, EqualsPillowBitForBit) {
  ASSERT_EQ(golden()["resampled"].size(), 95U);
  for (const auto& expected : golden()["resampled"]) {
    const ImageSize out{expected["out"][0], expected["out"][1]};
    const Image result = resample(pattern({expected["in"][0], expected["in"][1]}), out,
                                  filter_named(expected["filter"]));
    EXPECT_EQ(result.size, out);
    EXPECT_EQ(crc32(result.pixels.data(), result.pixels.size()), expected["crc"]) << expected;
  }
}

TEST(Resample, RegionIsThatPartOfTheWhole) {
  const Image image = pattern({40, 61});
  for (const ImageSize size : {ImageSize{90, 23}, ImageSize{17, 100}, ImageSize{40, 61}}) {
    for (const ResampleFilter filter : {ResampleFilter::kBicubic, ResampleFilter::kLanczos}) {
      const Image whole = resample(image, size, filter);
      for (const Region region : {Region{0, 0, {1, 1}}, Region{5, 7, {11, 13}},
                                  Region{size.height - 4, size.width - 9, {4, 9}}}) {
        const Image part = resample(image, size, filter, region);
        ASSERT_EQ(part.size, region.size);
        for (int64_t y = 0; y < region.size.height; ++y) {
          const uint8_t* expected = whole.row(region.top + y) + region.left * 3;
          EXPECT_TRUE(std::equal(part.row(y), part.row(y) + region.size.width * 3, expected));
        }
      }
    }
  }
}

TEST(Resample, SameSizeIsACopy) {
  const Image image = pattern({19, 23});
  for (int number = 1; number <= 5; ++number) {
    EXPECT_EQ(resample(image, image.size, static_cast<ResampleFilter>(number)).pixels,
              image.pixels);
  }
}

TEST(Resample, RegionOutsideIsABug) {
  EXPECT_THROW(
      resample(pattern({4, 4}), {8, 8}, ResampleFilter::kBicubic, {/*top=*/0, /*left=*/5, {4, 4}}),
      InternalError);
}

}  // namespace
}  // namespace elastikv
