#include "models/chunk_batch.h"

#include <utility>

#include <ATen/ops/tensor.h>

#include "base/error.h"
#include "kernels/chunk_attention.h"
#include "kernels/transfer.h"

namespace elastikv {

ChunkBatch::ChunkBatch(const std::vector<ChunkInput>& rows, int64_t tokens,
                       const LanguageModel& model, double scale, c10::Device device,
                       c10::ScalarType dtype)
    : rows_(rows), tokens_(tokens), scale_(scale) {
  std::vector<int64_t> positions;
  positions.reserve(rows.size() * static_cast<size_t>(tokens));
  tables_.reserve(rows.size());
  for (const ChunkInput& row : rows) {
    tables_.push_back(model.rotary(*row.cache));
    // Position 0 leaves keys and queries as they are, bit for bit.
    const std::vector<int64_t> none(static_cast<size_t>(tokens), 0);
    for (const int64_t position : row.rotary_positions.empty() ? none : row.rotary_positions) {
      ELASTIKV_ASSERT(position < model.max_positions(), "position {} of {}", position,
                      model.max_positions());
      positions.push_back(position);
    }
  }
  std::vector<SlotRow> slot_rows;
  slot_rows.reserve(rows.size());
  for (const ChunkInput& row : rows) slot_rows.push_back({row.cache, row.token_index});
  at::Tensor on_device;
  if (SlotBatch::suits(slot_rows)) {
    on_slots_.emplace(std::move(slot_rows), tokens, model.query_heads());
    Upload upload;
    const int64_t at = upload.add(positions);
    on_slots_->add_to(upload);
    const at::Tensor inputs = upload.send(device);
    on_slots_->read_from(inputs, on_slots_->longest());
    on_device = tensor_of(inputs, at, std::ssize(positions), at::kLong);
  } else {
    on_device = sent(at::tensor(positions, at::kLong), device);
  }
  angles_ = RotaryTable::angles_of_rows(tables_, on_device, dtype);
}

at::Tensor ChunkBatch::attend(int64_t layer, const at::Tensor& queries, const at::Tensor& keys,
                              const at::Tensor& values) {
  if (on_slots_.has_value()) {
    on_slots_->append(layer, {queries, keys, values}, angles_);
  } else {
    RotaryTable::rotate_rows_in_place(queries, angles_);
    RotaryTable::rotate_rows_in_place(keys, angles_);
  }
  std::vector<ChunkRow> attention_rows(rows_.size());
  for (size_t r = 0; r < rows_.size(); ++r) {
    const ChunkInput& input = rows_[r];
    KVCache& cache = *input.cache;
    const auto first = static_cast<int64_t>(r) * tokens_;
    if (!on_slots_.has_value()) {
      cache.append(layer, keys.narrow(0, first, tokens_).transpose(0, 1),
                   values.narrow(0, first, tokens_).transpose(0, 1), input.token_index);
    }
    ChunkRow& row = attention_rows[r];
    static_cast<EntryView&>(row) = cache.view(layer);
    row.slots = &input.slots[static_cast<size_t>(layer)];
    if (cache.keys_are_unrotated()) row.rotary = tables_[r];
  }
  const auto rows = static_cast<int64_t>(rows_.size());
  return chunk_attention(queries.unflatten(0, {rows, tokens_}), attention_rows, scale_)
      .flatten(0, 1);
}

}  // namespace elastikv
