#include "strategies/budget.h"

#include <limits>

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace elastikv {
namespace {

TEST(Budget, FractionsRoundDownButForgiveTheLastBit) {
  EXPECT_EQ(Budget::fraction(0.7).slots(30, 30), 21);  // 0.7 * 30 is 20.999999999999996
  EXPECT_EQ(Budget::fraction(0.2).slots(84, 80), 16);
  EXPECT_EQ(Budget::fraction(0.2).slots(85, 80), 17);
  EXPECT_EQ(Budget::fraction(0.01).slots(30, 30), 1);
  EXPECT_EQ(Budget::fraction(0.99).slots(1, 1), 1);
}

TEST(Budget, GrowthAtThePromptStaysThere) {
  const Budget budget = Budget::fraction(0.5, Budget::Growth::kPrompt);
  EXPECT_EQ(budget.slots(100, 100), 50);
  EXPECT_EQ(budget.slots(180, 100), 50);
  EXPECT_EQ(Budget::fraction(0.5).slots(180, 100), 90);
}

TEST(Budget, TokensAreAtMostThoseSeen) {
  const Budget budget = Budget::tokens(64);
  EXPECT_EQ(budget.slots(10, 10), 10);
  EXPECT_EQ(budget.slots(100, 10), 64);
  EXPECT_DOUBLE_EQ(budget.keep(128), 0.5);
  EXPECT_FALSE(budget.is_unlimited());
}

TEST(Budget, OneIsUnlimited) {
  EXPECT_TRUE(Budget::fraction(1.0).is_unlimited());
  EXPECT_TRUE(Budget::fraction(1.0, Budget::Growth::kPrompt).is_unlimited());
  EXPECT_TRUE(Budget::unlimited().is_unlimited());
  EXPECT_EQ(Budget::unlimited().slots(17, 10), 17);
}

TEST(Budget, NamesItself) {
  EXPECT_EQ(Budget::unlimited().name(), "full");
  EXPECT_EQ(Budget::fraction(1.0).name(), "full");
  EXPECT_EQ(Budget::fraction(0.2).name(), "keep=0.2");
  EXPECT_EQ(Budget::fraction(0.2, Budget::Growth::kPrompt).name(), "keep=0.2,growth=prompt");
  EXPECT_EQ(Budget::tokens(256).name(), "keep_tokens=256");
}

TEST(Budget, RefusesWhatIsNoFraction) {
  EXPECT_ERROR(Budget::fraction(0.0),
               "budget keep=0 is out of range; a fraction kept above 0 and at most 1 is needed");
  EXPECT_ERROR(Budget::fraction(1.5),
               "budget keep=1.5 is out of range; a fraction kept above 0 and at most 1 is needed");
  EXPECT_ERROR(Budget::fraction(-0.1),
               "budget keep=-0.1 is out of range; a fraction kept above 0 and at most 1 is needed");
  EXPECT_ERROR(Budget::fraction(std::numeric_limits<double>::quiet_NaN()),
               "budget keep=nan is out of range; a fraction kept above 0 and at most 1 is needed");
  EXPECT_ERROR(Budget::tokens(0), "budget keep_tokens=0 is out of range; at least 1 is needed");
}

TEST(CompressAtBudget, WhatComesBesideItIsNotCounted) {
  const Budget budget = Budget::fraction(0.5).beside(6);
  EXPECT_EQ(budget.slots(100, 100), 50);
  EXPECT_EQ(budget.slots(103, 100), 53);  // three of the six
  EXPECT_EQ(budget.slots(106, 100), 56);
  EXPECT_EQ(budget.slots(126, 100), 66);  // and half of twenty more
  EXPECT_EQ(Budget::fraction(0.5, Budget::Growth::kPrompt).beside(6).slots(126, 100), 56);
  EXPECT_EQ(Budget::tokens(40).beside(6).slots(126, 100), 46);
  EXPECT_EQ(Budget::tokens(40).beside(6).slots(100, 100), 40);
  EXPECT_EQ(Budget::unlimited().beside(6).slots(126, 100), 126);
  EXPECT_TRUE(Budget::unlimited().beside(6).is_unlimited());
  EXPECT_EQ(budget.seen_beside(126, 100), 6);
  EXPECT_EQ(budget.seen_beside(99, 100), 0);
}

}  // namespace
}  // namespace elastikv
