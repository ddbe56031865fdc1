#include "kernels/slots.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include <ATen/ops/full.h>

#include "base/error.h"

namespace elastikv::reference {

at::Tensor top_slots(const at::Tensor& scores, const std::vector<KeptCounts>& rows) {
  const int64_t tokens = scores.size(1);
  const int64_t most = check_kept_counts(rows, scores.size(0), tokens);
  const at::Tensor here = scores.cpu().contiguous();
  at::Tensor kept = at::full({scores.size(0), most}, -1, at::kLong);
  for (size_t r = 0; r < rows.size(); ++r) {
    const KeptCounts& row = rows[r];
    const float* score = here.const_data_ptr<float>() + static_cast<int64_t>(r) * tokens;
    // Slots by score, the protected before all others; a stable sort leaves equals in order.
    std::vector<int64_t> slots(static_cast<size_t>(tokens));
    std::iota(slots.begin(), slots.end(), 0);
    const auto is_protected = [&](int64_t slot) {
      return slot < row.sinks || slot >= tokens - row.recent;
    };
    std::stable_sort(slots.begin(), slots.end(), [&](int64_t a, int64_t b) {
      if (is_protected(a) != is_protected(b)) return is_protected(a);
      return !is_protected(a) && score[a] > score[b];
    });
    slots.resize(static_cast<size_t>(row.slots));
    std::sort(slots.begin(), slots.end());
    std::copy(slots.begin(), slots.end(),
              kept.data_ptr<int64_t>() + static_cast<int64_t>(r) * most);
  }
  return kept.to(scores.device());
}

NearestAnchors nearest_anchors(const at::Tensor& kept, int64_t tokens,
                               const std::vector<KeptCounts>& rows) {
  const int64_t most = check_kept_counts(rows, kept.size(0), tokens);
  ELASTIKV_ASSERT(kept.size(1) == most, "kept slots of {} columns, {} of the longest row",
                  kept.size(1), most);
  int64_t most_sources = 0;
  for (const KeptCounts& row : rows) most_sources = std::max(most_sources, tokens - row.slots);
  const at::Tensor here = kept.cpu().contiguous();
  NearestAnchors result;
  result.source = at::full({kept.size(0), most_sources}, -1, at::kLong);
  result.anchor = at::full({kept.size(0), most_sources}, -1, at::kLong);
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto offset = static_cast<int64_t>(r);
    const int64_t* slots = here.const_data_ptr<int64_t>() + offset * most;
    int64_t* source = result.source.data_ptr<int64_t>() + offset * most_sources;
    int64_t* anchor = result.anchor.data_ptr<int64_t>() + offset * most_sources;
    for (int64_t slot = 0; slot < tokens; ++slot) {
      int64_t nearest = -1;
      bool stays = false;
      for (int64_t i = 0; i < rows[r].slots; ++i) {
        stays = stays || slots[i] == slot;
        if (slots[i] < rows[r].sinks || slots[i] >= tokens - rows[r].recent) continue;
        // Only a smaller distance replaces: of equally near anchors the earlier stays.
        if (nearest < 0 || std::abs(slots[i] - slot) < std::abs(slots[nearest] - slot)) nearest = i;
      }
      if (stays || nearest < 0) continue;
      *source++ = slot;
      *anchor++ = nearest;
    }
  }
  result.source = result.source.to(kept.device());
  result.anchor = result.anchor.to(kept.device());
  return result;
}

}  // namespace elastikv::reference
