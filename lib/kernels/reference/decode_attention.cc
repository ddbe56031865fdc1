#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "kernels/attention.h"

namespace elastikv::reference {
namespace {

/// Whether all heads hold equally many entries and share what is given per slot.
bool is_uniform(const DecodeRow& row) {
  const auto& lengths = *row.lengths;
  for (const int64_t length : lengths) {
    if (length != lengths[0]) return false;
  }
  return row.distances.size() <= 1 && (row.logit_bias == nullptr || row.logit_bias->size() <= 1);
}

/// The keys or values of `heads` heads from `head` on: f32 [heads, length, head_dim].
at::Tensor entries(at::Tensor (*of)(const EntryView&, int64_t), const DecodeRow& row, int64_t head,
                   int64_t heads) {
  std::vector<at::Tensor> parts;
  for (int64_t h = head; h < head + heads; ++h) parts.push_back(of(row, h));
  return at::stack(parts).to(at::kFloat);
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
      at::Tensor k = entries(keys_of, row, h, step);
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
          .copy_(at::matmul(weights, entries(values_of, row, h, step))
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
