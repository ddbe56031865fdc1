#include "cache/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"
#include "kernels/merge.h"

namespace elastikv {
namespace {

/// Row g of a plan's tensor without its -1 padding; undefined stays undefined.
at::Tensor unpadded_row(const at::Tensor& rows, int64_t g) {
  if (!rows.defined()) return {};
  const at::Tensor row = rows[g];
  return row.masked_select(row.ge(0));
}

/// The first `count` elements of row g of a weight tensor; undefined stays undefined.
at::Tensor weight_row(const at::Tensor& rows, int64_t g, int64_t count) {
  return rows.defined() ? rows[g].slice(0, 0, count) : at::Tensor();
}

/// Copies `heads` x `slots` entries between [heads, slots, head_dim] tensors of one dtype. On the
/// CPU by memcpy: at one token a step the overhead of an ATen call would cost more than the bytes.
void copy_entries(const at::Tensor& to, int64_t to_head, int64_t to_slot, const at::Tensor& from,
                  int64_t from_head, int64_t from_slot, int64_t heads, int64_t slots) {
  if (!to.is_cpu() || !from.is_cpu() || to.scalar_type() != from.scalar_type() ||
      from.stride(2) != 1 || to.stride(2) != 1) {
    to.narrow(0, to_head, heads)
        .narrow(1, to_slot, slots)
        .copy_(from.narrow(0, from_head, heads).narrow(1, from_slot, slots));
    return;
  }
  const size_t element = to.element_size();
  const size_t row = static_cast<size_t>(to.size(2)) * element;
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t s = 0; s < slots; ++s) {
      char* target =
          static_cast<char*>(to.data_ptr()) +
          static_cast<size_t>((to_head + h) * to.stride(0) + (to_slot + s) * to.stride(1)) *
              element;
      const char* source =
          static_cast<const char*>(from.const_data_ptr()) +
          static_cast<size_t>((from_head + h) * from.stride(0) + (from_slot + s) * from.stride(1)) *
              element;
      std::memcpy(target, source, row);
    }
  }
}

}  // namespace

KVCache::KVCache(CacheShape shape) : shape_(shape), layers_(static_cast<size_t>(shape.layers)) {
  for (Layer& layer : layers_) {
    layer.positions.resize(1);
    layer.head_lengths.assign(static_cast<size_t>(shape_.kv_heads), 0);
  }
}

KVCache::Layer& KVCache::at(int64_t layer) {
  ELASTIKV_ASSERT(layer >= 0 && layer < shape_.layers, "layer {} of {}", layer, shape_.layers);
  return layers_[static_cast<size_t>(layer)];
}

const KVCache::Layer& KVCache::at(int64_t layer) const {
  return const_cast<KVCache*>(this)->at(layer);
}

int64_t KVCache::groups(int64_t layer) const {
  return static_cast<int64_t>(at(layer).positions.size());
}

int64_t KVCache::length(int64_t layer, int64_t group) const {
  return static_cast<int64_t>(positions(layer, group).size());
}

int64_t KVCache::max_length(int64_t layer) const {
  const auto& lengths = at(layer).head_lengths;
  return *std::max_element(lengths.begin(), lengths.end());
}

const std::vector<int64_t>& KVCache::positions(int64_t layer, int64_t group) const {
  const auto& groups = at(layer).positions;
  ELASTIKV_ASSERT(group >= 0 && static_cast<size_t>(group) < groups.size(), "group {} of {}", group,
                  groups.size());
  return groups[static_cast<size_t>(group)];
}

const std::vector<int64_t>& KVCache::head_lengths(int64_t layer) const {
  return at(layer).head_lengths;
}
const at::Tensor& KVCache::keys(int64_t layer) const { return at(layer).keys; }
const at::Tensor& KVCache::values(int64_t layer) const { return at(layer).values; }

void KVCache::update_head_lengths(Layer& layer) {
  const size_t groups = layer.positions.size();
  for (size_t h = 0; h < layer.head_lengths.size(); ++h) {
    layer.head_lengths[h] = static_cast<int64_t>(layer.positions[groups == 1 ? 0 : h].size());
  }
}

void KVCache::split_groups(Layer& layer) const {
  if (layer.positions.size() == 1)
    layer.positions.resize(static_cast<size_t>(shape_.kv_heads), layer.positions[0]);
}

void KVCache::own(Layer& layer, int64_t slots) {
  const int64_t capacity = layer.keys.defined() ? layer.keys.size(1) : 0;
  if (!layer.shared && capacity >= slots && layer.keys.defined()) return;
  const int64_t room =
      std::max({slots, reserved_, layer.shared ? int64_t{0} : capacity + capacity / 2});
  const auto options = at::TensorOptions().dtype(shape_.dtype).device(shape_.device);
  const at::Tensor keys = at::empty({shape_.kv_heads, room, shape_.head_dim}, options);
  const at::Tensor values = at::empty({shape_.kv_heads, room, shape_.head_dim}, options);
  const int64_t used = *std::max_element(layer.head_lengths.begin(), layer.head_lengths.end());
  if (used > 0) {
    keys.narrow(1, 0, used).copy_(layer.keys.narrow(1, 0, used));
    values.narrow(1, 0, used).copy_(layer.values.narrow(1, 0, used));
  }
  layer.keys = keys;
  layer.values = values;
  layer.shared = false;
}

void KVCache::reserve(int64_t slots) {
  reserved_ = std::max(reserved_, slots);
  for (Layer& layer : layers_) own(layer, reserved_);
}

void KVCache::append(int64_t layer_index, const at::Tensor& keys, const at::Tensor& values,
                     int64_t first_position) {
  Layer& layer = at(layer_index);
  const int64_t added = keys.size(1);
  ELASTIKV_ASSERT(keys.size(0) == shape_.kv_heads && keys.size(2) == shape_.head_dim &&
                      values.sizes() == keys.sizes(),
                  "keys and values must be [kv_heads, tokens, head_dim]");
  own(layer, max_length(layer_index) + added);
  const bool all_heads = layer.positions.size() == 1;
  const int64_t parts = all_heads ? 1 : shape_.kv_heads;
  for (int64_t p = 0; p < parts; ++p) {
    const int64_t heads = all_heads ? shape_.kv_heads : 1;
    const int64_t length = layer.head_lengths[static_cast<size_t>(p)];
    copy_entries(layer.keys, p, length, keys, p, 0, heads, added);
    copy_entries(layer.values, p, length, values, p, 0, heads, added);
  }
  for (auto& positions : layer.positions) {
    for (int64_t i = 0; i < added; ++i) positions.push_back(first_position + i);
  }
  update_head_lengths(layer);
}

void KVCache::append_row(int64_t layer, const at::Tensor& keys, const at::Tensor& values,
                         int64_t row, int64_t position) {
  // A row seen as [kv_heads, 1, head_dim], without a chain of views.
  const auto entry = [&](const at::Tensor& x) {
    return x.as_strided({x.size(1), 1, x.size(2)}, {x.stride(1), x.size(2), x.stride(2)},
                        x.storage_offset() + row * x.stride(0));
  };
  append(layer, entry(keys), entry(values), position);
}

void KVCache::adopt(int64_t layer_index, at::Tensor keys, at::Tensor values,
                    int64_t first_position) {
  Layer& layer = at(layer_index);
  ELASTIKV_ASSERT(max_length(layer_index) == 0, "layer {} already holds entries", layer_index);
  ELASTIKV_ASSERT(
      keys.is_contiguous() && values.is_contiguous() && keys.size(0) == shape_.kv_heads &&
          keys.size(2) == shape_.head_dim && keys.scalar_type() == shape_.dtype,
      "keys and values must be contiguous [kv_heads, tokens, head_dim] of the cache's dtype");
  layer.keys = std::move(keys);
  layer.values = std::move(values);
  layer.shared = false;
  layer.positions.assign(1, std::vector<int64_t>(static_cast<size_t>(layer.keys.size(1))));
  std::iota(layer.positions[0].begin(), layer.positions[0].end(), first_position);
  update_head_lengths(layer);
}

void KVCache::apply(int64_t layer_index, const LayerPlan& plan) {
  if (plan.keeps_everything()) return;
  Layer& layer = at(layer_index);
  const int64_t groups = plan.kept.size(0);
  ELASTIKV_ASSERT(groups == 1 || groups == shape_.kv_heads, "a plan for {} groups, {} KV heads",
                  groups, shape_.kv_heads);
  if (groups > 1) split_groups(layer);
  // A shared decision over a layer whose heads already differ is carried out head by head.
  const int64_t parts = static_cast<int64_t>(layer.positions.size());
  std::vector<at::Tensor> new_keys;
  std::vector<at::Tensor> new_values;
  std::vector<std::vector<int64_t>> new_positions;
  int64_t longest = 0;
  for (int64_t p = 0; p < parts; ++p) {
    const int64_t g = groups == 1 ? 0 : p;
    const auto& old_positions = layer.positions[static_cast<size_t>(p)];
    const at::Tensor kept = unpadded_row(plan.kept, g);
    const at::Tensor source = unpadded_row(plan.source, g);
    const at::Tensor anchor = unpadded_row(plan.anchor, g);
    const int64_t merges = source.defined() ? source.size(0) : 0;
    std::vector<int64_t> positions;
    const auto slots = kept.accessor<int64_t, 1>();
    for (int64_t i = 0; i < kept.size(0); ++i) {
      ELASTIKV_ASSERT(slots[i] < static_cast<int64_t>(old_positions.size()),
                      "layer {}: slot {} of {} is kept", layer_index, slots[i],
                      old_positions.size());
      positions.push_back(old_positions[static_cast<size_t>(slots[i])]);
    }
    ELASTIKV_ASSERT(!positions.empty(), "layer {}: a plan that keeps nothing", layer_index);
    const int64_t length = static_cast<int64_t>(old_positions.size());
    const auto compact = [&](const at::Tensor& x) {
      const at::Tensor used = (parts == 1 ? x : x.narrow(0, p, 1)).narrow(1, 0, length);
      return gather_and_merge(used, kept, source, anchor, weight_row(plan.source_weight, g, merges),
                              weight_row(plan.anchor_weight, g, kept.size(0)));
    };
    new_keys.push_back(compact(layer.keys));
    new_values.push_back(compact(layer.values));
    longest = std::max(longest, static_cast<int64_t>(positions.size()));
    new_positions.push_back(std::move(positions));
  }
  const int64_t room = std::max(longest, reserved_);
  layer.keys = at::empty({shape_.kv_heads, room, shape_.head_dim}, layer.keys.options());
  layer.values = at::empty({shape_.kv_heads, room, shape_.head_dim}, layer.values.options());
  for (int64_t p = 0; p < parts; ++p) {
    const int64_t heads = parts == 1 ? shape_.kv_heads : 1;
    const auto& keys = new_keys[static_cast<size_t>(p)];
    layer.keys.narrow(0, p, heads).narrow(1, 0, keys.size(1)).copy_(keys);
    layer.values.narrow(0, p, heads)
        .narrow(1, 0, keys.size(1))
        .copy_(new_values[static_cast<size_t>(p)]);
  }
  layer.shared = false;
  layer.positions = std::move(new_positions);
  update_head_lengths(layer);
}

void KVCache::apply(int64_t layer_index, const StepPlan& plan) {
  if (!plan.rebuild.keeps_everything()) {
    apply(layer_index, plan.rebuild);
    return;
  }
  if (plan.give_up.empty()) return;
  Layer& layer = at(layer_index);
  if (plan.give_up.size() > 1) split_groups(layer);
  for (size_t p = 0; p < layer.positions.size(); ++p) {
    std::vector<int64_t> slots = plan.give_up[plan.give_up.size() == 1 ? 0 : p];
    // From the back, so that the slot that fills a hole is never one that is still to be given up.
    std::sort(slots.begin(), slots.end(), std::greater<>());
    for (const int64_t slot : slots) give_up(layer_index, static_cast<int64_t>(p), slot);
  }
}

void KVCache::give_up(int64_t layer_index, int64_t group, int64_t slot) {
  Layer& layer = at(layer_index);
  auto& positions = layer.positions[static_cast<size_t>(group)];
  const auto last = static_cast<int64_t>(positions.size()) - 1;
  ELASTIKV_ASSERT(slot >= 0 && slot <= last && last > 0, "layer {}: slot {} of {} is given up",
                  layer_index, slot, last + 1);
  if (slot != last) {
    own(layer, last + 1);
    const int64_t heads = layer.positions.size() == 1 ? shape_.kv_heads : 1;
    copy_entries(layer.keys, group, slot, layer.keys, group, last, heads, /*slots=*/1);
    copy_entries(layer.values, group, slot, layer.values, group, last, heads, /*slots=*/1);
    positions[static_cast<size_t>(slot)] = positions.back();
  }
  positions.pop_back();
  update_head_lengths(layer);
}

void KVCache::permute(int64_t layer_index, const at::Tensor& order) {
  LayerPlan plan;
  plan.kept = order.view({1, -1});
  apply(layer_index, plan);
}

void KVCache::replace_keys(int64_t layer_index, const at::Tensor& keys) {
  Layer& layer = at(layer_index);
  const int64_t used = max_length(layer_index);
  ELASTIKV_ASSERT(keys.size(0) == shape_.kv_heads && keys.size(1) == used,
                  "{} new keys for {} slots", keys.size(1), used);
  own(layer, used);
  layer.keys.narrow(1, 0, used).copy_(keys);
}

KVCache KVCache::fork() const {
  KVCache copy = *this;
  copy.reserved_ = 0;
  for (Layer& layer : copy.layers_) layer.shared = true;
  // This side's storage is shared too from now on; the flag says who must copy before writing.
  for (const Layer& layer : layers_) layer.shared = true;
  return copy;
}

int64_t KVCache::bytes() const {
  int64_t slots = 0;
  for (const Layer& layer : layers_) {
    slots += std::accumulate(layer.head_lengths.begin(), layer.head_lengths.end(), int64_t{0});
  }
  return slots * shape_.head_dim * 2 * static_cast<int64_t>(c10::elementSize(shape_.dtype));
}

std::vector<int64_t> KVCache::slots_per_layer() const {
  std::vector<int64_t> slots;
  for (const Layer& layer : layers_) {
    const int64_t total =
        std::accumulate(layer.head_lengths.begin(), layer.head_lengths.end(), int64_t{0});
    slots.push_back((total + shape_.kv_heads / 2) / shape_.kv_heads);
  }
  return slots;
}

}  // namespace elastikv
