#include "metrics/lcs.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace elastikv {
namespace {

using Tokens = std::vector<int32_t>;

/// Length of the longest common subsequence by trying every subset of the reference.
size_t exhaustive_length(const Tokens& reference, const Tokens& candidate) {
  size_t best = 0;
  for (uint32_t subset = 0; subset < (1U << reference.size()); ++subset) {
    size_t found = 0;
    size_t at = 0;
    bool is_common = true;
    for (size_t i = 0; i < reference.size() && is_common; ++i) {
      if ((subset >> i & 1U) == 0) continue;
      while (at < candidate.size() && candidate[at] != reference[i]) ++at;
      is_common = at++ < candidate.size();
      ++found;
    }
    if (is_common) best = std::max(best, found);
  }
  return best;
}

TEST(Lcs, LengthIsThatOfAnExhaustiveSearchAndPositionsAreCommon) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    Tokens reference(random() % 9);
    Tokens candidate(random() % 9);
    for (int32_t& token : reference) token = static_cast<int32_t>(random() % 4);
    for (int32_t& token : candidate) token = static_cast<int32_t>(random() % 4);
    const size_t length = exhaustive_length(reference, candidate);
    EXPECT_EQ(lcs_length(reference, candidate), length);
    for (const LcsTie tie : {LcsTie::kDropReference, LcsTie::kDropCandidate}) {
      const std::vector<size_t> positions = lcs_positions(reference, candidate, tie);
      EXPECT_EQ(positions.size(), length);
      EXPECT_TRUE(std::is_sorted(positions.begin(), positions.end()));
      auto at = candidate.begin();
      for (const size_t position : positions) {
        at = std::find(at, candidate.end(), reference[position]);
        ASSERT_NE(at, candidate.end());
        ++at;
      }
    }
  }
}

TEST(Lcs, TieRulesPickDifferentSubsequences) {
  const Tokens reference{1, 2};
  const Tokens candidate{2, 1};
  EXPECT_EQ(lcs_positions(reference, candidate, LcsTie::kDropReference), std::vector<size_t>{0});
  EXPECT_EQ(lcs_positions(reference, candidate, LcsTie::kDropCandidate), std::vector<size_t>{1});
}

TEST(Lcs, EmptySides) {
  EXPECT_EQ(lcs_length({}, Tokens{1}), 0U);
  EXPECT_EQ(lcs_length(Tokens{1}, {}), 0U);
  EXPECT_TRUE(lcs_positions({}, Tokens{1}, LcsTie::kDropReference).empty());
  EXPECT_TRUE(lcs_positions(Tokens{1}, {}, LcsTie::kDropCandidate).empty());
}

}  // namespace
}  // namespace elastikv
