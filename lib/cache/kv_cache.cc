#include "cache/kv_cache.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
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

/// The numbers of an int64 tensor; none of an undefined one.
std::vector<int64_t> numbers_of(const at::Tensor& row) {
  if (!row.defined()) return {};
  const auto* first = row.const_data_ptr<int64_t>();
  return {first, first + row.size(0)};
}

std::vector<int64_t> selected(const std::vector<int64_t>& from,
                              const std::vector<int64_t>& indices) {
  std::vector<int64_t> result;
  result.reserve(indices.size());
  for (const int64_t index : indices) result.push_back(from[static_cast<size_t>(index)]);
  return result;
}

}  // namespace

KVCache::KVCache(CacheShape shape)
    : shape_(shape),
      layers_(static_cast<size_t>(shape.layers), {LayerStorage(shape), {}, {}, /*layout=*/0}) {
  for (Layer& layer : layers_) layer.positions.resize(1);
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
  const auto& lengths = at(layer).storage.lengths();
  return *std::max_element(lengths.begin(), lengths.end());
}

const std::vector<int64_t>& KVCache::positions(int64_t layer, int64_t group) const {
  const auto& groups = at(layer).positions;
  ELASTIKV_ASSERT(group >= 0 && static_cast<size_t>(group) < groups.size(), "group {} of {}", group,
                  groups.size());
  return groups[static_cast<size_t>(group)];
}

const std::vector<int64_t>& KVCache::head_lengths(int64_t layer) const {
  return at(layer).storage.lengths();
}

int64_t KVCache::layout(int64_t layer) const { return at(layer).layout; }

bool KVCache::has_logit_bias(int64_t layer) const { return !at(layer).logit_bias.empty(); }
const std::vector<std::vector<float>>& KVCache::logit_bias(int64_t layer) const {
  return at(layer).logit_bias;
}

std::vector<int64_t> KVCache::rank_distances(int64_t layer, int64_t group) const {
  const std::vector<int64_t>& of_group = positions(layer, group);
  std::vector<int64_t> order(of_group.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return of_group[static_cast<size_t>(a)] < of_group[static_cast<size_t>(b)];
  });
  std::vector<int64_t> distances(of_group.size());
  for (size_t i = 0; i < order.size(); ++i) {
    distances[static_cast<size_t>(order[i])] = static_cast<int64_t>(order.size() - 1 - i);
  }
  return distances;
}

EntryView KVCache::view(int64_t layer) const {
  EntryView view = at(layer).storage.view();
  if (has_logit_bias(layer)) view.logit_bias = &logit_bias(layer);
  return view;
}

at::Tensor KVCache::head_keys(int64_t layer, int64_t head) const {
  return keys_of(at(layer).storage.view(), head);
}
at::Tensor KVCache::head_values(int64_t layer, int64_t head) const {
  return values_of(at(layer).storage.view(), head);
}
at::Tensor KVCache::keys(int64_t layer) const { return at(layer).storage.all_keys(); }
at::Tensor KVCache::values(int64_t layer) const { return at(layer).storage.all_values(); }

void KVCache::split_groups(Layer& layer) {
  if (layer.positions.size() != 1) return;
  layer.storage.split();
  const auto heads = static_cast<size_t>(layer.storage.parts());
  layer.positions.resize(heads, layer.positions[0]);
  if (!layer.logit_bias.empty()) layer.logit_bias.resize(heads, layer.logit_bias[0]);
}

void KVCache::reserve(const Room& room) {
  room_ = room;
  for (Layer& layer : layers_) layer.storage.reserve(room);
}

void KVCache::append(int64_t layer_index, const at::Tensor& keys, const at::Tensor& values,
                     int64_t first_position) {
  Layer& layer = at(layer_index);
  const int64_t added = keys.size(1);
  ELASTIKV_ASSERT(keys.size(0) == shape_.kv_heads && keys.size(2) == shape_.head_dim &&
                      values.sizes() == keys.sizes(),
                  "keys and values must be [kv_heads, tokens, head_dim]");
  layer.storage.append(keys, values, room_);
  add_tokens(layer, first_position, added);
}

void KVCache::add_tokens(Layer& layer, int64_t first_position, int64_t tokens) {
  for (auto& positions : layer.positions) {
    for (int64_t i = 0; i < tokens; ++i) positions.push_back(first_position + i);
  }
  for (auto& biases : layer.logit_bias)
    biases.resize(biases.size() + static_cast<size_t>(tokens), 0.0F);
}

void KVCache::append_row(int64_t layer_index, const at::Tensor& keys, const at::Tensor& values,
                         int64_t row, int64_t position) {
  Layer& layer = at(layer_index);
  layer.storage.append_row(keys, values, row, room_);
  for (auto& positions : layer.positions) positions.push_back(position);
  for (auto& biases : layer.logit_bias) biases.push_back(0.0F);
}

void KVCache::append_unwritten(int64_t layer_index, int64_t first_position, int64_t tokens) {
  Layer& layer = at(layer_index);
  layer.storage.append_unwritten(tokens, room_);
  add_tokens(layer, first_position, tokens);
}

void KVCache::adopt(int64_t layer_index, const at::Tensor& keys, const at::Tensor& values,
                    int64_t first_position) {
  Layer& layer = at(layer_index);
  ELASTIKV_ASSERT(max_length(layer_index) == 0, "layer {} already holds entries", layer_index);
  ELASTIKV_ASSERT(
      keys.is_contiguous() && values.is_contiguous() && keys.size(0) == shape_.kv_heads &&
          keys.size(2) == shape_.head_dim && keys.scalar_type() == shape_.dtype,
      "keys and values must be contiguous [kv_heads, tokens, head_dim] of the cache's dtype");
  layer.storage.adopt(keys, values);
  layer.positions.assign(1, std::vector<int64_t>(static_cast<size_t>(keys.size(1))));
  std::iota(layer.positions[0].begin(), layer.positions[0].end(), first_position);
  layer.logit_bias.clear();
}

LayerStorage::Part KVCache::gather(const Layer& layer, int64_t part, const LayerPlan& plan,
                                   const RotaryTable* rotary, bool whole) const {
  const bool turns = turns_keys(plan);
  ELASTIKV_ASSERT(!turns || rotary != nullptr, "keys are merged un-rotated without a rotary table");
  const auto& positions = layer.positions[static_cast<size_t>(part)];
  const auto length = std::ssize(positions);
  // A shared decision over a layer whose heads already differ is carried out head by head.
  const int64_t g = plan.kept.size(0) == 1 ? 0 : part;
  LayerStorage::Part result;
  result.slots = numbers_of(unpadded_row(plan.kept, g));
  for (const int64_t slot : result.slots)
    ELASTIKV_ASSERT(slot < length, "slot {} of {} is kept", slot, length);
  if (result.slots.empty()) return result;

  MergeRows rows;
  rows.source = unpadded_row(plan.source, g);
  rows.anchor = unpadded_row(plan.anchor, g);
  const int64_t merges = rows.source.defined() ? rows.source.size(0) : 0;
  rows.source_weight = weight_row(plan.source_weight, g, merges);
  rows.anchor_weight = weight_row(plan.anchor_weight, g, std::ssize(result.slots));
  rows.mean = plan.rule == LayerPlan::Rule::kMean;
  if (turns) {
    rows.rotary = rotary;
    rows.turns = rotary_positions(selected(positions, result.slots)).index_select(-1, rows.anchor) -
                 rotary_positions(positions).index_select(-1, rows.source);
  }
  // Anchors without sources stay as they are, unless a sum scales them.
  std::vector<bool> changed(result.slots.size(),
                            whole || (!rows.mean && rows.anchor_weight.defined()));
  const std::vector<int64_t> anchors = numbers_of(rows.anchor);
  for (const int64_t anchor : anchors) changed[static_cast<size_t>(anchor)] = true;
  result.rewritten = layer.storage.to_rewrite(part, result.slots, changed);
  if (result.rewritten.empty()) return result;

  at::Tensor keys;
  at::Tensor values;
  if (layer.storage.is_contiguous()) {
    keys = layer.storage.contiguous_keys(part);
    values = layer.storage.contiguous_values(part);
    rows.kept = at::tensor(result.slots, at::kLong);
  } else {
    // Only what changes is read: the entries rewritten, then the sources.
    std::vector<int64_t> read = selected(result.slots, result.rewritten);
    std::vector<int64_t> place(result.slots.size());
    for (size_t i = 0; i < result.rewritten.size(); ++i)
      place[static_cast<size_t>(result.rewritten[i])] = static_cast<int64_t>(i);
    const auto kept = std::ssize(read);
    for (const int64_t source : numbers_of(rows.source)) read.push_back(source);
    const EntryView view = layer.storage.view();
    keys = keys_of(view, part, layer.storage.heads(), read);
    values = values_of(view, part, layer.storage.heads(), read);
    rows.kept = at::arange(kept, at::kLong);
    if (rows.source.defined()) {
      rows.source = at::arange(kept, kept + merges, at::kLong);
      rows.anchor = at::tensor(selected(place, anchors), at::kLong);
    }
    if (rows.anchor_weight.defined()) {
      rows.anchor_weight =
          rows.anchor_weight.index_select(0, at::tensor(result.rewritten, at::kLong));
    }
  }
  MergeRows unmerged;
  unmerged.kept = rows.kept;
  result.keys = gather_and_merge(keys, plan.merge_keys ? rows : unmerged);
  rows.turns.reset();
  rows.rotary = nullptr;
  result.values = gather_and_merge(values, rows);
  return result;
}

void KVCache::apply(int64_t layer_index, const LayerPlan& plan, const RotaryTable* rotary) {
  if (plan.keeps_everything()) return;
  Layer& layer = at(layer_index);
  const int64_t groups = plan.kept.size(0);
  ELASTIKV_ASSERT(groups == 1 || groups == shape_.kv_heads, "a plan for {} groups, {} KV heads",
                  groups, shape_.kv_heads);
  layer.storage.begin_change();
  if (groups > 1) split_groups(layer);
  const int64_t parts = layer.storage.parts();
  const bool biased = !layer.logit_bias.empty() || plan.logit_bias.defined();
  std::vector<LayerStorage::Part> kept;
  std::vector<std::vector<int64_t>> new_positions;
  std::vector<std::vector<float>> new_biases(static_cast<size_t>(biased ? parts : 0));
  kept.reserve(static_cast<size_t>(parts));
  new_positions.reserve(static_cast<size_t>(parts));
  for (int64_t p = 0; p < parts; ++p) {
    const auto part = static_cast<size_t>(p);
    kept.push_back(gather(layer, p, plan, rotary, /*whole=*/false));
    const std::vector<int64_t>& slots = kept.back().slots;
    ELASTIKV_ASSERT(!slots.empty(), "layer {}: a plan that keeps nothing", layer_index);
    new_positions.push_back(selected(layer.positions[part], slots));
    if (!biased) continue;
    std::vector<float>& biases = new_biases[part];
    biases.resize(slots.size(), 0.0F);
    for (size_t i = 0; i < biases.size(); ++i) {
      if (!layer.logit_bias.empty())
        biases[i] = layer.logit_bias[part][static_cast<size_t>(slots[i])];
      if (plan.logit_bias.defined()) {
        biases[i] +=
            plan.logit_bias.accessor<float, 2>()[groups == 1 ? 0 : p][static_cast<int64_t>(i)];
      }
    }
  }
  layer.positions = std::move(new_positions);
  layer.logit_bias = std::move(new_biases);
  ++layer.layout;
  layer.storage.rebuild(kept, room_);
}

void KVCache::apply(int64_t layer_index, const StepPlan& plan, const RotaryTable* rotary,
                    SlotJoins* joins) {
  if (!plan.rebuild.keeps_everything()) {
    apply(layer_index, plan.rebuild, rotary);
    return;
  }
  Layer& layer = at(layer_index);
  if (plan.evict.size() > 1) split_groups(layer);
  if (!plan.join.keeps_everything()) {
    if (joins != nullptr && joins_later(plan.join)) {
      join_later(layer_index, plan.join, rotary, *joins);
    } else {
      join(layer_index, plan.join, rotary);
    }
  }
  if (plan.evict.empty()) return;
  for (size_t p = 0; p < layer.positions.size(); ++p) {
    std::vector<int64_t> slots = plan.evict[plan.evict.size() == 1 ? 0 : p];
    // From the back, so that the slot that fills a hole is never one that is still to be evicted.
    std::sort(slots.begin(), slots.end(), std::greater<>());
    for (const int64_t slot : slots) evict(layer_index, static_cast<int64_t>(p), slot);
  }
}

void KVCache::join(int64_t layer_index, const LayerPlan& plan, const RotaryTable* rotary) {
  Layer& layer = at(layer_index);
  layer.storage.begin_change();
  const int64_t groups = plan.kept.size(0);
  const int64_t parts = layer.storage.parts();
  ELASTIKV_ASSERT(groups == 1 || groups == parts, "layer {}: {} groups join, {} are there",
                  layer_index, groups, parts);
  for (int64_t p = 0; p < parts; ++p) {
    const LayerStorage::Part anchors = gather(layer, p, plan, rotary, /*whole=*/true);
    if (!anchors.slots.empty()) layer.storage.write(p, anchors.slots, anchors.keys, anchors.values);
  }
}

bool KVCache::turns_keys(const LayerPlan& plan) const {
  return plan.source.defined() && plan.merge_keys && !unrotated_ &&
         plan.key_space == LayerPlan::KeySpace::kUnrotated;
}

bool KVCache::joins_later(const LayerPlan& plan) const {
  // The kernel turns keys by one angle.
  return mirror_.is_known() && !(turns_keys(plan) && rotary_positions_.defined());
}

void KVCache::join_later(int64_t layer_index, const LayerPlan& plan, const RotaryTable* rotary,
                         SlotJoins& joins) {
  Layer& layer = at(layer_index);
  const bool turns = turns_keys(plan);
  const auto parts = static_cast<size_t>(layer.storage.parts());
  const auto rows_of = [&](const at::Tensor& rows, size_t p) {
    return numbers_of(unpadded_row(rows, plan.kept.size(0) == 1 ? 0 : static_cast<int64_t>(p)));
  };
  const auto weight_at = [&](const at::Tensor& weights, size_t p, size_t i) {
    if (!weights.defined()) return 1.0F;
    const int64_t row = weights.size(0) == 1 ? 0 : static_cast<int64_t>(p);
    return weights.const_data_ptr<float>()[row * weights.size(1) + static_cast<int64_t>(i)];
  };
  std::vector<std::vector<int64_t>> anchors;
  for (size_t p = 0; p < parts; ++p) anchors.push_back(rows_of(plan.kept, p));
  layer.storage.make_room_for(anchors);
  for (size_t p = 0; p < parts; ++p) {
    const auto part = static_cast<int64_t>(p);
    const std::vector<int64_t>& slots = anchors[p];
    const std::vector<int64_t> sources = rows_of(plan.source, p);
    const std::vector<int64_t> anchor_of = rows_of(plan.anchor, p);
    const std::vector<int64_t>& positions = layer.positions[p];
    std::vector<std::vector<JoinSource>> joined(slots.size());
    for (size_t i = 0; i < sources.size(); ++i) {
      const auto anchor = static_cast<size_t>(anchor_of[i]);
      const int64_t turn = positions[static_cast<size_t>(slots[anchor])] -
                           positions[static_cast<size_t>(sources[i])];
      joined[anchor].push_back({layer.storage.place(part, sources[i]),
                                static_cast<int32_t>(turns ? turn : 0),
                                weight_at(plan.source_weight, p, i)});
    }
    std::vector<int32_t> from;
    from.reserve(slots.size());
    for (const int64_t slot : slots) from.push_back(layer.storage.place(part, slot));
    layer.storage.claim(part, slots);
    for (size_t a = 0; a < slots.size(); ++a) {
      SlotJoin join;
      if (turns) {
        join.cos = rotary->cos().const_data_ptr<float>();
        join.sin = rotary->sin().const_data_ptr<float>();
      }
      join.from = from[a];
      join.to = layer.storage.place(part, slots[a]);
      join.weight = weight_at(plan.anchor_weight, p, a);
      join.mean = plan.rule == LayerPlan::Rule::kMean;
      join.keys = plan.merge_keys;
      joins.add(*this, layer_index, part, join, std::move(joined[a]));
    }
  }
}

void KVCache::evict(int64_t layer_index, int64_t group, int64_t slot) {
  Layer& layer = at(layer_index);
  auto& positions = layer.positions[static_cast<size_t>(group)];
  const auto last = static_cast<int64_t>(positions.size()) - 1;
  ELASTIKV_ASSERT(slot >= 0 && slot <= last && last > 0, "layer {}: slot {} of {} is evicted",
                  layer_index, slot, last + 1);
  layer.storage.remove(group, slot);
  positions[static_cast<size_t>(slot)] = positions.back();
  positions.pop_back();
  if (!layer.logit_bias.empty()) {
    std::vector<float>& biases = layer.logit_bias[static_cast<size_t>(group)];
    biases[static_cast<size_t>(slot)] = biases.back();
    biases.pop_back();
  }
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

TurnBack KVCache::turn_back(const RotaryTable& rotary) const {
  return [this, &rotary](const at::Tensor& keys, const std::vector<int64_t>& tokens) {
    return rotary.unrotate(keys, rotary_positions(tokens).to(shape_.device));
  };
}

void KVCache::unrotate_keys(const RotaryTable& rotary) {
  ELASTIKV_ASSERT(!unrotated_, "a rotation is taken off twice");
  for (Layer& layer : layers_) layer.storage.unrotate(layer.positions, turn_back(rotary));
  unrotated_ = true;
}

KVCache KVCache::fork() const {
  KVCache copy = *this;
  copy.room_ = {};
  for (size_t i = 0; i < layers_.size(); ++i)
    copy.layers_[i].storage = layers_[i].storage.fork(layers_[i].positions);
  return copy;
}

int64_t KVCache::entry_bytes() const {
  return shape_.head_dim * 2 * static_cast<int64_t>(c10::elementSize(shape_.dtype));
}

int64_t KVCache::bytes() const {
  int64_t slots = 0;
  for (const Layer& layer : layers_) slots += layer.storage.slots();
  return slots * entry_bytes();
}

int64_t KVCache::allocated_bytes() const {
  int64_t bytes = 0;
  for (const Layer& layer : layers_) bytes += layer.storage.bytes();
  return bytes;
}

int64_t KVCache::own_bytes() const {
  int64_t bytes = 0;
  for (const Layer& layer : layers_) bytes += layer.storage.own_bytes();
  return bytes;
}

std::vector<int64_t> KVCache::slots_per_layer() const {
  std::vector<int64_t> slots;
  for (const Layer& layer : layers_) {
    slots.push_back((layer.storage.slots() + shape_.kv_heads / 2) / shape_.kv_heads);
  }
  return slots;
}

}  // namespace elastikv
