#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "kernels/attention.h"

namespace elastikv::reference {
namespace {

/// Whether all heads hold equally many entries, evenly spaced in the storage.
bool is_uniform(const DecodeRow& row) {
  const auto& starts = *row.starts;
  const auto& lengths = *row.lengths;
  for (size_t h = 1; h < lengths.size(); ++h) {
    if (lengths[h] != lengths[0] || starts[h] - starts[h - 1] != starts[1] - starts[0])
      return false;
  }
  return row.distances.size() <= 1 && (row.logit_bias == nullptr || row.logit_bias->size() <= 1);
}

/// The entries of `heads` heads from `head` on: f32 [heads, length, head_dim].
at::Tensor entries(const at::Tensor& storage, const DecodeRow& row, int64_t head, int64_t heads) {
  const auto& starts = *row.starts;
  const int64_t head_dim = storage.size(1);
  const int64_t spacing = heads == 1 ? 0 : starts[1] - starts[0];
  return storage
      .as_strided({heads, (*row.lengths)[static_cast<size_t>(head)], head_dim},
                  {spacing * head_dim, head_dim, 1},
                  storage.storage_offset() + starts[static_cast<size_t>(head)] * head_dim)
      .to(at::kFloat);
}

}  // namespace

DecodeAttention decode_attention(const at::Tensor& queries, const std::vector<DecodeRow>& rows,
                                 double scale) {
  DecodeAttention result;
  result.output = at::empty_like(queries);
  result.weights.resize(rows.size());
  for (size_t r = 0; r < rows.size(); ++r) {
    const DecodeRow& row = rows[r];
    const auto& lengths = *row.lengths;
    const auto kv_heads = static_cast<int64_t>(lengths.size());
    const int64_t group = queries.size(1) / kv_heads;
    const int64_t longest = *std::max_element(lengths.begin(), lengths.end());
    at::Tensor all_weights;
    if (row.weights)
      all_weights = at::zeros({queries.size(1), longest}, queries.options().dtype(at::kFloat));
    // Heads of one length go through one product; ragged heads one by one.
    const int64_t step = is_uniform(row) ? kv_heads : 1;
    for (int64_t h = 0; h < kv_heads; h += step) {
      const auto head = static_cast<size_t>(h);
      const int64_t length = lengths[head];
      const at::Tensor q = queries[static_cast<int64_t>(r)]
                               .narrow(0, h * group, step * group)
                               .to(at::kFloat)
                               .view({step, group, queries.size(2)});
      at::Tensor k = entries(row.keys, row, h, step);
      if (!row.distances.empty()) {
        const auto& distances = row.distances[row.distances.size() == 1 ? 0 : head];
        k = row.rotary->unrotate(k, at::tensor(distances, at::kLong).to(k.device()));
      }
      at::Tensor logits = at::matmul(q, k.transpose(1, 2)) * scale;
      if (row.logit_bias != nullptr) {
        const auto& bias = (*row.logit_bias)[row.logit_bias->size() == 1 ? 0 : head];
        logits = logits + at::tensor(bias, at::kFloat).to(k.device());
      }
      const at::Tensor weights = at::softmax(logits, -1);
      result.output[static_cast<int64_t>(r)]
          .narrow(0, h * group, step * group)
          .copy_(at::matmul(weights, entries(row.values, row, h, step))
                     .view({step * group, queries.size(2)}));
      if (row.weights) {
        all_weights.narrow(0, h * group, step * group)
            .narrow(1, 0, length)
            .copy_(weights.view({step * group, length}));
      }
    }
    if (row.weights) result.weights[r] = all_weights.cpu();
  }
  return result;
}

}  // namespace elastikv::reference
