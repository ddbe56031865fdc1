#include "models/decode_batch.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include "base/error.h"

namespace elastikv {
namespace {

/// How far before the newest entry each slot stands when entries are counted by rank, as they are
/// in a re-rotated cache: 0 for the newest, length - 1 for the oldest.
std::vector<int64_t> rank_distances(const std::vector<int64_t>& positions) {
  std::vector<int64_t> order(positions.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return positions[static_cast<size_t>(a)] < positions[static_cast<size_t>(b)];
  });
  std::vector<int64_t> distances(positions.size());
  for (size_t i = 0; i < order.size(); ++i) {
    distances[static_cast<size_t>(order[i])] = static_cast<int64_t>(order.size() - 1 - i);
  }
  return distances;
}

/// The rotary position of a row's new token.
int64_t rotary_position(const DecodeInput& row) {
  switch (row.positions) {
    case PositionMode::kOriginal:
      return row.cache->rotary_position(row.token_index);
    case PositionMode::kCacheLength:
      return row.cache->max_length(0);
    case PositionMode::kRerotated:
      // Only distances matter, and they are applied to the keys: the new token stays at the origin.
      return 0;
  }
  throw InternalError("a position mode without a rule");
}

/// The same tensors on the CPU, by one copy.
std::vector<at::Tensor> fetched(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> flat;
  flat.reserve(tensors.size());
  for (const at::Tensor& x : tensors) flat.push_back(x.flatten());
  const at::Tensor together = at::cat(flat).cpu();
  std::vector<at::Tensor> result;
  result.reserve(tensors.size());
  int64_t offset = 0;
  for (const at::Tensor& x : tensors) {
    result.push_back(together.narrow(0, offset, x.numel()).view(x.sizes()));
    offset += x.numel();
  }
  return result;
}

}  // namespace

DecodeBatch::DecodeBatch(const std::vector<DecodeInput>& rows, const LanguageModel& model,
                         double scale, c10::Device device, c10::ScalarType dtype)
    : rows_(rows), scale_(scale), weights_(rows.size()) {
  std::vector<int64_t> positions;
  positions.reserve(rows.size());
  tables_.reserve(rows.size());
  for (const DecodeInput& row : rows) {
    tables_.push_back(model.rotary(*row.cache));
    positions.push_back(rotary_position(row));
    ELASTIKV_ASSERT(positions.back() < model.max_positions(), "position {} of {}", positions.back(),
                    model.max_positions());
  }
  angles_ =
      RotaryTable::angles_of_rows(tables_, at::tensor(positions, at::kLong).to(device), dtype);
}

at::Tensor DecodeBatch::attend(int64_t layer, const at::Tensor& queries, const at::Tensor& keys,
                               const at::Tensor& values) {
  RotaryTable::rotate_rows_in_place(queries, angles_);
  RotaryTable::rotate_rows_in_place(keys, angles_);
  std::vector<DecodeRow> attention_rows(rows_.size());
  const auto append = [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const DecodeInput& input = rows_[static_cast<size_t>(r)];
      KVCache& cache = *input.cache;
      cache.append_row(layer, keys, values, r, input.token_index);
      DecodeRow& row = attention_rows[static_cast<size_t>(r)];
      static_cast<EntryView&>(row) = cache.view(layer);
      row.weights = input.weights;
      if (input.positions == PositionMode::kRerotated) {
        row.rotary = tables_[static_cast<size_t>(r)];
        for (int64_t g = 0; g < cache.groups(layer); ++g) {
          row.distances.push_back(rank_distances(cache.positions(layer, g)));
        }
      }
    }
  };
  const auto rows = static_cast<int64_t>(rows_.size());
  if (keys.is_cpu()) {
    // Each head's entry of each row goes to another place, and all of them have left the caches
    // since the step before. Threads are worth waking for so many bytes.
    constexpr int64_t kBytes = 32 << 10;
    const int64_t bytes = 2 * keys.numel() * static_cast<int64_t>(keys.element_size());
    at::parallel_for(0, rows, std::max<int64_t>(kBytes * rows / bytes, 1), append);
  } else {
    append(0, rows);
  }
  DecodeAttention result = decode_attention(queries, attention_rows, scale_);
  for (size_t r = 0; r < rows_.size(); ++r) {
    if (rows_[r].weights) weights_[r].push_back(std::move(result.weights[r]));
  }
  return result.output;
}

std::vector<std::vector<at::Tensor>> DecodeBatch::take_weights() {
  for (std::vector<at::Tensor>& layers : weights_) {
    if (!layers.empty() && !layers[0].is_cpu()) layers = fetched(layers);
  }
  return std::move(weights_);
}

}  // namespace elastikv
