#include "kernels/slots.h"

#include <algorithm>

#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>

#include "base/error.h"
#include "kernels/cuda/runtime.h"

namespace elastikv::cuda {
namespace {

/// What the kernels read of each row.
at::Tensor send_rows(const std::vector<KeptCounts>& rows, c10::Device device) {
  std::vector<SlotRowTask> tasks;
  tasks.reserve(rows.size());
  for (const KeptCounts& row : rows) tasks.push_back({row.slots, row.sinks, row.recent});
  Upload upload;
  upload.add(tasks);
  return upload.send(device);
}

}  // namespace

at::Tensor top_slots(const at::Tensor& scores, const std::vector<KeptCounts>& rows) {
  const int64_t most = check_kept_counts(rows, scores.size(0), scores.size(1));
  ELASTIKV_ASSERT(scores.scalar_type() == at::kFloat, "scores of {}",
                  c10::toString(scores.scalar_type()));
  const c10::DeviceGuard guard(scores.device());
  const at::Tensor packed = scores.contiguous();
  at::Tensor kept = at::empty({scores.size(0), most}, scores.options().dtype(at::kLong));
  if (kept.numel() == 0) return kept;
  const at::Tensor sent = send_rows(rows, scores.device());
  TopSlotsTask task;
  task.scores = packed.const_data_ptr<float>();
  task.row_tasks = part_of<SlotRowTask>(sent, /*offset=*/0);
  task.kept = kept.data_ptr<int64_t>();
  task.tokens = scores.size(1);
  task.most = most;
  task.rows = static_cast<int>(scores.size(0));
  launch_top_slots(task, current_stream(scores.device()));
  return kept;
}

NearestAnchors nearest_anchors(const at::Tensor& kept, int64_t tokens,
                               const std::vector<KeptCounts>& rows) {
  const int64_t most = check_kept_counts(rows, kept.size(0), tokens);
  ELASTIKV_ASSERT(kept.scalar_type() == at::kLong && kept.size(1) == most,
                  "kept slots of {} columns, {} of the longest row", kept.size(1), most);
  const c10::DeviceGuard guard(kept.device());
  const at::Tensor packed = kept.contiguous();
  int64_t most_sources = 0;
  for (const KeptCounts& row : rows) most_sources = std::max(most_sources, tokens - row.slots);
  NearestAnchors result;
  result.source = at::empty({kept.size(0), most_sources}, kept.options());
  result.anchor = at::empty({kept.size(0), most_sources}, kept.options());
  if (result.source.numel() == 0) return result;
  const at::Tensor sent = send_rows(rows, kept.device());
  NearestAnchorsTask task;
  task.kept = packed.const_data_ptr<int64_t>();
  task.row_tasks = part_of<SlotRowTask>(sent, /*offset=*/0);
  task.source = result.source.data_ptr<int64_t>();
  task.anchor = result.anchor.data_ptr<int64_t>();
  task.tokens = tokens;
  task.most = most;
  task.most_sources = most_sources;
  task.rows = static_cast<int>(kept.size(0));
  launch_nearest_anchors(task, current_stream(kept.device()));
  return result;
}

}  // namespace elastikv::cuda
