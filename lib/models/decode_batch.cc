#include "models/decode_batch.h"

#include <algorithm>
#include <numeric>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include "base/error.h"

namespace elastikv {
namespace {

/// Rank of every slot by token index, ascending: the position it has in a re-rotated cache.
at::Tensor ranks(const std::vector<int64_t>& positions) {
  std::vector<int64_t> order(positions.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return positions[static_cast<size_t>(a)] < positions[static_cast<size_t>(b)];
  });
  const at::Tensor rank = at::empty({static_cast<int64_t>(positions.size())}, at::kLong);
  auto* out = rank.mutable_data_ptr<int64_t>();
  for (size_t i = 0; i < order.size(); ++i) out[order[i]] = static_cast<int64_t>(i);
  return rank;
}

/// The keys of a layer whose cache holds them un-rotated, rotated by their ranks: [kv_heads,
/// longest, head_dim].
at::Tensor keys_by_rank(const KVCache& cache, int64_t layer, const RotaryTable& rotary) {
  const at::Tensor keys = cache.keys(layer).narrow(1, 0, cache.max_length(layer));
  if (cache.groups(layer) == 1)
    return rotary.rotate(keys, ranks(cache.positions(layer)).to(keys.device()));
  const at::Tensor rotated = at::empty(keys.sizes(), keys.options());
  for (int64_t h = 0; h < keys.size(0); ++h) {
    const int64_t length = cache.length(layer, h);
    rotated.narrow(0, h, 1)
        .narrow(1, 0, length)
        .copy_(rotary.rotate(keys.narrow(0, h, 1).narrow(1, 0, length),
                             ranks(cache.positions(layer, h)).to(keys.device())));
  }
  return rotated;
}

}  // namespace

DecodeBatch::DecodeBatch(const std::vector<DecodeInput>& rows, const RotaryTable& rotary,
                         double scale, c10::Device device)
    : rows_(rows), rotary_(rotary), scale_(scale), weights_(rows.size()) {
  std::vector<int64_t> positions;
  for (const DecodeInput& row : rows) {
    // For re-rotated rows the position differs by layer and head; it is filled in there.
    positions.push_back(row.positions == PositionMode::kOriginal      ? row.token_index
                        : row.positions == PositionMode::kCacheLength ? row.cache->max_length(0)
                                                                      : 0);
    rerotates_ = rerotates_ || row.positions == PositionMode::kRerotated;
    ELASTIKV_ASSERT(positions.back() < rotary.max_positions(), "position {} of {}",
                    positions.back(), rotary.max_positions());
  }
  positions_ = at::tensor(positions, at::kLong).to(device);
}

at::Tensor DecodeBatch::attend(int64_t layer, const at::Tensor& queries, const at::Tensor& keys,
                               const at::Tensor& values) {
  at::Tensor q = rotary_.rotate_rows(queries, positions_);
  const at::Tensor k = rotary_.rotate_rows(keys, positions_);
  std::vector<DecodeRow> attention_rows(rows_.size());
  for (size_t r = 0; r < rows_.size(); ++r) {
    const auto index = static_cast<int64_t>(r);
    const DecodeInput& row = rows_[r];
    KVCache& cache = *row.cache;
    const bool rerotated = row.positions == PositionMode::kRerotated;
    cache.append(layer, (rerotated ? keys : k)[index].unsqueeze(1), values[index].unsqueeze(1),
                 row.token_index);
    if (rerotated) {
      // The new token is the last in rank; heads may differ in length.
      const auto& lengths = cache.head_lengths(layer);
      const int64_t group = queries.size(1) / keys.size(1);
      for (size_t h = 0; h < lengths.size(); ++h) {
        const at::Tensor position = at::tensor({lengths[h] - 1}, at::kLong).to(queries.device());
        q[index]
            .narrow(0, static_cast<int64_t>(h) * group, group)
            .copy_(rotary_
                       .rotate(queries[index]
                                   .narrow(0, static_cast<int64_t>(h) * group, group)
                                   .unsqueeze(1),
                               position)
                       .squeeze(1));
      }
    }
    attention_rows[r].keys = rerotated ? keys_by_rank(cache, layer, rotary_) : cache.keys(layer);
    attention_rows[r].values = cache.values(layer);
    attention_rows[r].lengths = &cache.head_lengths(layer);
    attention_rows[r].weights = row.weights;
  }
  DecodeAttention result = decode_attention(q, attention_rows, scale_);
  for (size_t r = 0; r < rows_.size(); ++r) {
    if (rows_[r].weights) weights_[r].push_back(std::move(result.weights[r]));
  }
  return result.output;
}

}  // namespace elastikv
