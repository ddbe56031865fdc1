#include "metrics/agreement.h"

#include <vector>

#include <gtest/gtest.h>

namespace elastikv {
namespace {

using Ids = std::vector<int64_t>;

TEST(Agreement, CountsPositionsOverTheLongerSequence) {
  const Agreement agreement = compare_tokens(Ids{1, 2, 3, 4}, Ids{1, 2, 9, 4, 5});
  EXPECT_EQ(agreement.first_divergence, 2);
  EXPECT_EQ(agreement.matching_tokens, 3);
  EXPECT_DOUBLE_EQ(agreement.match_rate, 3.0 / 5);
  EXPECT_FALSE(agreement.identical);
  EXPECT_EQ(agreement.reference_tokens, 4);
  EXPECT_EQ(agreement.candidate_tokens, 5);
}

TEST(Agreement, APrefixDivergesAtItsEnd) {
  for (const bool swap : {false, true}) {
    const Ids shorter{1, 2};
    const Ids longer{1, 2, 3};
    const Agreement agreement =
        swap ? compare_tokens(longer, shorter) : compare_tokens(shorter, longer);
    EXPECT_EQ(agreement.first_divergence, 2);
    EXPECT_DOUBLE_EQ(agreement.match_rate, 2.0 / 3);
    EXPECT_FALSE(agreement.identical);
  }
}

TEST(Agreement, EqualAndEmptySequences) {
  EXPECT_TRUE(compare_tokens(Ids{5, 6}, Ids{5, 6}).identical);
  EXPECT_EQ(compare_tokens(Ids{5, 6}, Ids{5, 6}).first_divergence, 2);
  EXPECT_EQ(compare_tokens({}, {}).match_rate, 1);
  EXPECT_TRUE(compare_tokens({}, {}).identical);
  EXPECT_EQ(compare_tokens({}, Ids{1}).match_rate, 0);
}

}  // namespace
}  // namespace elastikv
