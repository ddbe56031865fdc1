// Decode attention on a device over rows that are described as the CPU's are, each by the EntryView
// of its slots: what SlotMirror keeps on the device is sent for one call.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include "base/error.h"
#include "kernels/attention.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/slot_attention.h"
#include "kernels/transfer.h"

namespace elastikv {

/// The slots of rows as their EntryViews tell them, sent for one call. The arrays are kept until
/// they are sent.
class SentRows {
 public:
  explicit SentRows(const std::vector<DecodeRow>& rows) {
    const size_t kv_heads = rows[0].lengths->size();
    heads_.resize(rows.size() * kv_heads);
    rows_.resize(rows.size());
    for (size_t r = 0; r < rows.size(); ++r) add(rows[r], r, kv_heads);
  }

  int64_t longest() const { return longest_; }
  const RowSlots* rows() const { return part_of<RowSlots>(sent_, row_offset_); }
  const RowWeights* weights() const {
    return weights_.empty() ? nullptr : part_of<RowWeights>(sent_, weight_offset_);
  }

  /// `weights`: of all rows, or empty.
  void send(c10::Device device, std::vector<RowWeights> weights) {
    weights_ = std::move(weights);
    const int64_t head_offset = upload_.add(heads_);
    row_offset_ = upload_.add(rows_);
    weight_offset_ = upload_.add(weights_);
    sent_ = upload_.allocate(device);
    for (const Pointer& pointer : pointers_) pointer.set(sent_, heads_);
    const size_t kv_heads = heads_.size() / rows_.size();
    for (size_t r = 0; r < rows_.size(); ++r)
      rows_[r].heads = part_of<HeadSlots>(sent_, head_offset) + r * kv_heads;
    upload_.send(sent_);
  }

 private:
  /// What a head points to in the upload, -1: nothing.
  struct Pointer {
    size_t head;
    int64_t length;
    int64_t places = -1;
    int64_t distances = -1;
    int64_t bias = -1;

    void set(const at::Tensor& sent, std::vector<HeadSlots>& heads) const {
      HeadSlots& slots = heads[head];
      slots.length = part_of<int32_t>(sent, length);
      if (places >= 0) slots.places = part_of<int32_t>(sent, places);
      if (distances >= 0) slots.distances = part_of<int32_t>(sent, distances);
      if (bias >= 0) slots.bias = part_of<float>(sent, bias);
    }
  };

  void add(const DecodeRow& row, size_t r, size_t kv_heads) {
    const std::vector<int64_t>& lengths = *row.lengths;
    ELASTIKV_ASSERT(lengths.size() == kv_heads && row.starts->size() == kv_heads,
                    "row {}: {} KV heads", r, lengths.size());
    ELASTIKV_ASSERT(*std::min_element(lengths.begin(), lengths.end()) > 0,
                    "row {} has an empty head", r);
    ELASTIKV_ASSERT(row.distances.empty() || row.rotary != nullptr,
                    "row {}: un-rotated keys without a rotary table", r);
    longest_ = std::max(longest_, *std::max_element(lengths.begin(), lengths.end()));
    if (row.rotary != nullptr) {
      rows_[r].cos = row.rotary->cos().const_data_ptr<float>();
      rows_[r].sin = row.rotary->sin().const_data_ptr<float>();
    }
    const int64_t length_offset = add_numbers(lengths);
    Pointer pointer{0, 0};
    for (size_t h = 0; h < kv_heads; ++h) {
      const auto head = static_cast<int64_t>(h);
      pointer.head = r * kv_heads + h;
      HeadSlots& slots = heads_[pointer.head];
      slots.keys = entry_address(row.keys, (*row.starts)[h]);
      slots.values = entry_address(row.values, (*row.starts)[h]);
      pointer.length = length_offset + head * static_cast<int64_t>(sizeof(int32_t));
      // What all heads share is sent once.
      if (row.places != nullptr) {
        slots.prompt_keys = entry_address(row.prompt_keys, (*row.prompt_starts)[h]);
        slots.prompt_values = entry_address(row.prompt_values, (*row.prompt_starts)[h]);
        if (h == 0 || row.places->size() > 1)
          pointer.places = upload_.add(of_head(*row.places, head));
      }
      if (row.logit_bias != nullptr && (h == 0 || row.logit_bias->size() > 1))
        pointer.bias = upload_.add(of_head(*row.logit_bias, head));
      if (!row.distances.empty() && (h == 0 || row.distances.size() > 1))
        pointer.distances = add_numbers(of_head(row.distances, head));
      pointers_.push_back(pointer);
    }
  }

  int64_t add_numbers(const std::vector<int64_t>& numbers) {
    numbers_.emplace_back(numbers.begin(), numbers.end());
    return upload_.add(numbers_.back());
  }

  Upload upload_;
  std::vector<std::vector<int32_t>> numbers_;
  std::vector<HeadSlots> heads_;  // [rows, kv_heads]
  std::vector<RowSlots> rows_;
  std::vector<RowWeights> weights_;
  std::vector<Pointer> pointers_;
  int64_t longest_ = 0;
  int64_t row_offset_ = 0;
  int64_t weight_offset_ = 0;
  at::Tensor sent_;
};

/// Whether the kernels have code for these queries and can read these rows.
inline bool has_kernel_for(const at::Tensor& queries, const std::vector<DecodeRow>& rows) {
  const c10::ScalarType dtype = queries.scalar_type();
  return std::all_of(rows.begin(), rows.end(), [&](const DecodeRow& row) {
    return cuda::has_slot_attention(dtype, queries.size(2), !row.distances.empty()) &&
           cuda::is_readable(row, dtype);
  });
}

/// elastikv::decode_attention by the device's kernels. Weights stay on the device.
inline DecodeAttention attend_rows(const at::Tensor& queries, const std::vector<DecodeRow>& rows,
                                   double scale) {
  DecodeAttention result;
  result.weights.resize(rows.size());
  const int64_t query_heads = queries.size(1);
  SentRows sent(rows);
  std::vector<RowWeights> weights;
  for (size_t r = 0; r < rows.size(); ++r) {
    if (!rows[r].weights) continue;
    weights.resize(rows.size());
    const int64_t width = *std::max_element(rows[r].lengths->begin(), rows[r].lengths->end());
    result.weights[r] = at::empty({query_heads, width}, queries.options().dtype(at::kFloat));
    weights[r] = {result.weights[r].data_ptr<float>(), width};
  }
  sent.send(queries.device(), std::move(weights));
  SlotLayer layer;
  layer.rows = sent.rows();
  layer.weights = sent.weights();
  layer.kv_heads = static_cast<int64_t>(rows[0].lengths->size());
  layer.longest = sent.longest();
  result.output = cuda::attend_slots(queries, layer, scale);
  return result;
}

}  // namespace elastikv
