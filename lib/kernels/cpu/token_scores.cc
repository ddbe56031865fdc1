#include "kernels/token_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>

#include "base/error.h"
#include "kernels/cpu/clones.h"
#include "kernels/cpu/exp.h"

namespace elastikv::cpu {
namespace {

/// Terms summed in fp32 before they go into the double: few enough that their rounding stays below
/// 1e-6 of the sum.
constexpr int64_t kBlock = 256;

/// log of the sum of e^x[j]; not finite where one of them is not a number or infinite. Every row is
/// summed in the same order, however many there are.
ELASTIKV_CPU_CLONES double log_sum_exp(const float* x, int64_t size) {
  float highest = x[0];
  int64_t lost = 0;
  for (int64_t j = 0; j < size; ++j) {
    highest = std::max(highest, x[j]);
    lost += x[j] != x[j] ? 1 : 0;
  }
  if (lost > 0) return std::numeric_limits<double>::quiet_NaN();
  if (!std::isfinite(highest)) return highest;
  double total = 0;
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, size);
    float sum = 0;
    for (int64_t j = begin; j < end; ++j) sum += exp(x[j] - highest);
    total += static_cast<double>(sum);
  }
  return static_cast<double>(highest) + std::log(total);
}

/// Log-probabilities and probabilities of a row.
ELASTIKV_CPU_CLONES void softmax(const float* x, float lse, int64_t size, float* log_p, float* p) {
  for (int64_t j = 0; j < size; ++j) {
    log_p[j] = x[j] - lse;
    p[j] = exp(log_p[j]);
  }
}

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
  const auto* values = logits.const_data_ptr<float>();
  const double first = log_sum_exp(values, vocab);
  std::vector<float> log_p;
  std::vector<float> p;
  if (rows > 1) {
    log_p.resize(static_cast<size_t>(vocab));
    p.resize(static_cast<size_t>(vocab));
    softmax(values, static_cast<float>(first), vocab, log_p.data(), p.data());
  }
  TokenScores scores;
  scores.nll.resize(static_cast<size_t>(rows));
  scores.kl.resize(static_cast<size_t>(rows));
  at::parallel_for(0, rows, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* row = values + r * vocab;
      const double lse = r == 0 ? first : log_sum_exp(row, vocab);
      scores.nll[static_cast<size_t>(r)] = lse - static_cast<double>(row[target]);
      // Row 0 against itself is nothing but rounding, and so is a row that equals it.
      if (r == 0) continue;
      scores.kl[static_cast<size_t>(r)] =
          std::equal(row, row + vocab, values)
              ? 0.0
              : divergence(p.data(), log_p.data(), row, static_cast<float>(lse), vocab);
    }
  });
  return scores;
}

}  // namespace elastikv::cpu
