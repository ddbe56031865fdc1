#include "kernels/token_scores.h"

#include <cmath>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "support/tensors.h"

namespace elastikv {
namespace {

TEST(TokenScores, EqualTheReferenceInDouble) {
  for (const int64_t vocab : {2, 300, 49152}) {
    for (const double spread : {0.1, 3.0, 12.0}) {
      const at::Tensor logits = random_tensor({5, vocab}, static_cast<uint64_t>(vocab)) * spread;
      const TokenScores fast = score_token(logits, vocab / 2);
      const TokenScores exact = reference::score_token(logits, vocab / 2);
      for (size_t r = 0; r < 5; ++r) {
        // fp32 logits of up to 50: a unit in the last place of the log-sum-exp is 4e-6.
        EXPECT_NEAR(fast.nll[r], exact.nll[r], 1e-5) << vocab << " " << spread;
        EXPECT_NEAR(fast.kl[r], exact.kl[r], 1e-5 * (1 + exact.kl[r])) << vocab << " " << spread;
      }
    }
  }
}

TEST(TokenScores, EqualRowsDoNotDiverge) {
  const at::Tensor row = random_tensor({1, 1000}, 1);
  const TokenScores scores = score_token(row.expand({3, 1000}).contiguous(), 7);
  EXPECT_EQ(scores.kl, (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(scores.nll[0], scores.nll[2]);
}

TEST(TokenScores, TwoTokensByHand) {
  const at::Tensor logits = at::empty({2, 2}, at::kFloat);
  auto* values = logits.data_ptr<float>();
  values[0] = std::log(3.0F);  // row 0: 3/4, 1/4
  values[1] = 0;
  values[2] = 0;  // row 1: 1/2, 1/2
  values[3] = 0;
  const TokenScores scores = score_token(logits, 1);
  EXPECT_NEAR(scores.nll[0], std::log(4.0), 1e-6);
  EXPECT_NEAR(scores.nll[1], std::log(2.0), 1e-6);
  EXPECT_NEAR(scores.kl[1], 0.75 * std::log(1.5) + 0.25 * std::log(0.5), 1e-6);
}

TEST(TokenScores, ARowsScoresDoNotDependOnTheOthersOrOnThreads) {
  const at::Tensor logits = random_tensor({20, 49153}, 3) * 3;
  const TokenScores all = score_token(logits, 17);
  const int threads = at::get_num_threads();
  for (const int64_t rows : {1, 2, 7, 19}) {
    at::set_num_threads(rows == 7 ? 3 : threads);
    const TokenScores some = score_token(logits.narrow(0, 0, rows), 17);
    for (size_t r = 0; r < static_cast<size_t>(rows); ++r) {
      EXPECT_EQ(some.nll[r], all.nll[r]) << rows << " rows";
      EXPECT_EQ(some.kl[r], all.kl[r]) << rows << " rows";
    }
  }
  at::set_num_threads(threads);
}

TEST(TokenScores, OfTargetsOfTheirOwnAreThoseOfEachRow) {
  const at::Tensor logits = random_tensor({5, 49152}, 4) * 3;
  const std::vector<int64_t> targets{7, 49151, 0, 7, 300};
  const std::vector<double> all = score_tokens(logits, targets);
  ASSERT_EQ(all.size(), targets.size());
  for (size_t r = 0; r < targets.size(); ++r) {
    const at::Tensor row = logits.narrow(0, static_cast<int64_t>(r), 1);
    EXPECT_EQ(all[r], score_token(row, targets[r]).nll.front());
  }
}

TEST(TokenScores, WhatIsNotFiniteStaysVisible) {
  const at::Tensor logits = random_tensor({2, 8}, 1);
  logits.data_ptr<float>()[8] = std::numeric_limits<float>::quiet_NaN();
  const TokenScores scores = score_token(logits, 3);
  EXPECT_TRUE(std::isfinite(scores.nll[0]));
  EXPECT_FALSE(std::isfinite(scores.nll[1]));
}

}  // namespace
}  // namespace elastikv
