#include "kernels/cuda/slot_attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>

#include "base/error.h"
#include "kernels/cuda/runtime.h"
#include "kernels/transfer.h"

namespace elastikv::cuda {
namespace {

constexpr int64_t kLargestHead = 256;

/// Whether heads [rows, heads, head_dim] lie one after another in each row.
bool has_dense_heads(const at::Tensor& x) { return x.stride(2) == 1 && x.stride(1) == x.size(2); }

}  // namespace

bool has_slot_attention(c10::ScalarType dtype, int64_t head_dim, bool turned) {
  if (!has_kernels(dtype)) return false;
  const int64_t piece = kPiece / static_cast<int64_t>(c10::elementSize(dtype));
  return head_dim % piece == 0 && head_dim <= kLargestHead &&
         (!turned || head_dim % (2 * piece) == 0);
}

at::Tensor attend_slots(const at::Tensor& queries, const SlotLayer& layer, double scale) {
  const c10::DeviceGuard guard(queries.device());
  const at::Tensor q = has_dense_heads(queries) ? queries : queries.contiguous();
  at::Tensor output = at::empty_like(q, at::MemoryFormat::Contiguous);
  const auto options = q.options().dtype(at::kFloat);
  const int64_t splits = (layer.longest + kDecodeSplit - 1) / kDecodeSplit;
  const at::Tensor partial_output = at::empty({q.size(0), q.size(1), splits, q.size(2)}, options);
  const at::Tensor partial_max = at::empty({q.size(0), q.size(1), splits}, options);
  const at::Tensor partial_total = at::empty({q.size(0), q.size(1), splits}, options);
  DecodeTask task;
  task.queries = q.const_data_ptr();
  task.output = output.data_ptr();
  task.partial_output = partial_output.data_ptr<float>();
  task.partial_max = partial_max.data_ptr<float>();
  task.partial_total = partial_total.data_ptr<float>();
  task.rows = layer.rows;
  task.weights = layer.weights;
  task.query_stride = q.stride(0);
  task.first_head = layer.first_head;
  task.row_count = static_cast<int>(q.size(0));
  task.kv_heads = static_cast<int>(layer.kv_heads);
  task.group = static_cast<int>(q.size(1) / layer.kv_heads);
  task.head_dim = static_cast<int>(q.size(2));
  task.splits = static_cast<int>(splits);
  task.scale = static_cast<float>(scale);
  task.element = element_of(q.scalar_type());
  launch_decode_attention(task, current_stream(q.device()));
  return output;
}

void rotate_and_append(const NewTokens& tokens, const RotaryTable::Angles& angles,
                       const SlotLayer& layer) {
  const at::Tensor& queries = tokens.queries;
  ELASTIKV_ASSERT(
      has_dense_heads(queries) && has_dense_heads(tokens.keys) && has_dense_heads(tokens.values),
      "heads of new tokens lie apart");
  ELASTIKV_ASSERT(angles.cos.is_contiguous() && angles.sin.is_contiguous() &&
                      angles.cos.scalar_type() == queries.scalar_type(),
                  "angles of another dtype or layout");
  const c10::DeviceGuard guard(queries.device());
  AppendTask task;
  task.queries = queries.data_ptr();
  task.keys = tokens.keys.const_data_ptr();
  task.values = tokens.values.const_data_ptr();
  task.query_stride = queries.stride(0);
  task.key_stride = tokens.keys.stride(0);
  task.value_stride = tokens.values.stride(0);
  task.cos = angles.cos.const_data_ptr();
  task.sin = angles.sin.const_data_ptr();
  task.rows = layer.rows;
  task.first_head = layer.first_head;
  task.row_count = static_cast<int>(queries.size(0) / layer.tokens);
  task.tokens = static_cast<int>(layer.tokens);
  task.kv_heads = static_cast<int>(layer.kv_heads);
  task.group = static_cast<int>(queries.size(1) / layer.kv_heads);
  task.head_dim = static_cast<int>(queries.size(2));
  task.element = element_of(queries.scalar_type());
  launch_rotate_and_append(task, current_stream(queries.device()));
}

void update_slots(const SentSlots& updates) {
  if (updates.count == 0) return;
  const c10::DeviceGuard guard(updates.sent.device());
  launch_update_slots(part_of<SlotUpdate>(updates.sent, updates.offset),
                      static_cast<int>(updates.count), updates.sent.const_data_ptr<uint8_t>(),
                      current_stream(updates.sent.device()));
}

void join_slots(const SentSlots& joins) {
  if (joins.count == 0) return;
  const c10::DeviceGuard guard(joins.sent.device());
  JoinTask task;
  task.joins = part_of<SlotJoin>(joins.sent, joins.offset);
  task.sent = joins.sent.const_data_ptr<uint8_t>();
  task.count = static_cast<int>(joins.count);
  task.most_heads = static_cast<int>(joins.most_heads);
  task.head_dim = static_cast<int>(joins.head_dim);
  task.element = element_of(joins.dtype);
  launch_join_slots(task, current_stream(joins.sent.device()));
}

at::Tensor find_nearest(const SentSlots& queries) {
  const c10::DeviceGuard guard(queries.sent.device());
  at::Tensor answers = at::empty({queries.count * static_cast<int64_t>(sizeof(NearestAnswer))},
                                 queries.sent.options());
  if (queries.count == 0) return answers;
  NearestTask task;
  task.queries = part_of<NearestQuery>(queries.sent, queries.offset);
  task.answers = reinterpret_cast<NearestAnswer*>(answers.data_ptr<uint8_t>());
  task.sent = queries.sent.const_data_ptr<uint8_t>();
  task.count = static_cast<int>(queries.count);
  task.most_heads = static_cast<int>(queries.most_heads);
  task.head_dim = static_cast<int>(queries.head_dim);
  task.element = element_of(queries.dtype);
  launch_find_nearest(task, current_stream(queries.sent.device()));
  return answers;
}

}  // namespace elastikv::cuda
