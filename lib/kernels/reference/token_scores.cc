#include "kernels/token_scores.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>

namespace elastikv::reference {

at::Tensor token_scores(const at::Tensor& logits, int64_t target) {
  const at::Tensor log_p = at::log_softmax(logits.to(at::kDouble), -1);
  return at::stack({log_p.select(1, target).neg(), (log_p[0].exp() * (log_p[0] - log_p)).sum(-1)});
}

TokenScores score_token(const at::Tensor& logits, int64_t target) {
  const at::Tensor scores = token_scores(logits, target).cpu();
  const auto* nll = scores.const_data_ptr<double>();
  const auto* kl = nll + logits.size(0);
  return {{nll, kl}, {kl, kl + logits.size(0)}};
}

}  // namespace elastikv::reference
