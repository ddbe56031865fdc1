#include "image/drawing.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace elastikv {
namespace {

double lightness(Colour colour) {
  return 0.2126 * colour.red + 0.7152 * colour.green + 0.0722 * colour.blue;
}

std::vector<int> row(const Image& image, int64_t y) {
  std::vector<int> reds;
  for (int64_t x = 0; x < image.size.width; ++x) reds.push_back(image.row(y)[x * 3]);
  return reds;
}

TEST(Drawing, ViridisGrowsLighterAllTheWay) {
  double before = -1;
  for (int i = 0; i <= 100; ++i) {
    const double now = lightness(viridis(i / 100.0));
    EXPECT_GE(now, before) << i;
    before = now;
  }
  // matplotlib's ends and middle.
  EXPECT_EQ(viridis(0).blue, 84);
  EXPECT_EQ(viridis(-3).blue, 84);
  EXPECT_EQ(viridis(0.5).green, 145);
  EXPECT_EQ(viridis(7).red, 253);
}

TEST(Drawing, RectanglesAreCutAtTheEdges) {
  Image image(ImageSize{3, 4});
  fill(image, 2, -1, 9, 2, {7, 0, 0});
  EXPECT_EQ(row(image, 0), (std::vector<int>{0, 0, 7, 7}));
  EXPECT_EQ(row(image, 1), (std::vector<int>{0, 0, 0, 0}));
  fill(image, 9, 0, 2, 2, {8, 0, 0});
  fill(image, -9, 0, 2, 2, {8, 0, 0});
  EXPECT_EQ(row(image, 0), (std::vector<int>{0, 0, 7, 7}));
  outline(image, 0, 0, 4, 3, 1, {9, 0, 0});
  EXPECT_EQ(row(image, 0), (std::vector<int>{9, 9, 9, 9}));
  EXPECT_EQ(row(image, 1), (std::vector<int>{9, 0, 0, 9}));
  Image part(ImageSize{2, 2});
  fill(part, 0, 0, 2, 2, {5, 0, 0});
  paste(image, 3, 2, part);
  paste(image, -1, -1, part);
  paste(image, 50, 1, part);
  EXPECT_EQ(row(image, 0), (std::vector<int>{5, 9, 9, 9}));
  EXPECT_EQ(row(image, 2), (std::vector<int>{9, 9, 9, 5}));
}

TEST(Drawing, PngReadsBack) {
  const TemporaryFolder folder;
  Image image(ImageSize{20, 60});
  fill(image, 3, 4, 5, 6, {1, 2, 250});
  draw_text(image, 20, 15, "text", /*height=*/9, {200, 100, 50});
  const std::filesystem::path file = folder.path() / "p.png";
  write_png(file, image);
  const Image again = read_image(file);
  EXPECT_EQ(again.size, image.size);
  EXPECT_EQ(again.pixels, image.pixels);
  int64_t first = 60;
  int64_t last = 0;
  for (int64_t y = 0; y < 20; ++y) {
    for (int64_t x = 10; x < 60; ++x) {
      if (image.row(y)[x * 3] == 0) continue;
      first = std::min(first, x);
      last = std::max(last, x);
    }
  }
  EXPECT_GE(first, 19);
  EXPECT_NEAR(static_cast<double>(last - first), static_cast<double>(text_width("text", 9)), 3);
  EXPECT_ERROR_CONTAINS(write_png(folder.path() / "none" / "p.png", image),
                        (folder.path() / "none" / "p.png").string());
}

}  // namespace
}  // namespace elastikv
