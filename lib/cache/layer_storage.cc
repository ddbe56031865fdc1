#include "cache/layer_storage.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/tensor.h>

#include "base/error.h"
#include "cache/entry_ranges.h"
#include "cache/places.h"

namespace elastikv {
std::shared_ptr<const SharedEntries> SharedEntries::unrotated(const TurnBack& turn_back) const {
  const std::lock_guard<std::mutex> lock(making_);
  if (unrotated_ != nullptr) return unrotated_;
  auto twin = std::make_shared<SharedEntries>();
  twin->keys = at::empty_like(keys);
  twin->values = values;
  twin->starts = starts;
  twin->tokens = tokens;
  const auto parts = static_cast<int64_t>(tokens.size());
  const int64_t heads = parts == 1 ? static_cast<int64_t>(starts.size()) : 1;
  for (int64_t p = 0; p < parts; ++p) {
    const std::vector<int64_t>& of_part = tokens[static_cast<size_t>(p)];
    const auto slots = static_cast<int64_t>(of_part.size());
    view_of(twin->keys, starts, p, heads, /*entry=*/0, slots)
        .copy_(turn_back(view_of(keys, starts, p, heads, /*entry=*/0, slots), of_part));
  }
  unrotated_ = twin;
  return unrotated_;
}

LayerStorage::LayerStorage(const CacheShape& shape)
    : shape_(shape),
      starts_(static_cast<size_t>(shape.kv_heads), 0),
      capacities_(static_cast<size_t>(shape.kv_heads), 0),
      lengths_(static_cast<size_t>(shape.kv_heads), 0) {}

EntryView LayerStorage::view() const {
  EntryView view;
  view.keys = keys_;
  view.values = values_;
  view.starts = &starts_;
  view.lengths = &lengths_;
  if (is_contiguous()) return view;
  view.prompt_keys = prompt_->keys;
  view.prompt_values = prompt_->values;
  view.prompt_starts = &prompt_->starts;
  view.places = &places_;
  return view;
}

int64_t LayerStorage::slots() const { return sum_of(lengths_); }

int64_t LayerStorage::bytes() const {
  size_t bytes = 0;
  if (keys_.defined()) bytes += keys_.storage().nbytes();
  if (values_.defined()) bytes += values_.storage().nbytes();
  return static_cast<int64_t>(bytes);
}

void LayerStorage::add_to_lengths(int64_t part, int64_t added) {
  for (int64_t h = part; h < part + heads(); ++h) lengths_[static_cast<size_t>(h)] += added;
}

LayerStorage LayerStorage::fork(const std::vector<std::vector<int64_t>>& tokens) const {
  if (is_contiguous() && keys_.defined() && as_shared_ == nullptr) {
    auto shared = std::make_shared<SharedEntries>();
    shared->keys = keys_;
    shared->values = values_;
    shared->starts = starts_;
    shared->tokens = tokens;
    as_shared_ = std::move(shared);
  }
  shared_ = true;
  LayerStorage fork = *this;
  fork.cannot_tell();
  return fork;
}

void LayerStorage::tell(int64_t part, SlotChange change) {
  if (journal_.complete) journal_.changes[static_cast<size_t>(part)].push_back(change);
}

void LayerStorage::begin_journal() {
  journal_.complete = true;
  journal_.changes.resize(static_cast<size_t>(parts_));
  for (std::vector<SlotChange>& changes : journal_.changes) changes.clear();
}

void LayerStorage::begin_change() {
  if (!is_contiguous() || !shared_ || as_shared_ == nullptr) return;
  cannot_tell();
  prompt_ = std::move(as_shared_);
  as_shared_ = nullptr;
  keys_.reset();
  values_.reset();
  std::fill(starts_.begin(), starts_.end(), 0);
  std::fill(capacities_.begin(), capacities_.end(), 0);
  shared_ = false;
  own_.assign(static_cast<size_t>(parts_), {});
  places_.clear();
  for (int64_t p = 0; p < parts_; ++p) {
    auto& places = places_.emplace_back(static_cast<size_t>(length_of(p)));
    std::iota(places.begin(), places.end(), 0);
  }
}

void LayerStorage::split() {
  if (parts_ != 1) return;
  cannot_tell();
  parts_ = shape_.kv_heads;
  if (is_contiguous()) return;
  places_.resize(static_cast<size_t>(parts_), places_[0]);
  own_.resize(static_cast<size_t>(parts_), own_[0]);
}

void LayerStorage::allocate(std::vector<int64_t> capacities) {
  cannot_tell();
  const auto options = at::TensorOptions().dtype(shape_.dtype).device(shape_.device);
  const int64_t entries = sum_of(capacities);
  keys_ = entries == 0 ? at::Tensor() : at::empty({entries, shape_.head_dim}, options);
  values_ = entries == 0 ? at::Tensor() : at::empty({entries, shape_.head_dim}, options);
  std::exclusive_scan(capacities.begin(), capacities.end(), starts_.begin(), int64_t{0});
  capacities_ = std::move(capacities);
  shared_ = false;
  as_shared_ = nullptr;
}

void LayerStorage::reallocate(std::vector<int64_t> capacities) {
  const at::Tensor keys = std::move(keys_);
  const at::Tensor values = std::move(values_);
  const Starts starts = starts_;
  allocate(std::move(capacities));
  for (int64_t p = 0; p < parts_; ++p) {
    const auto part = static_cast<size_t>(p);
    std::vector<int64_t> in_use;
    if (!is_contiguous()) {
      for (int32_t& place : places_[part]) {
        if (place >= 0) continue;
        in_use.push_back(~place);
        place = own_place(std::ssize(in_use) - 1);
      }
      own_[part] = {std::ssize(in_use), {}};
    }
    const int64_t count = is_contiguous() ? length_of(p) : std::ssize(in_use);
    if (count == 0) continue;
    const at::Tensor indices =
        is_contiguous() ? at::Tensor() : at::tensor(in_use, at::kLong).to(shape_.device);
    for (int64_t h = p; h < p + heads(); ++h) {
      const auto head = static_cast<size_t>(h);
      const auto move = [&](const at::Tensor& from, const at::Tensor& to) {
        const at::Tensor entries = is_contiguous()
                                       ? from.narrow(0, starts[head], count)
                                       : from.index_select(0, indices.add(starts[head]));
        to.narrow(0, starts_[head], count).copy_(entries);
      };
      move(keys, keys_);
      move(values, values_);
    }
  }
}

int64_t LayerStorage::own_entries(size_t head) const {
  if (is_contiguous()) return lengths_[head];
  const OwnSlots& own = of_head(own_, static_cast<int64_t>(head));
  return own.used - std::ssize(own.free);
}

bool LayerStorage::holds(const std::vector<int64_t>& entries) const {
  return !shared_ && std::equal(entries.begin(), entries.end(), capacities_.begin(),
                                [](int64_t wanted, int64_t there) { return wanted <= there; });
}

bool LayerStorage::has_room(int64_t added) const {
  if (shared_) return false;
  if (added > 0 && !keys_.defined()) return false;
  // Asked for each token, so nothing is allocated here.
  for (size_t h = 0; h < capacities_.size(); ++h) {
    if (capacities_[h] < own_entries(h) + added) return false;
  }
  return true;
}

std::vector<int64_t> LayerStorage::wanted(int64_t added, const Room& room) const {
  std::vector<int64_t> entries(lengths_.size());
  for (size_t h = 0; h < entries.size(); ++h) {
    entries[h] = own_entries(h);
    // Entries of the prompt may go while others come, so that own ones become more than a head
    // becomes longer; never more than it may hold.
    const int64_t more = is_contiguous()
                             ? room.longer
                             : std::min(room.appended, lengths_[h] + room.longer - entries[h]);
    entries[h] += std::max(added, more);
  }
  return entries;
}

void LayerStorage::own(int64_t added, const Room& room) {
  begin_change();
  if (has_room(added)) return;
  std::vector<int64_t> capacities = wanted(added, room);
  for (size_t h = 0; h < capacities.size(); ++h) {
    // A layer that grows on and on is copied ever more rarely.
    if (!shared_) capacities[h] = std::max(capacities[h], capacities_[h] + capacities_[h] / 2);
  }
  reallocate(std::move(capacities));
}

void LayerStorage::reserve(const Room& room) {
  begin_change();  // nothing has to be copied of what is shared
  std::vector<int64_t> capacities = wanted(/*added=*/0, room);
  if (!holds(capacities)) reallocate(std::move(capacities));
}

int32_t LayerStorage::take(int64_t part) {
  OwnSlots& own = own_[static_cast<size_t>(part)];
  if (own.free.empty()) return static_cast<int32_t>(own.used++);
  const int32_t entry = own.free.back();
  own.free.pop_back();
  return entry;
}

int64_t LayerStorage::add_slot(int64_t part) {
  int64_t entry = length_of(part);
  if (!is_contiguous()) {
    entry = take(part);
    places_[static_cast<size_t>(part)].push_back(own_place(entry));
  }
  tell(part, {SlotChange::kNewSlot, own_place(entry)});
  return entry;
}

void LayerStorage::append_unwritten(int64_t added, const Room& room) {
  own(added, room);
  for (int64_t p = 0; p < parts_; ++p) {
    for (int64_t i = 0; i < added; ++i) {
      add_slot(p);
      add_to_lengths(p, 1);
    }
  }
}

void LayerStorage::adopt(const at::Tensor& keys, const at::Tensor& values) {
  cannot_tell();
  const int64_t tokens = keys.size(1);
  keys_ = keys.view({shape_.kv_heads * tokens, shape_.head_dim});
  values_ = values.view({shape_.kv_heads * tokens, shape_.head_dim});
  for (size_t h = 0; h < starts_.size(); ++h) {
    starts_[h] = static_cast<int64_t>(h) * tokens;
    capacities_[h] = tokens;
    lengths_[h] = tokens;
  }
  parts_ = 1;
  shared_ = false;
  as_shared_ = nullptr;
  prompt_ = nullptr;
  places_.clear();
  own_.clear();
}

void LayerStorage::append(const at::Tensor& keys, const at::Tensor& values, const Room& room) {
  const int64_t added = keys.size(1);
  own(added, room);
  cannot_tell();
  for (int64_t p = 0; p < parts_; ++p) {
    if (is_contiguous()) {
      write_entries(keys_, starts_, p, heads(), length_of(p), keys, p);
      write_entries(values_, starts_, p, heads(), length_of(p), values, p);
    } else {
      std::vector<int64_t> entries;
      for (int64_t i = 0; i < added; ++i) {
        entries.push_back(take(p));
        places_[static_cast<size_t>(p)].push_back(own_place(entries.back()));
      }
      write_runs(p, entries, keys, values, p);
    }
    add_to_lengths(p, added);
  }
}

void LayerStorage::append_row(const at::Tensor& keys, const at::Tensor& values, int64_t row,
                              const Room& room) {
  if (!keys.is_cpu() || keys.stride(2) != 1 || values.stride(2) != 1 ||
      keys.scalar_type() != shape_.dtype || values.scalar_type() != shape_.dtype) {
    // A row seen as [kv_heads, 1, head_dim], without a chain of views.
    const auto entry = [&](const at::Tensor& x) {
      return x.as_strided({x.size(1), 1, x.size(2)}, {x.stride(1), x.size(2), x.stride(2)},
                          x.storage_offset() + row * x.stride(0));
    };
    append(entry(keys), entry(values), room);
    return;
  }
  // At one token a step the overhead of ATen's views would cost more than the bytes.
  own(/*added=*/1, room);
  const size_t element = keys.element_size();
  const size_t bytes = static_cast<size_t>(shape_.head_dim) * element;
  auto* to_keys = static_cast<char*>(keys_.data_ptr());
  auto* to_values = static_cast<char*>(values_.data_ptr());
  const auto* from_keys = static_cast<const char*>(keys.const_data_ptr());
  const auto* from_values = static_cast<const char*>(values.const_data_ptr());
  const auto address = [&](const at::Tensor& x, int64_t head) {
    return static_cast<size_t>(row * x.stride(0) + head * x.stride(1)) * element;
  };
  for (int64_t p = 0; p < parts_; ++p) {
    const int64_t entry = add_slot(p);
    for (int64_t h = p; h < p + heads(); ++h) {
      const size_t to = static_cast<size_t>(starts_[static_cast<size_t>(h)] + entry) * bytes;
      std::memcpy(to_keys + to, from_keys + address(keys, h), bytes);
      std::memcpy(to_values + to, from_values + address(values, h), bytes);
    }
    add_to_lengths(p, 1);
  }
}

void LayerStorage::remove(int64_t part, int64_t slot) {
  const int64_t last = length_of(part) - 1;
  if (slot != last) begin_change();
  tell(part, {static_cast<int32_t>(slot), SlotChange::kRemoved});
  if (!is_contiguous()) {
    auto& places = places_[static_cast<size_t>(part)];
    int32_t& place = places[static_cast<size_t>(slot)];
    if (place < 0) own_[static_cast<size_t>(part)].free.push_back(~place);
    place = places.back();
    places.pop_back();
  } else if (slot != last) {
    move_entry(keys_, starts_, part, heads(), last, slot);
    move_entry(values_, starts_, part, heads(), last, slot);
  }
  add_to_lengths(part, -1);
}

void LayerStorage::write_runs(int64_t part, const std::vector<int64_t>& entries,
                              const at::Tensor& keys, const at::Tensor& values, int64_t from_head) {
  const int64_t total = std::ssize(entries);
  for (int64_t i = 0, count = 0; i < total; i += count) {
    const int64_t first = entries[static_cast<size_t>(i)];
    for (count = 1; i + count < total; ++count) {
      if (entries[static_cast<size_t>(i + count)] != first + count) break;
    }
    write_entries(keys_, starts_, part, heads(), first, keys.narrow(1, i, count), from_head);
    write_entries(values_, starts_, part, heads(), first, values.narrow(1, i, count), from_head);
  }
}

int32_t LayerStorage::place(int64_t part, int64_t slot) const {
  return is_contiguous() ? own_place(slot)
                         : places_[static_cast<size_t>(part)][static_cast<size_t>(slot)];
}

void LayerStorage::make_room_for(const std::vector<std::vector<int64_t>>& slots) {
  begin_change();
  if (is_contiguous()) {
    own(/*added=*/0, {});
    return;
  }
  std::vector<int64_t> needed(lengths_.size());
  for (size_t h = 0; h < needed.size(); ++h) {
    const size_t p = parts_ == 1 ? 0 : h;
    needed[h] = own_entries(h) + std::count_if(slots[p].begin(), slots[p].end(), [&](int64_t slot) {
                  return places_[p][static_cast<size_t>(slot)] >= 0;
                });
  }
  if (holds(needed)) return;
  for (size_t h = 0; h < needed.size() && !shared_; ++h) {
    const int64_t there = capacities_[h];
    needed[h] = there < needed[h] ? std::max(needed[h], there + there / 2) : there;
  }
  reallocate(std::move(needed));
}

void LayerStorage::claim(int64_t part, const std::vector<int64_t>& slots) {
  if (is_contiguous()) return;
  for (const int64_t slot : slots) {
    int32_t& place = places_[static_cast<size_t>(part)][static_cast<size_t>(slot)];
    if (place < 0) continue;
    place = own_place(take(part));
    tell(part, {static_cast<int32_t>(slot), place});
  }
}

void LayerStorage::write(int64_t part, const std::vector<int64_t>& slots, const at::Tensor& keys,
                         const at::Tensor& values) {
  std::vector<std::vector<int64_t>> of_parts(static_cast<size_t>(parts_));
  of_parts[static_cast<size_t>(part)] = slots;
  make_room_for(of_parts);
  claim(part, slots);
  std::vector<int64_t> entries;
  entries.reserve(slots.size());
  for (const int64_t slot : slots) entries.push_back(~static_cast<int64_t>(place(part, slot)));
  write_runs(part, entries, keys, values, /*from_head=*/0);
}

void LayerStorage::unrotate(const std::vector<std::vector<int64_t>>& tokens,
                            const TurnBack& turn_back) {
  begin_change();
  cannot_tell();
  if (is_contiguous()) {
    if (!keys_.defined()) return;
    own(/*added=*/0, {});
    for (int64_t p = 0; p < parts_; ++p) {
      const at::Tensor keys = contiguous_keys(p);
      keys.copy_(turn_back(keys, tokens[static_cast<size_t>(p)]));
    }
    return;
  }
  prompt_ = prompt_->unrotated(turn_back);
  if (!keys_.defined()) return;
  own(/*added=*/0, {});
  for (int64_t p = 0; p < parts_; ++p) {
    const auto part = static_cast<size_t>(p);
    // Entries out of use are turned by nothing.
    std::vector<int64_t> by_entry(static_cast<size_t>(own_[part].used), 0);
    if (by_entry.empty()) continue;
    for (size_t i = 0; i < places_[part].size(); ++i) {
      if (places_[part][i] < 0) by_entry[entry_at(places_[part][i])] = tokens[part][i];
    }
    for (int64_t h = p; h < p + heads(); ++h) {
      const at::Tensor keys =
          view_of(keys_, starts_, h, /*heads=*/1, /*entry=*/0, std::ssize(by_entry));
      keys.copy_(turn_back(keys, by_entry));
    }
  }
}

at::Tensor LayerStorage::all(bool keys) const {
  for (const int64_t length : lengths_)
    ELASTIKV_ASSERT(length == lengths_[0] && length > 0, "heads of {} and {} entries", lengths_[0],
                    length);
  if (is_contiguous() && evenly_spaced(starts_, 0, shape_.kv_heads))
    return view_of(keys ? keys_ : values_, starts_, 0, shape_.kv_heads, /*entry=*/0, lengths_[0]);
  std::vector<int64_t> slots(static_cast<size_t>(lengths_[0]));
  std::iota(slots.begin(), slots.end(), 0);
  const EntryView entries = view();
  return keys ? keys_of(entries, 0, shape_.kv_heads, slots)
              : values_of(entries, 0, shape_.kv_heads, slots);
}

at::Tensor LayerStorage::contiguous_keys(int64_t part) const {
  return view_of(keys_, starts_, part, heads(), /*entry=*/0, length_of(part));
}

at::Tensor LayerStorage::contiguous_values(int64_t part) const {
  return view_of(values_, starts_, part, heads(), /*entry=*/0, length_of(part));
}

}  // namespace elastikv
