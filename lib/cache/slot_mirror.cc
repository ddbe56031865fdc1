#include "cache/slot_mirror.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/empty.h>

#include "cache/kv_cache.h"

namespace elastikv {
namespace {

/// An array that is sent with the updates.
int64_t added(SlotUpdates& updates, const std::vector<int64_t>& numbers) {
  updates.numbers.emplace_back(numbers.begin(), numbers.end());
  return updates.upload.add(updates.numbers.back());
}

}  // namespace

bool SlotMirror::make_room(const KVCache& cache, bool distances) {
  const int64_t layers = cache.shape().layers;
  int64_t parts = 1;
  int64_t longest = 0;
  bool bias = false;
  for (int64_t layer = 0; layer < layers; ++layer) {
    parts = std::max(parts, cache.groups(layer));
    longest = std::max(longest, cache.max_length(layer));
    bias = bias || cache.has_logit_bias(layer);
  }
  if (slots_.defined() && longest <= capacity_ && parts <= parts_ && bias <= with_bias_ &&
      distances == with_distances_)
    return false;
  layers_ = layers;
  parts_ = parts;
  with_bias_ = bias;
  with_distances_ = distances;
  // A cache that grows on and on is sent whole ever more rarely.
  constexpr int64_t kLeast = 64;
  capacity_ = longest + std::max(longest / 2, kLeast);
  const int64_t arrays = 1 + (distances ? 1 : 0) + (bias ? 1 : 0);
  const auto options = at::TensorOptions(at::kInt).device(cache.shape().device);
  slots_ = at::empty({arrays, layers, parts, capacity_}, options);
  lengths_ = at::empty({layers, parts}, options);
  table_.assign(static_cast<size_t>(layers * cache.shape().kv_heads), {});
  return true;
}

SlotMirror::Arrays SlotMirror::arrays(int64_t layer, int64_t part) const {
  const int64_t index = layer * parts_ + part;
  const int64_t array = layers_ * parts_ * capacity_;
  int32_t* places = slots_.data_ptr<int32_t>() + index * capacity_;
  int32_t* distances = with_distances_ ? places + array : nullptr;
  int32_t* bias = with_bias_ ? places + array * (with_distances_ ? 2 : 1) : nullptr;
  return {places, distances, reinterpret_cast<float*>(bias), lengths_.data_ptr<int32_t>() + index};
}

SlotUpdate SlotMirror::whole_layer(const KVCache& cache, int64_t layer, int64_t part,
                                   SlotUpdates& updates) const {
  const Arrays here = arrays(layer, part);
  const EntryView view = cache.view(layer);
  SlotUpdate update;
  update.length = here.length;
  update.slots = static_cast<int32_t>(cache.length(layer, part));
  if (view.places != nullptr) {
    update.places = here.places;
    update.new_places = updates.upload.add(of_head(*view.places, part));
  }
  if (with_distances_) {
    update.distances = here.distances;
    update.new_distances = added(updates, cache.rank_distances(layer, part));
  }
  if (view.logit_bias != nullptr) {
    update.bias = here.bias;
    update.new_bias = updates.upload.add(of_head(*view.logit_bias, part));
  }
  return update;
}

void SlotMirror::point_to_entries(const KVCache& cache, int64_t layer) {
  const EntryView view = cache.view(layer);
  const int64_t kv_heads = cache.shape().kv_heads;
  for (int64_t h = 0; h < kv_heads; ++h) {
    const auto head = static_cast<size_t>(h);
    HeadSlots& slots = table_[static_cast<size_t>(layer * kv_heads + h)];
    slots.keys = entry_address(view.keys, (*view.starts)[head]);
    slots.values = entry_address(view.values, (*view.starts)[head]);
    slots.prompt_keys = nullptr;
    slots.prompt_values = nullptr;
    if (view.places == nullptr) continue;
    slots.prompt_keys = entry_address(view.prompt_keys, (*view.prompt_starts)[head]);
    slots.prompt_values = entry_address(view.prompt_values, (*view.prompt_starts)[head]);
  }
}

void SlotMirror::point_to_slots(const KVCache& cache, int64_t layer) {
  const EntryView view = cache.view(layer);
  const int64_t kv_heads = cache.shape().kv_heads;
  for (int64_t h = 0; h < kv_heads; ++h) {
    const Arrays here = arrays(layer, cache.groups(layer) == 1 ? 0 : h);
    HeadSlots& slots = table_[static_cast<size_t>(layer * kv_heads + h)];
    slots.places = view.places == nullptr ? nullptr : here.places;
    slots.distances = here.distances;
    slots.bias = view.logit_bias == nullptr ? nullptr : here.bias;
    slots.length = here.length;
  }
}

void SlotMirror::point_to_entries(const KVCache& cache) {
  bool any = false;
  for (int64_t layer = 0; layer < layers_; ++layer) {
    if (cache.journal(layer).complete) continue;
    point_to_entries(cache, layer);
    any = true;
  }
  if (any) send_table(cache.shape().device);
}

void SlotMirror::send_table(c10::Device device) {
  Upload upload;
  upload.add(table_);
  table_on_device_ = upload.send(device);
}

void SlotMirror::follow(KVCache& cache, bool distances, SlotUpdates& updates) {
  const bool afresh = make_room(cache, distances);
  bool pointers_changed = false;
  for (int64_t layer = 0; layer < layers_; ++layer) {
    const SlotJournal& journal = cache.journal(layer);
    const bool whole = afresh || !journal.complete;
    for (int64_t part = 0; part < cache.groups(layer); ++part) {
      if (whole) {
        updates.updates.push_back(whole_layer(cache, layer, part, updates));
        continue;
      }
      const std::vector<SlotChange>& changes = journal.changes[static_cast<size_t>(part)];
      if (changes.empty()) continue;
      const Arrays here = arrays(layer, part);
      const HeadSlots& known = table_[static_cast<size_t>(layer * cache.shape().kv_heads + part)];
      SlotUpdate update;
      update.places = known.places == nullptr ? nullptr : here.places;
      update.distances = here.distances;
      update.bias = known.bias == nullptr ? nullptr : here.bias;
      update.length = here.length;
      updates.changes.push_back(changes);
      update.changes = updates.upload.add(updates.changes.back());
      update.change_count = static_cast<int32_t>(changes.size());
      updates.updates.push_back(update);
    }
    if (whole) {
      point_to_entries(cache, layer);
      point_to_slots(cache, layer);
    }
    pointers_changed = pointers_changed || whole;
    cache.begin_journal(layer);
  }
  if (pointers_changed) send_table(cache.shape().device);
}

}  // namespace elastikv
