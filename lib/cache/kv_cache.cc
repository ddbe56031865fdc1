#include "cache/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include "base/error.h"
#include "kernels/merge.h"

namespace elastikv {
namespace {

/// Row g of a plan's tensor without its -1 padding; undefined stays undefined.
at::Tensor unpadded_row(const at::Tensor& rows, int64_t g) {
  if (!rows.defined()) return {};
  ELASTIKV_ASSERT(rows.is_contiguous(), "a plan's slots are not contiguous");
  const int64_t* first = rows.const_data_ptr<int64_t>() + g * rows.size(1);
  const auto count =
      std::find_if(first, first + rows.size(1), [](int64_t i) { return i < 0; }) - first;
  return rows.select(0, g).narrow(0, 0, count);
}

/// The first `count` elements of row g of a weight tensor; undefined stays undefined.
at::Tensor weight_row(const at::Tensor& rows, int64_t g, int64_t count) {
  return rows.defined() ? rows[g].slice(0, 0, count) : at::Tensor();
}

/// Where the heads of a layer lie in its storage.
using Starts = std::vector<int64_t>;

/// Whether `heads` heads from `head` on are equally far from each other.
bool evenly_spaced(const Starts& starts, int64_t head, int64_t heads) {
  for (int64_t h = head + 2; h < head + heads; ++h) {
    const auto i = static_cast<size_t>(h);
    if (starts[i] - starts[i - 1] != starts[i - 1] - starts[i - 2]) return false;
  }
  return true;
}

/// Slots `slot` ... slot + slots - 1 of evenly spaced heads: a view [heads, slots, head_dim].
at::Tensor view_of(const at::Tensor& storage, const Starts& starts, int64_t head, int64_t heads,
                   int64_t slot, int64_t slots) {
  const int64_t head_dim = storage.size(1);
  const auto first = static_cast<size_t>(head);
  const int64_t spacing = heads == 1 ? 0 : starts[first + 1] - starts[first];
  return storage.as_strided({heads, slots, head_dim}, {spacing * head_dim, head_dim, 1},
                            storage.storage_offset() + (starts[first] + slot) * head_dim);
}

/// Writes entries [any, slots, head_dim], heads `from_head` ... of them, into `heads` heads from
/// `head` on, at `slot`. On the CPU by memcpy: at one token a step the overhead of an ATen call
/// would cost more than the bytes.
void write_entries(const at::Tensor& storage, const Starts& starts, int64_t head, int64_t heads,
                   int64_t slot, const at::Tensor& entries, int64_t from_head) {
  const int64_t slots = entries.size(1);
  if (!storage.is_cpu() || !entries.is_cpu() || storage.scalar_type() != entries.scalar_type() ||
      entries.stride(2) != 1) {
    const int64_t step = evenly_spaced(starts, head, heads) ? heads : 1;
    for (int64_t h = 0; h < heads; h += step) {
      view_of(storage, starts, head + h, step, slot, slots)
          .copy_(entries.narrow(0, from_head + h, step));
    }
    return;
  }
  const size_t element = storage.element_size();
  const size_t row = static_cast<size_t>(storage.size(1)) * element;
  char* to = static_cast<char*>(storage.data_ptr());
  const char* from = static_cast<const char*>(entries.const_data_ptr());
  for (int64_t h = 0; h < heads; ++h) {
    const int64_t start = starts[static_cast<size_t>(head + h)] + slot;
    for (int64_t s = 0; s < slots; ++s) {
      const int64_t source = (from_head + h) * entries.stride(0) + s * entries.stride(1);
      std::memcpy(to + static_cast<size_t>(start + s) * row,
                  from + static_cast<size_t>(source) * element, row);
    }
  }
}

/// Copies the entry in slot `from` of `heads` heads from `head` on to slot `to`.
void move_entry(const at::Tensor& storage, const Starts& starts, int64_t head, int64_t heads,
                int64_t from, int64_t to) {
  if (!storage.is_cpu()) {
    const int64_t step = evenly_spaced(starts, head, heads) ? heads : 1;
    for (int64_t h = head; h < head + heads; h += step) {
      view_of(storage, starts, h, step, to, 1).copy_(view_of(storage, starts, h, step, from, 1));
    }
    return;
  }
  const size_t row = static_cast<size_t>(storage.size(1)) * storage.element_size();
  char* data = static_cast<char*>(storage.data_ptr());
  for (int64_t h = head; h < head + heads; ++h) {
    const int64_t start = starts[static_cast<size_t>(h)];
    std::memcpy(data + static_cast<size_t>(start + to) * row,
                data + static_cast<size_t>(start + from) * row, row);
  }
}

at::Tensor one_head(const at::Tensor& storage, const Starts& starts,
                    const std::vector<int64_t>& lengths, int64_t head) {
  ELASTIKV_ASSERT(head >= 0 && static_cast<size_t>(head) < lengths.size() && storage.defined(),
                  "head {} of {}", head, lengths.size());
  const auto h = static_cast<size_t>(head);
  return storage.narrow(0, starts[h], lengths[h]);
}

at::Tensor all_heads(const at::Tensor& storage, const Starts& starts,
                     const std::vector<int64_t>& lengths) {
  const auto heads = static_cast<int64_t>(lengths.size());
  for (const int64_t length : lengths)
    ELASTIKV_ASSERT(length == lengths[0] && length > 0, "heads of {} and {} entries", lengths[0],
                    length);
  if (evenly_spaced(starts, 0, heads)) return view_of(storage, starts, 0, heads, 0, lengths[0]);
  std::vector<at::Tensor> parts;
  parts.reserve(lengths.size());
  for (int64_t h = 0; h < heads; ++h) parts.push_back(one_head(storage, starts, lengths, h));
  return at::stack(parts);
}

int64_t sum_of(const std::vector<int64_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), int64_t{0});
}

}  // namespace

KVCache::KVCache(CacheShape shape) : shape_(shape), layers_(static_cast<size_t>(shape.layers)) {
  for (Layer& layer : layers_) {
    layer.positions.resize(1);
    for (auto* per_head : {&layer.starts, &layer.capacities, &layer.head_lengths})
      per_head->assign(static_cast<size_t>(shape_.kv_heads), 0);
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
const std::vector<int64_t>& KVCache::head_starts(int64_t layer) const { return at(layer).starts; }

int64_t KVCache::layout(int64_t layer) const { return at(layer).layout; }

bool KVCache::has_logit_bias(int64_t layer) const { return !at(layer).logit_bias.empty(); }
const std::vector<std::vector<float>>& KVCache::logit_bias(int64_t layer) const {
  return at(layer).logit_bias;
}

const at::Tensor& KVCache::key_storage(int64_t layer) const { return at(layer).keys; }
const at::Tensor& KVCache::value_storage(int64_t layer) const { return at(layer).values; }

at::Tensor KVCache::head_keys(int64_t layer, int64_t head) const {
  return one_head(at(layer).keys, at(layer).starts, at(layer).head_lengths, head);
}
at::Tensor KVCache::head_values(int64_t layer, int64_t head) const {
  return one_head(at(layer).values, at(layer).starts, at(layer).head_lengths, head);
}
at::Tensor KVCache::keys(int64_t layer) const {
  return all_heads(at(layer).keys, at(layer).starts, at(layer).head_lengths);
}
at::Tensor KVCache::values(int64_t layer) const {
  return all_heads(at(layer).values, at(layer).starts, at(layer).head_lengths);
}

void KVCache::update_head_lengths(Layer& layer) {
  const size_t groups = layer.positions.size();
  for (size_t h = 0; h < layer.head_lengths.size(); ++h) {
    layer.head_lengths[h] = static_cast<int64_t>(layer.positions[groups == 1 ? 0 : h].size());
  }
}

void KVCache::split_groups(Layer& layer) const {
  if (layer.positions.size() != 1) return;
  const auto heads = static_cast<size_t>(shape_.kv_heads);
  layer.positions.resize(heads, layer.positions[0]);
  if (!layer.logit_bias.empty()) layer.logit_bias.resize(heads, layer.logit_bias[0]);
}

bool KVCache::has_room(const Layer& layer, int64_t added) {
  if (layer.shared || !layer.keys.defined()) return false;
  for (size_t h = 0; h < layer.capacities.size(); ++h) {
    if (layer.capacities[h] < layer.head_lengths[h] + added) return false;
  }
  return true;
}

void KVCache::allocate(Layer& layer, std::vector<int64_t> capacities) const {
  const auto options = at::TensorOptions().dtype(shape_.dtype).device(shape_.device);
  const int64_t slots = sum_of(capacities);
  layer.keys = at::empty({slots, shape_.head_dim}, options);
  layer.values = at::empty({slots, shape_.head_dim}, options);
  std::exclusive_scan(capacities.begin(), capacities.end(), layer.starts.begin(), int64_t{0});
  layer.capacities = std::move(capacities);
  layer.shared = false;
}

void KVCache::reallocate(Layer& layer, std::vector<int64_t> capacities) const {
  const at::Tensor keys = std::move(layer.keys);
  const at::Tensor values = std::move(layer.values);
  const std::vector<int64_t> starts = layer.starts;
  allocate(layer, std::move(capacities));
  for (int64_t h = 0; h < shape_.kv_heads; ++h) {
    const auto head = static_cast<size_t>(h);
    const int64_t used = layer.head_lengths[head];
    if (used == 0) continue;
    layer.keys.narrow(0, layer.starts[head], used).copy_(keys.narrow(0, starts[head], used));
    layer.values.narrow(0, layer.starts[head], used).copy_(values.narrow(0, starts[head], used));
  }
}

void KVCache::own(Layer& layer, int64_t added) const {
  if (has_room(layer, added)) return;
  std::vector<int64_t> capacities = layer.head_lengths;
  for (size_t h = 0; h < capacities.size(); ++h) {
    capacities[h] += std::max(added, reserved_);
    // A layer that grows on and on is copied ever more rarely.
    if (!layer.shared)
      capacities[h] = std::max(capacities[h], layer.capacities[h] + layer.capacities[h] / 2);
  }
  reallocate(layer, std::move(capacities));
}

void KVCache::reserve(int64_t extra) {
  reserved_ = extra;
  for (Layer& layer : layers_) {
    if (has_room(layer, extra)) continue;
    std::vector<int64_t> capacities = layer.head_lengths;
    for (int64_t& capacity : capacities) capacity += extra;
    reallocate(layer, std::move(capacities));
  }
}

void KVCache::append(int64_t layer_index, const at::Tensor& keys, const at::Tensor& values,
                     int64_t first_position) {
  Layer& layer = at(layer_index);
  const int64_t added = keys.size(1);
  ELASTIKV_ASSERT(keys.size(0) == shape_.kv_heads && keys.size(2) == shape_.head_dim &&
                      values.sizes() == keys.sizes(),
                  "keys and values must be [kv_heads, tokens, head_dim]");
  own(layer, added);
  const int64_t parts = groups(layer_index);
  const int64_t heads = parts == 1 ? shape_.kv_heads : 1;
  for (int64_t p = 0; p < parts; ++p) {
    const int64_t length = layer.head_lengths[static_cast<size_t>(p)];
    write_entries(layer.keys, layer.starts, p, heads, length, keys, p);
    write_entries(layer.values, layer.starts, p, heads, length, values, p);
  }
  for (auto& positions : layer.positions) {
    for (int64_t i = 0; i < added; ++i) positions.push_back(first_position + i);
  }
  for (auto& biases : layer.logit_bias)
    biases.resize(biases.size() + static_cast<size_t>(added), 0.0F);
  update_head_lengths(layer);
}

void KVCache::append_row(int64_t layer_index, const at::Tensor& keys, const at::Tensor& values,
                         int64_t row, int64_t position) {
  Layer& layer = at(layer_index);
  if (!keys.is_cpu() || keys.stride(2) != 1 || values.stride(2) != 1 ||
      keys.scalar_type() != shape_.dtype || values.scalar_type() != shape_.dtype) {
    // A row seen as [kv_heads, 1, head_dim], without a chain of views.
    const auto entry = [&](const at::Tensor& x) {
      return x.as_strided({x.size(1), 1, x.size(2)}, {x.stride(1), x.size(2), x.stride(2)},
                          x.storage_offset() + row * x.stride(0));
    };
    append(layer_index, entry(keys), entry(values), position);
    return;
  }
  // At one token a step the overhead of ATen's views would cost more than the bytes.
  own(layer, /*added=*/1);
  const size_t element = keys.element_size();
  const size_t bytes = static_cast<size_t>(shape_.head_dim) * element;
  const auto write = [&](const at::Tensor& storage, const at::Tensor& x) {
    auto* to = static_cast<char*>(storage.data_ptr());
    const auto* from = static_cast<const char*>(x.const_data_ptr());
    for (size_t h = 0; h < layer.starts.size(); ++h) {
      const auto slot = static_cast<size_t>(layer.starts[h] + layer.head_lengths[h]);
      const int64_t source = row * x.stride(0) + static_cast<int64_t>(h) * x.stride(1);
      std::memcpy(to + slot * bytes, from + static_cast<size_t>(source) * element, bytes);
    }
  };
  write(layer.keys, keys);
  write(layer.values, values);
  for (auto& positions : layer.positions) positions.push_back(position);
  for (auto& biases : layer.logit_bias) biases.push_back(0.0F);
  for (int64_t& length : layer.head_lengths) ++length;
}

void KVCache::adopt(int64_t layer_index, const at::Tensor& keys, const at::Tensor& values,
                    int64_t first_position) {
  Layer& layer = at(layer_index);
  ELASTIKV_ASSERT(max_length(layer_index) == 0, "layer {} already holds entries", layer_index);
  ELASTIKV_ASSERT(
      keys.is_contiguous() && values.is_contiguous() && keys.size(0) == shape_.kv_heads &&
          keys.size(2) == shape_.head_dim && keys.scalar_type() == shape_.dtype,
      "keys and values must be contiguous [kv_heads, tokens, head_dim] of the cache's dtype");
  const int64_t tokens = keys.size(1);
  layer.keys = keys.view({shape_.kv_heads * tokens, shape_.head_dim});
  layer.values = values.view({shape_.kv_heads * tokens, shape_.head_dim});
  for (size_t h = 0; h < layer.starts.size(); ++h) {
    layer.starts[h] = static_cast<int64_t>(h) * tokens;
    layer.capacities[h] = tokens;
  }
  layer.shared = false;
  layer.positions.assign(1, std::vector<int64_t>(static_cast<size_t>(tokens)));
  std::iota(layer.positions[0].begin(), layer.positions[0].end(), first_position);
  layer.logit_bias.clear();
  update_head_lengths(layer);
}

KVCache::Entries KVCache::gather(const Layer& layer, int64_t part, const LayerPlan& plan,
                                 const RotaryTable* rotary) const {
  const bool turns = plan.source.defined() && plan.merge_keys && !unrotated_ &&
                     plan.key_space == LayerPlan::KeySpace::kUnrotated;
  ELASTIKV_ASSERT(!turns || rotary != nullptr, "keys are merged un-rotated without a rotary table");
  const auto& positions = layer.positions[static_cast<size_t>(part)];
  const auto length = static_cast<int64_t>(positions.size());
  // A shared decision over a layer whose heads already differ is carried out head by head.
  const int64_t heads = layer.positions.size() == 1 ? shape_.kv_heads : 1;
  const int64_t g = plan.kept.size(0) == 1 ? 0 : part;
  MergeRows rows;
  rows.kept = unpadded_row(plan.kept, g);
  const auto kept = rows.kept.accessor<int64_t, 1>();
  Entries result;
  result.positions.reserve(static_cast<size_t>(kept.size(0)));
  for (int64_t i = 0; i < kept.size(0); ++i) {
    ELASTIKV_ASSERT(kept[i] < length, "slot {} of {} is kept", kept[i], length);
    result.positions.push_back(positions[static_cast<size_t>(kept[i])]);
  }
  if (kept.size(0) == 0) return result;
  const auto entries = [&](const at::Tensor& storage) {
    return view_of(storage, layer.starts, part, heads, /*slot=*/0, length);
  };
  if (!plan.merge_keys) result.keys = gather_and_merge(entries(layer.keys), rows);
  rows.source = unpadded_row(plan.source, g);
  rows.anchor = unpadded_row(plan.anchor, g);
  rows.source_weight =
      weight_row(plan.source_weight, g, rows.source.defined() ? rows.source.size(0) : 0);
  rows.anchor_weight = weight_row(plan.anchor_weight, g, kept.size(0));
  rows.mean = plan.rule == LayerPlan::Rule::kMean;
  result.values = gather_and_merge(entries(layer.values), rows);
  if (!plan.merge_keys) return result;
  if (turns) {
    rows.rotary = rotary;
    rows.turns = rotary_positions(result.positions).index_select(-1, rows.anchor) -
                 rotary_positions(positions).index_select(-1, rows.source);
  }
  result.keys = gather_and_merge(entries(layer.keys), rows);
  return result;
}

void KVCache::apply(int64_t layer_index, const LayerPlan& plan, const RotaryTable* rotary) {
  if (plan.keeps_everything()) return;
  Layer& layer = at(layer_index);
  const int64_t groups = plan.kept.size(0);
  ELASTIKV_ASSERT(groups == 1 || groups == shape_.kv_heads, "a plan for {} groups, {} KV heads",
                  groups, shape_.kv_heads);
  if (groups > 1) split_groups(layer);
  const auto parts = static_cast<int64_t>(layer.positions.size());
  const int64_t heads = parts == 1 ? shape_.kv_heads : 1;
  const bool biased = !layer.logit_bias.empty() || plan.logit_bias.defined();
  std::vector<Entries> kept;
  std::vector<std::vector<int64_t>> new_positions;
  std::vector<std::vector<float>> new_biases(static_cast<size_t>(biased ? parts : 0));
  kept.reserve(static_cast<size_t>(parts));
  new_positions.reserve(static_cast<size_t>(parts));
  for (int64_t p = 0; p < parts; ++p) {
    const auto part = static_cast<size_t>(p);
    kept.push_back(gather(layer, p, plan, rotary));
    new_positions.push_back(std::move(kept.back().positions));
    ELASTIKV_ASSERT(!new_positions.back().empty(), "layer {}: a plan that keeps nothing",
                    layer_index);
    if (!biased) continue;
    const int64_t g = groups == 1 ? 0 : p;
    std::vector<float>& biases = new_biases[part];
    biases.resize(new_positions.back().size(), 0.0F);
    const auto slots = plan.kept.accessor<int64_t, 2>()[g];
    for (size_t i = 0; i < biases.size(); ++i) {
      const auto index = static_cast<int64_t>(i);
      if (!layer.logit_bias.empty())
        biases[i] = layer.logit_bias[part][static_cast<size_t>(slots[index])];
      if (plan.logit_bias.defined()) biases[i] += plan.logit_bias.accessor<float, 2>()[g][index];
    }
  }

  layer.positions = std::move(new_positions);
  ++layer.layout;
  layer.logit_bias = std::move(new_biases);
  update_head_lengths(layer);
  std::vector<int64_t> capacities = layer.head_lengths;
  for (int64_t& capacity : capacities) capacity += reserved_;
  // What is there is used again, unless it is shared, too small, or more than is needed.
  if (!has_room(layer, /*added=*/0) || sum_of(layer.capacities) > sum_of(capacities))
    allocate(layer, std::move(capacities));
  for (int64_t p = 0; p < parts; ++p) {
    const auto part = static_cast<size_t>(p);
    write_entries(layer.keys, layer.starts, p, heads, /*slot=*/0, kept[part].keys, 0);
    write_entries(layer.values, layer.starts, p, heads, /*slot=*/0, kept[part].values, 0);
  }
}

void KVCache::apply(int64_t layer_index, const StepPlan& plan, const RotaryTable* rotary) {
  if (!plan.rebuild.keeps_everything()) {
    apply(layer_index, plan.rebuild, rotary);
    return;
  }
  Layer& layer = at(layer_index);
  if (plan.give_up.size() > 1) split_groups(layer);
  if (!plan.join.keeps_everything()) join(layer_index, plan.join, rotary);
  if (plan.give_up.empty()) return;
  for (size_t p = 0; p < layer.positions.size(); ++p) {
    std::vector<int64_t> slots = plan.give_up[plan.give_up.size() == 1 ? 0 : p];
    // From the back, so that the slot that fills a hole is never one that is still to be given up.
    std::sort(slots.begin(), slots.end(), std::greater<>());
    for (const int64_t slot : slots) give_up(layer_index, static_cast<int64_t>(p), slot);
  }
}

void KVCache::join(int64_t layer_index, const LayerPlan& plan, const RotaryTable* rotary) {
  Layer& layer = at(layer_index);
  own(layer, /*added=*/0);
  const int64_t groups = plan.kept.size(0);
  const auto parts = static_cast<int64_t>(layer.positions.size());
  ELASTIKV_ASSERT(groups == 1 || groups == parts, "layer {}: {} groups join, {} are there",
                  layer_index, groups, parts);
  const int64_t heads = parts == 1 ? shape_.kv_heads : 1;
  const auto slots = plan.kept.accessor<int64_t, 2>();
  for (int64_t p = 0; p < parts; ++p) {
    const Entries anchors = gather(layer, p, plan, rotary);
    for (size_t i = 0; i < anchors.positions.size(); ++i) {
      const auto index = static_cast<int64_t>(i);
      const int64_t slot = slots[groups == 1 ? 0 : p][index];
      const auto write = [&](const at::Tensor& storage, const at::Tensor& merged) {
        write_entries(storage, layer.starts, p, heads, slot, merged.narrow(1, index, 1), 0);
      };
      if (plan.merge_keys) write(layer.keys, anchors.keys);
      write(layer.values, anchors.values);
    }
  }
}

void KVCache::give_up(int64_t layer_index, int64_t group, int64_t slot) {
  Layer& layer = at(layer_index);
  auto& positions = layer.positions[static_cast<size_t>(group)];
  const auto last = static_cast<int64_t>(positions.size()) - 1;
  ELASTIKV_ASSERT(slot >= 0 && slot <= last && last > 0, "layer {}: slot {} of {} is given up",
                  layer_index, slot, last + 1);
  if (slot != last) {
    own(layer, /*added=*/0);
    const int64_t heads = layer.positions.size() == 1 ? shape_.kv_heads : 1;
    move_entry(layer.keys, layer.starts, group, heads, last, slot);
    move_entry(layer.values, layer.starts, group, heads, last, slot);
    positions[static_cast<size_t>(slot)] = positions.back();
  }
  positions.pop_back();
  if (!layer.logit_bias.empty()) {
    std::vector<float>& biases = layer.logit_bias[static_cast<size_t>(group)];
    biases[static_cast<size_t>(slot)] = biases.back();
    biases.pop_back();
  }
  update_head_lengths(layer);
}

void KVCache::permute(int64_t layer_index, const at::Tensor& order) {
  LayerPlan plan;
  plan.kept = order.view({1, -1});
  apply(layer_index, plan);
}

void KVCache::set_rotary_positions(at::Tensor positions) {
  ELASTIKV_ASSERT(positions.dim() == 2 && positions.is_cpu(), "rotary positions of shape {}",
                  positions.dim());
  next_rotary_position_ = positions.max().item<int64_t>() + 1;
  rotary_positions_ = std::move(positions);
}

int64_t KVCache::rotary_position(int64_t token) const {
  if (!rotary_positions_.defined()) return token;
  ELASTIKV_ASSERT(token >= rotary_positions_.size(1), "token {} is of the prompt", token);
  return next_rotary_position_ + token - rotary_positions_.size(1);
}

at::Tensor KVCache::rotary_positions(const std::vector<int64_t>& tokens) const {
  at::Tensor indices = at::tensor(tokens, at::kLong);
  if (!rotary_positions_.defined()) return indices;
  const int64_t prompt = rotary_positions_.size(1);
  const at::Tensor of_prompt =
      rotary_positions_.index_select(1, indices.clamp(/*min=*/0, /*max=*/prompt - 1));
  return at::where(indices < prompt, of_prompt, indices + (next_rotary_position_ - prompt));
}

void KVCache::unrotate_keys(const RotaryTable& rotary) {
  ELASTIKV_ASSERT(!unrotated_, "a rotation is taken off twice");
  for (Layer& layer : layers_) {
    if (!layer.keys.defined()) continue;
    own(layer, /*added=*/0);
    const auto parts = static_cast<int64_t>(layer.positions.size());
    const int64_t heads = parts == 1 ? shape_.kv_heads : 1;
    for (int64_t p = 0; p < parts; ++p) {
      const std::vector<int64_t>& positions = layer.positions[static_cast<size_t>(p)];
      const at::Tensor keys = view_of(layer.keys, layer.starts, p, heads, /*slot=*/0,
                                      static_cast<int64_t>(positions.size()));
      keys.copy_(rotary.unrotate(keys, rotary_positions(positions).to(shape_.device)));
    }
  }
  unrotated_ = true;
}

KVCache KVCache::fork() const {
  KVCache copy = *this;
  copy.reserved_ = 0;
  for (Layer& layer : copy.layers_) layer.shared = true;
  // This side's storage is shared too from now on; the flag says who must copy before writing.
  for (const Layer& layer : layers_) layer.shared = true;
  return copy;
}

int64_t KVCache::entry_bytes() const {
  return shape_.head_dim * 2 * static_cast<int64_t>(c10::elementSize(shape_.dtype));
}

int64_t KVCache::bytes() const {
  int64_t slots = 0;
  for (const Layer& layer : layers_) slots += sum_of(layer.head_lengths);
  return slots * entry_bytes();
}

int64_t KVCache::allocated_bytes() const {
  size_t bytes = 0;
  for (const Layer& layer : layers_) {
    if (layer.keys.defined()) bytes += layer.keys.storage().nbytes();
    if (layer.values.defined()) bytes += layer.values.storage().nbytes();
  }
  return static_cast<int64_t>(bytes);
}

std::vector<int64_t> KVCache::slots_per_layer() const {
  std::vector<int64_t> slots;
  for (const Layer& layer : layers_) {
    slots.push_back((sum_of(layer.head_lengths) + shape_.kv_heads / 2) / shape_.kv_heads);
  }
  return slots;
}

}  // namespace elastikv
