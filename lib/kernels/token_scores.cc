#include "kernels/token_scores.h"

#include <iterator>

#include <ATen/Parallel.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>

#include "base/error.h"

namespace elastikv {

TokenScores score_token(const at::Tensor& logits, int64_t target) {
  return logits.is_cpu() ? cpu::score_token(logits, target)
                         : reference::score_token(logits, target);
}

std::vector<double> score_tokens(const at::Tensor& logits, const std::vector<int64_t>& targets) {
  const int64_t rows = std::ssize(targets);
  ELASTIKV_ASSERT(logits.size(0) == rows, "{} targets for {} rows", rows, logits.size(0));
  if (!logits.is_cpu()) {
    const at::Tensor log_p = at::log_softmax(logits.to(at::kDouble), -1);
    const at::Tensor places = at::tensor(targets, at::kLong).to(logits.device()).unsqueeze(1);
    const at::Tensor nll = log_p.gather(1, places).neg().cpu();
    return {nll.const_data_ptr<double>(), nll.const_data_ptr<double>() + rows};
  }
  std::vector<double> nll(targets.size());
  at::parallel_for(0, rows, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto row = static_cast<size_t>(r);
      nll[row] = cpu::score_token(logits.narrow(0, r, 1), targets[row]).nll.front();
    }
  });
  return nll;
}

}  // namespace elastikv
