#include "models/decode_batch.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/ops/tensor.h>

#include "base/error.h"
#include "kernels/transfer.h"

namespace elastikv {
namespace {

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

}  // namespace

DecodeBatch::DecodeBatch(const std::vector<DecodeInput>& rows, const LanguageModel& model,
                         double scale, c10::Device device, c10::ScalarType dtype,
                         std::vector<float> query_scales)
    : rows_(rows),
      scale_(scale),
      device_(device),
      dtype_(dtype),
      query_scales_(std::move(query_scales)),
      weights_(rows.size()) {
  ids_.reserve(rows.size());
  positions_.reserve(rows.size());
  tables_.reserve(rows.size());
  for (const DecodeInput& row : rows) {
    ids_.push_back(std::max<int64_t>(row.token, 0));  // what features stand for is put there later
    tables_.push_back(model.rotary(*row.cache));
    positions_.push_back(rotary_position(row));
    ELASTIKV_ASSERT(positions_.back() < model.max_positions(), "position {} of {}",
                    positions_.back(), model.max_positions());
  }
  std::vector<SlotRow> slot_rows;
  slot_rows.reserve(rows.size());
  for (size_t r = 0; r < rows.size(); ++r) {
    const DecodeInput& row = rows[r];
    slot_rows.push_back({row.cache, row.token_index,
                         row.positions == PositionMode::kRerotated ? tables_[r] : nullptr,
                         row.weights});
  }
  if (SlotBatch::suits(slot_rows))
    on_slots_.emplace(std::move(slot_rows), /*tokens=*/1, model.query_heads());
}

StepShape DecodeBatch::shape() const {
  return {.rows = std::ssize(rows_),
          .weights = on_slots_->has_weights(),
          .query_scales = !query_scales_.empty(),
          .rotary_tables = tables_,
          .longest = on_slots_->longest()};
}

at::Tensor DecodeBatch::run(const Layers& layers, DecodeGraphs* graphs) {
  const auto scales = [&](const at::Tensor& of_rows) {
    return of_rows.view({-1, 1, 1}).to(dtype_);
  };
  if (!on_slots_.has_value()) {
    angles_ = RotaryTable::angles_of_rows(tables_, sent(at::tensor(positions_, at::kLong), device_),
                                          dtype_);
    StepBegin begin{sent(at::tensor(ids_, at::kLong), device_)};
    if (!query_scales_.empty())
      begin.query_scales = scales(sent(at::tensor(query_scales_, at::kFloat), device_));
    return layers(begin);
  }
  Upload inputs;
  const int64_t ids_at = inputs.add(ids_);
  const int64_t positions_at = inputs.add(positions_);
  const int64_t scales_at = inputs.add(query_scales_);
  on_slots_->add_to(inputs);
  const auto over = [&](const at::Tensor& on_device, const std::vector<int64_t>& room) {
    const int64_t rows = std::ssize(rows_);
    on_slots_->read_from(on_device, room);
    angles_ = RotaryTable::angles_of_rows(
        tables_, tensor_of(on_device, positions_at, rows, at::kLong), dtype_);
    StepBegin begin{tensor_of(on_device, ids_at, rows, at::kLong)};
    if (!query_scales_.empty())
      begin.query_scales = scales(tensor_of(on_device, scales_at, rows, at::kFloat));
    return layers(begin);
  };
  if (graphs != nullptr) return graphs->run(shape(), inputs, over);
  return over(inputs.send(device_), on_slots_->longest());
}

at::Tensor DecodeBatch::attend(int64_t layer, const at::Tensor& queries, const at::Tensor& keys,
                               const at::Tensor& values) {
  if (on_slots_.has_value()) {
    on_slots_->append(layer, {queries, keys, values}, angles_);
    return on_slots_->attend(layer, queries, scale_);
  }
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
          row.distances.push_back(cache.rank_distances(layer, g));
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

void DecodeBatch::give_weights(DecodeOutput& output) {
  if (on_slots_.has_value()) {
    output.weights = on_slots_->weights();
    output.weights_on_device = on_slots_->all_weights();
    return;
  }
  output.weights = std::move(weights_);
}

}  // namespace elastikv
