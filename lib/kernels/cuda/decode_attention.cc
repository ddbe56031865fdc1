#include "kernels/cuda/decode_attention.h"

#include <algorithm>
#include <cstdint>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>

#include "base/error.h"
#include "kernels/cuda/runtime.h"

namespace elastikv::cuda {
namespace {

constexpr int64_t kLargestHead = 256;

}  // namespace

bool has_decode_attention(const at::Tensor& queries, const std::vector<DecodeRow>& rows) {
  const c10::ScalarType dtype = queries.scalar_type();
  if (!has_kernels(dtype)) return false;
  const int64_t piece = kPiece / static_cast<int64_t>(queries.element_size());
  const int64_t head_dim = queries.size(2);
  if (head_dim % piece != 0 || head_dim > kLargestHead) return false;
  return std::all_of(rows.begin(), rows.end(), [&](const DecodeRow& row) {
    return is_readable(row, dtype) && (row.distances.empty() || head_dim % (2 * piece) == 0);
  });
}

DecodeAttention decode_attention(const at::Tensor& queries, const std::vector<DecodeRow>& rows,
                                 double scale) {
  ELASTIKV_ASSERT(has_decode_attention(queries, rows), "no kernel for {} queries of head_dim {}",
                  c10::toString(queries.scalar_type()), queries.size(2));
  ELASTIKV_ASSERT(queries.size(0) == static_cast<int64_t>(rows.size()),
                  "{} query rows for {} cache rows", queries.size(0), rows.size());
  DecodeAttention result;
  result.output = at::empty_like(queries, at::MemoryFormat::Contiguous);
  result.weights.resize(rows.size());
  if (rows.empty()) return result;
  const c10::DeviceGuard guard(queries.device());
  const at::Tensor q = queries.contiguous();
  const auto options = queries.options().dtype(at::kFloat);
  const int64_t query_heads = queries.size(1);
  const auto kv_heads = static_cast<int64_t>(rows[0].lengths->size());

  Upload upload;
  std::vector<DecodeRowTask> row_tasks(rows.size());
  std::vector<DecodeHeadTask> head_tasks(rows.size() * static_cast<size_t>(kv_heads));
  // The kernel's distances are narrower than the cache's; kept here until they are sent.
  std::vector<std::vector<int32_t>> distances;
  distances.reserve(head_tasks.size());
  int64_t longest = 0;
  int64_t weight_count = 0;
  for (size_t r = 0; r < rows.size(); ++r) {
    const DecodeRow& row = rows[r];
    const std::vector<int64_t>& lengths = *row.lengths;
    ELASTIKV_ASSERT(
        static_cast<int64_t>(lengths.size()) == kv_heads && row.starts->size() == lengths.size(),
        "row {}: {} KV heads", r, lengths.size());
    ELASTIKV_ASSERT(*std::min_element(lengths.begin(), lengths.end()) > 0,
                    "row {} has an empty head", r);
    ELASTIKV_ASSERT(row.distances.empty() || row.rotary != nullptr,
                    "row {}: un-rotated keys without a rotary table", r);
    DecodeRowTask& row_task = row_tasks[r];
    static_cast<EntryPointers&>(row_task) = pointers_of(row);
    row_task.longest = *std::max_element(lengths.begin(), lengths.end());
    longest = std::max(longest, row_task.longest);
    if (row.weights) weight_count += query_heads * row_task.longest;
    if (!row.distances.empty()) {
      row_task.cos = row.rotary->cos().const_data_ptr<float>();
      row_task.sin = row.rotary->sin().const_data_ptr<float>();
    }
    int64_t places = -1;
    int64_t bias = -1;
    int64_t distance = -1;
    for (size_t h = 0; h < lengths.size(); ++h) {
      DecodeHeadTask& head_task = head_tasks[r * lengths.size() + h];
      head_task.start = (*row.starts)[h];
      head_task.length = lengths[h];
      const auto head = static_cast<int64_t>(h);
      // What all heads share is sent once.
      if (row.places != nullptr) {
        head_task.prompt_start = (*row.prompt_starts)[h];
        if (h == 0 || row.places->size() > 1) places = upload.add(of_head(*row.places, head));
      }
      if (row.logit_bias != nullptr && (h == 0 || row.logit_bias->size() > 1))
        bias = upload.add(of_head(*row.logit_bias, head));
      if (!row.distances.empty() && (h == 0 || row.distances.size() > 1)) {
        const std::vector<int64_t>& wide = of_head(row.distances, head);
        distances.emplace_back(wide.begin(), wide.end());
        distance = upload.add(distances.back());
      }
      head_task.places = places;
      head_task.bias = bias;
      head_task.distances = distance;
    }
  }
  at::Tensor weights;
  if (weight_count > 0) {
    weights = at::empty({weight_count}, options);
    int64_t offset = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
      if (!rows[r].weights) continue;
      const int64_t count = query_heads * row_tasks[r].longest;
      result.weights[r] =
          weights.narrow(0, offset, count).view({query_heads, row_tasks[r].longest});
      row_tasks[r].weights = result.weights[r].data_ptr<float>();
      offset += count;
    }
  }
  const int64_t splits = (longest + kDecodeSplit - 1) / kDecodeSplit;
  const at::Tensor partial_output =
      at::empty({queries.size(0), query_heads, splits, queries.size(2)}, options);
  const at::Tensor partial_max = at::empty({queries.size(0), query_heads, splits}, options);
  const at::Tensor partial_total = at::empty({queries.size(0), query_heads, splits}, options);
  const int64_t row_offset = upload.add(row_tasks);
  const int64_t head_offset = upload.add(head_tasks);
  const at::Tensor sent = upload.send(queries.device());

  DecodeTask task;
  task.queries = q.const_data_ptr();
  task.output = result.output.data_ptr();
  task.partial_output = partial_output.data_ptr<float>();
  task.partial_max = partial_max.data_ptr<float>();
  task.partial_total = partial_total.data_ptr<float>();
  task.upload = sent.const_data_ptr<uint8_t>();
  task.row_tasks = part_of<DecodeRowTask>(sent, row_offset);
  task.head_tasks = part_of<DecodeHeadTask>(sent, head_offset);
  task.rows = static_cast<int>(rows.size());
  task.kv_heads = static_cast<int>(kv_heads);
  task.group = static_cast<int>(query_heads / kv_heads);
  task.head_dim = static_cast<int>(queries.size(2));
  task.splits = static_cast<int>(splits);
  task.scale = static_cast<float>(scale);
  task.element = element_of(queries.scalar_type());
  launch_decode_attention(task, current_stream(queries.device()));
  return result;
}

}  // namespace elastikv::cuda
