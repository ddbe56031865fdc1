#include "kernels/token_scores.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>

#include "base/error.h"
#include "kernels/cpu/clones.h"

namespace elastikv::cpu {
namespace {

/// Terms summed in fp32 before they go into the double: few enough that their rounding stays below
/// 1e-6 of the sum.
constexpr int64_t kBlock = 256;

/// sum over j of p[j] * (log_p[j] - (logits[j] - lse)).
ELASTIKV_CPU_CLONES double divergence(const float* p, const float* log_p, const float* logits,
                                      float lse, int64_t size) {
  double total = 0;
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, size);
    float sum = 0;
    for (int64_t j = begin; j < end; ++j) sum += p[j] * (log_p[j] - (logits[j] - lse));
    total += static_cast<double>(sum);
  }
  return total;
}

}  // namespace

TokenScores score_token(const at::Tensor& logits, int64_t target) {
  ELASTIKV_ASSERT(logits.dim() == 2 && logits.scalar_type() == at::kFloat && logits.is_contiguous(),
                  "logits must be contiguous fp32 [rows, vocab]");
  const int64_t rows = logits.size(0);
  const int64_t vocab = logits.size(1);
  const at::Tensor lse = at::logsumexp(logits, {-1});
  const at::Tensor log_p = at::log_softmax(logits[0], -1);
  const at::Tensor p = log_p.exp();
  const auto* values = logits.const_data_ptr<float>();
  const auto* sums = lse.const_data_ptr<float>();
  TokenScores scores;
  scores.nll.resize(static_cast<size_t>(rows));
  scores.kl.resize(static_cast<size_t>(rows));
  at::parallel_for(0, rows, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* row = values + r * vocab;
      scores.nll[static_cast<size_t>(r)] =
          static_cast<double>(sums[r]) - static_cast<double>(row[target]);
      // Row 0 against itself is nothing but rounding, and so is a row that equals it.
      if (r == 0) continue;
      scores.kl[static_cast<size_t>(r)] =
          std::equal(row, row + vocab, values)
              ? 0.0
              : divergence(p.const_data_ptr<float>(), log_p.const_data_ptr<float>(), row, sums[r],
                           vocab);
    }
  });
  return scores;
}

}  // namespace elastikv::cpu
