#include "models/slot_batch.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/empty.h>

#include "kernels/accelerator.h"

namespace elastikv {

bool SlotBatch::suits(const std::vector<SlotRow>& rows) {
  return !rows.empty() && std::all_of(rows.begin(), rows.end(), [](const SlotRow& row) {
    const CacheShape& shape = row.cache->shape();
    const Accelerator* accelerator = accelerator_of(shape.device);
    return accelerator != nullptr &&
           accelerator->has_slot_attention(shape.dtype, shape.head_dim, row.turned_by != nullptr);
  });
}

SlotBatch::SlotBatch(std::vector<SlotRow> rows, int64_t tokens, int64_t query_heads)
    : rows_(std::move(rows)),
      tokens_(tokens),
      shape_(rows_[0].cache->shape()),
      query_heads_(query_heads) {
  append_slots();
  SlotUpdates updates;
  row_slots_.reserve(rows_.size());
  for (const SlotRow& row : rows_) {
    SlotMirror& mirror = row.cache->mirror();
    mirror.follow(*row.cache, row.turned_by != nullptr, updates);
    RowSlots& here = row_slots_.emplace_back();
    here.heads = mirror.heads();
    if (row.turned_by == nullptr) continue;
    here.cos = row.turned_by->cos().const_data_ptr<float>();
    here.sin = row.turned_by->sin().const_data_ptr<float>();
  }
  row_weights_ = make_weights();
  SentSlots changed;
  changed.offset = updates.upload.add(updates.updates);
  changed.count = std::ssize(updates.updates);
  changed.sent = updates.upload.send(shape_.device);
  accelerator_of(shape_.device)->update_slots(changed);
}

void SlotBatch::add_to(Upload& inputs) {
  slots_at_ = inputs.add(row_slots_);
  weights_at_ = inputs.add(row_weights_);
}

void SlotBatch::read_from(const at::Tensor& inputs, std::vector<int64_t> room) {
  inputs_ = inputs;
  room_ = std::move(room);
}

void SlotBatch::append_slots() {
  longest_.assign(static_cast<size_t>(shape_.layers), 0);
  for (const SlotRow& row : rows_) {
    for (int64_t layer = 0; layer < shape_.layers; ++layer) {
      row.cache->append_unwritten(layer, row.token_index, tokens_);
      int64_t& longest = longest_[static_cast<size_t>(layer)];
      longest = std::max(longest, row.cache->max_length(layer));
    }
  }
}

std::vector<RowWeights> SlotBatch::make_weights() {
  if (std::none_of(rows_.begin(), rows_.end(), [](const SlotRow& row) { return row.weights; }))
    return {};
  int64_t total = 0;
  for (int64_t layer = 0; layer < shape_.layers; ++layer) {
    for (const SlotRow& row : rows_) {
      offsets_.push_back(row.weights ? total : -1);
      if (row.weights) total += query_heads_ * row.cache->max_length(layer);
    }
  }
  all_weights_ = at::empty({total}, at::TensorOptions(at::kFloat).device(shape_.device));
  float* const first = all_weights_.data_ptr<float>();
  std::vector<RowWeights> result(offsets_.size());
  for (size_t i = 0; i < offsets_.size(); ++i) {
    if (offsets_[i] < 0) continue;
    const auto layer = static_cast<int64_t>(i / rows_.size());
    result[i] = {first + offsets_[i], rows_[i % rows_.size()].cache->max_length(layer)};
  }
  return result;
}

SlotLayer SlotBatch::at(int64_t layer) const {
  SlotLayer here;
  here.rows = part_of<RowSlots>(inputs_, slots_at_);
  if (!row_weights_.empty())
    here.weights = part_of<RowWeights>(inputs_, weights_at_) + layer * std::ssize(rows_);
  here.first_head = layer * shape_.kv_heads;
  here.kv_heads = shape_.kv_heads;
  here.longest = room_[static_cast<size_t>(layer)];
  here.tokens = tokens_;
  return here;
}

void SlotBatch::append(int64_t layer, const NewTokens& tokens,
                       const RotaryTable::Angles& angles) const {
  accelerator_of(shape_.device)->rotate_and_append(tokens, angles, at(layer));
}

at::Tensor SlotBatch::attend(int64_t layer, const at::Tensor& queries, double scale) const {
  return accelerator_of(shape_.device)->attend_slots(queries, at(layer), scale);
}

std::vector<std::vector<at::Tensor>> SlotBatch::weights() const {
  std::vector<std::vector<at::Tensor>> result(rows_.size());
  for (size_t i = 0; i < offsets_.size(); ++i) {
    if (offsets_[i] < 0) continue;
    const size_t row = i % rows_.size();
    const int64_t width = rows_[row].cache->max_length(static_cast<int64_t>(i / rows_.size()));
    result[row].push_back(
        all_weights_.narrow(0, offsets_[i], query_heads_ * width).view({query_heads_, width}));
  }
  return result;
}

}  // namespace elastikv
