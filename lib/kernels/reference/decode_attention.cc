#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "kernels/attention.h"

namespace elastikv::reference {

DecodeAttention decode_attention(const at::Tensor& queries, const std::vector<DecodeRow>& rows,
                                 double scale) {
  DecodeAttention result;
  result.output = at::empty_like(queries);
  result.weights.resize(rows.size());
  for (size_t r = 0; r < rows.size(); ++r) {
    const DecodeRow& row = rows[r];
    const auto& lengths = *row.lengths;
    const int64_t kv_heads = row.keys.size(0);
    const int64_t group = queries.size(1) / kv_heads;
    const int64_t longest = *std::max_element(lengths.begin(), lengths.end());
    at::Tensor all_weights;
    if (row.weights)
      all_weights = at::zeros({queries.size(1), longest}, queries.options().dtype(at::kFloat));
    const bool uniform =
        row.distances.size() <= 1 &&
        std::all_of(lengths.begin(), lengths.end(), [&](int64_t n) { return n == longest; });
    // Heads of one length go through one product; ragged heads one by one.
    const int64_t step = uniform ? kv_heads : 1;
    for (int64_t h = 0; h < kv_heads; h += step) {
      const int64_t length = lengths[static_cast<size_t>(h)];
      const at::Tensor q = queries[static_cast<int64_t>(r)]
                               .narrow(0, h * group, step * group)
                               .to(at::kFloat)
                               .view({step, group, queries.size(2)});
      at::Tensor k = row.keys.narrow(0, h, step).narrow(1, 0, length).to(at::kFloat);
      if (!row.distances.empty()) {
        const auto& distances =
            row.distances[row.distances.size() == 1 ? 0 : static_cast<size_t>(h)];
        k = row.rotary->unrotate(k, at::tensor(distances, at::kLong).to(k.device()));
      }
      const at::Tensor v = row.values.narrow(0, h, step).narrow(1, 0, length).to(at::kFloat);
      const at::Tensor weights = at::softmax(at::matmul(q, k.transpose(1, 2)) * scale, -1);
      result.output[static_cast<int64_t>(r)]
          .narrow(0, h * group, step * group)
          .copy_(at::matmul(weights, v).view({step * group, queries.size(2)}));
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
