#include "kernels/slots.h"

#include <algorithm>

#include "base/error.h"

namespace elastikv {

int64_t check_kept_counts(const std::vector<KeptCounts>& rows, int64_t row_count, int64_t tokens) {
  ELASTIKV_ASSERT(static_cast<int64_t>(rows.size()) == row_count, "{} counts for {} rows",
                  rows.size(), row_count);
  int64_t most = 0;
  for (const KeptCounts& row : rows) {
    ELASTIKV_ASSERT(row.sinks >= 0 && row.recent >= 0 && row.sinks + row.recent <= row.slots &&
                        row.slots <= tokens,
                    "{} + {} protected of {} slots, {} tokens", row.sinks, row.recent, row.slots,
                    tokens);
    most = std::max(most, row.slots);
  }
  return most;
}

at::Tensor top_slots(const at::Tensor& scores, const std::vector<KeptCounts>& rows) {
#ifdef ELASTIKV_WITH_CUDA
  if (scores.is_cuda()) return cuda::top_slots(scores, rows);
#endif
  return reference::top_slots(scores, rows);
}

NearestAnchors nearest_anchors(const at::Tensor& kept, int64_t tokens,
                               const std::vector<KeptCounts>& rows) {
#ifdef ELASTIKV_WITH_CUDA
  if (kept.is_cuda()) return cuda::nearest_anchors(kept, tokens, rows);
#endif
  return reference::nearest_anchors(kept, tokens, rows);
}

}  // namespace elastikv
