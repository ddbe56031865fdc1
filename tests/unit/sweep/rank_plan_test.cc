#include "sweep/rank_plan.h"

#include <vector>

#include <gtest/gtest.h>

namespace elastikv {
namespace {

std::vector<PlannedUnit> units(size_t model, std::vector<double> seconds) {
  std::vector<PlannedUnit> all;
  for (const double one : seconds) all.push_back({model, one});
  return all;
}

TEST(RankPlan, LongUnitsGoFirst) {
  const auto all = units(0, {1, 1, 1, 1, 4});
  EXPECT_EQ(planned_seconds(all, 1), 8);
  EXPECT_EQ(planned_seconds(all, 2), 4);
  EXPECT_EQ(planned_seconds(all, 64), 4);
  EXPECT_EQ(planned_seconds({}, 4), 0);
}

TEST(RankPlan, RanksHelpWhereMostIsLeft) {
  auto all = units(0, std::vector<double>(30, 1));
  for (const PlannedUnit& unit : units(1, std::vector<double>(10, 1))) all.push_back(unit);
  EXPECT_EQ(planned_seconds(all, 1), 40);
  EXPECT_EQ(planned_seconds(all, 4), 10);
  EXPECT_EQ(planned_seconds(all, 8), 5);
}

}  // namespace
}  // namespace elastikv
