#include "kernels/token_scores.h"

namespace elastikv {

TokenScores score_token(const at::Tensor& logits, int64_t target) {
  return logits.is_cpu() ? cpu::score_token(logits, target)
                         : reference::score_token(logits, target);
}

}  // namespace elastikv
