#include "kernels/token_scores.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>

namespace elastikv::reference {

TokenScores score_token(const at::Tensor& logits, int64_t target) {
  const at::Tensor log_p = at::log_softmax(logits.to(at::kDouble), -1);
  const at::Tensor nll = log_p.select(1, target).neg().cpu();
  const at::Tensor kl = (log_p[0].exp() * (log_p[0] - log_p)).sum(-1).cpu();
  TokenScores scores;
  for (int64_t r = 0; r < logits.size(0); ++r) {
    scores.nll.push_back(nll.const_data_ptr<double>()[r]);
    scores.kl.push_back(kl.const_data_ptr<double>()[r]);
  }
  return scores;
}

}  // namespace elastikv::reference
