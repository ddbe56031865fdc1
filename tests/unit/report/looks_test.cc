#include "report/looks.h"

#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace elastikv {
namespace {

TEST(Looks, NamedStrategiesKeepTheirs) {
  const std::vector<ChartLook> alone = chart_looks({"h2o"});
  const std::vector<ChartLook> among = chart_looks({"mine", "elastic", "elastic-released", "h2o"});
  EXPECT_EQ(alone[0].colour, among[3].colour);
  EXPECT_EQ(among[1].colour, among[2].colour);
  EXPECT_FALSE(among[1].dashed);
  EXPECT_TRUE(among[2].dashed) << "released code";
  EXPECT_NE(among[0].colour, among[1].colour);
}

TEST(Looks, OthersGetWhatIsLeft) {
  std::vector<std::string> labels{"elastic"};
  for (int i = 0; i < 12; ++i) labels.push_back("s" + std::to_string(i));
  const std::vector<ChartLook> looks = chart_looks(labels);
  std::set<size_t> solid;
  for (const ChartLook& look : looks) {
    EXPECT_LT(look.colour, chart_colours().size());
    if (look.dashed) continue;
    EXPECT_TRUE(solid.insert(look.colour).second) << look.colour;
  }
  EXPECT_EQ(solid.size(), chart_colours().size());
}

TEST(Looks, ColoursAreOfTheFile) {
  for (const std::string& colour : chart_colours()) {
    EXPECT_EQ(colour.size(), 7U) << colour;
    EXPECT_EQ(colour.front(), '#') << colour;
  }
}

}  // namespace
}  // namespace elastikv
