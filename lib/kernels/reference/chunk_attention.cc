#include "kernels/chunk_attention.h"

#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

namespace elastikv::reference {

at::Tensor chunk_attention(const at::Tensor& queries, const std::vector<ChunkRow>& rows,
                           double scale) {
  const auto device = queries.device();
  const int64_t tokens = queries.size(1);
  at::Tensor output = at::empty_like(queries);
  const at::Tensor token = at::arange(tokens, at::TensorOptions(at::kInt)).to(device).unsqueeze(1);
  for (size_t r = 0; r < rows.size(); ++r) {
    const ChunkRow& row = rows[r];
    const auto kv_heads = static_cast<int64_t>(row.lengths->size());
    const int64_t group = queries.size(2) / kv_heads;
    for (int64_t h = 0; h < kv_heads; ++h) {
      const auto head = static_cast<size_t>(h);
      const ChunkSlots& slots = (*row.slots)[row.slots->size() == 1 ? 0 : head];
      const at::Tensor keys = keys_of(row, h).to(at::kFloat);
      const at::Tensor values = values_of(row, h).to(at::kFloat);
      const at::Tensor q = queries[static_cast<int64_t>(r)]
                               .narrow(1, h * group, group)
                               .transpose(0, 1)
                               .to(at::kFloat);  // [group, tokens, head_dim]
      const auto upload = [&](const auto& numbers) { return at::tensor(numbers).to(device); };
      at::Tensor logits;
      if (slots.key_positions.empty()) {
        logits = at::matmul(q, keys.t());
      } else {
        const at::Tensor turned =
            row.rotary->rotate(keys.unsqueeze(0), upload(slots.key_positions))[0].t();
        logits =
            at::where(upload(slots.keeps_rank).to(at::kBool),
                      at::matmul(row.rotary->rotate(q, upload(slots.rank_positions)), turned),
                      at::matmul(row.rotary->rotate(q, upload(slots.query_positions)), turned));
      }
      logits = logits * scale;
      if (row.logit_bias != nullptr)
        logits = logits + upload((*row.logit_bias)[row.logit_bias->size() == 1 ? 0 : head]);
      const at::Tensor seen =
          token.ge(upload(slots.first)).logical_and(token.lt(upload(slots.until)));
      const at::Tensor weights = at::softmax(
          logits.masked_fill(seen.logical_not(), -std::numeric_limits<double>::infinity()), -1);
      output[static_cast<int64_t>(r)]
          .narrow(1, h * group, group)
          .copy_(at::matmul(weights, values).transpose(0, 1));
    }
  }
  return output;
}

}  // namespace elastikv::reference
