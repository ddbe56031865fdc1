#include "strategies/compaction.h"

#include <algorithm>

#include <ATen/ops/full.h>

namespace elastikv {

at::Tensor padded_rows(const std::vector<std::vector<int64_t>>& rows) {
  size_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, row.size());
  const auto groups = static_cast<int64_t>(rows.size());
  at::Tensor padded = at::full({groups, static_cast<int64_t>(longest)}, -1, at::kLong);
  int64_t* out = padded.data_ptr<int64_t>();
  for (const auto& row : rows) {
    std::copy(row.begin(), row.end(), out);
    out += longest;
  }
  return padded;
}

std::vector<int64_t> dropped_slots(const std::vector<int64_t>& kept, int64_t tokens) {
  std::vector<int64_t> dropped;
  dropped.reserve(static_cast<size_t>(tokens) - kept.size());
  auto next = kept.begin();
  for (int64_t slot = 0; slot < tokens; ++slot) {
    if (next != kept.end() && *next == slot) {
      ++next;
    } else {
      dropped.push_back(slot);
    }
  }
  return dropped;
}

}  // namespace elastikv
