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

namespace elastikv {
namespace {

int64_t sum_of(const std::vector<int64_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), int64_t{0});
}

int32_t own_place(int64_t entry) { return ~static_cast<int32_t>(entry); }
/// The own entry of a place.
size_t entry_at(int32_t place) {
  const int64_t wide = place;
  return static_cast<size_t>(~wide);
}

}  // namespace

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
  return *this;
}

void LayerStorage::begin_change() {
  if (!is_contiguous() || !shared_ || as_shared_ == nullptr) return;
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
  parts_ = shape_.kv_heads;
  if (is_contiguous()) return;
  places_.resize(static_cast<size_t>(parts_), places_[0]);
  own_.resize(static_cast<size_t>(parts_), own_[0]);
}

void LayerStorage::allocate(std::vector<int64_t> capacities) {
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

void LayerStorage::adopt(const at::Tensor& keys, const at::Tensor& values) {
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
    int64_t entry = length_of(p);
    if (!is_contiguous()) {
      entry = take(p);
      places_[static_cast<size_t>(p)].push_back(own_place(entry));
    }
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

void LayerStorage::write(int64_t part, const std::vector<int64_t>& slots, const at::Tensor& keys,
                         const at::Tensor& values) {
  begin_change();
  std::vector<int64_t> entries = slots;
  if (is_contiguous()) {
    own(/*added=*/0, {});
  } else {
    auto& places = places_[static_cast<size_t>(part)];
    int64_t added = 0;
    for (const int64_t slot : slots) added += places[static_cast<size_t>(slot)] >= 0 ? 1 : 0;
    own(added, {});
    for (int64_t& entry : entries) {
      int32_t& place = places[static_cast<size_t>(entry)];
      if (place >= 0) place = own_place(take(part));
      entry = ~place;
    }
  }
  write_runs(part, entries, keys, values, /*from_head=*/0);
}

void LayerStorage::unrotate(const std::vector<std::vector<int64_t>>& tokens,
                            const TurnBack& turn_back) {
  begin_change();
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

std::vector<int64_t> LayerStorage::to_rewrite(int64_t part, const std::vector<int64_t>& slots,
                                              const std::vector<bool>& changed) const {
  std::vector<int64_t> rewritten;
  std::vector<bool> seen;  // own entries that stay
  if (!is_contiguous()) seen.resize(static_cast<size_t>(own_[static_cast<size_t>(part)].used));
  for (size_t i = 0; i < slots.size(); ++i) {
    bool rewrite = is_contiguous() || changed[i];
    if (!rewrite) {
      const int32_t place = places_[static_cast<size_t>(part)][static_cast<size_t>(slots[i])];
      if (place < 0) {
        // A plan may repeat entries; each then has one that it may change.
        rewrite = seen[entry_at(place)];
        seen[entry_at(place)] = true;
      }
    }
    if (rewrite) rewritten.push_back(static_cast<int64_t>(i));
  }
  return rewritten;
}

void LayerStorage::rebuild_contiguous(const std::vector<Part>& parts, const Room& room) {
  for (int64_t p = 0; p < parts_; ++p)
    add_to_lengths(p, std::ssize(parts[static_cast<size_t>(p)].slots) - length_of(p));
  std::vector<int64_t> capacities = wanted(/*added=*/0, room);
  // What is there is used again, unless it is too small, or more than is needed.
  if (!has_room(/*added=*/0) || sum_of(capacities_) > sum_of(capacities))
    allocate(std::move(capacities));
  for (int64_t p = 0; p < parts_; ++p) {
    const Part& part = parts[static_cast<size_t>(p)];
    write_entries(keys_, starts_, p, heads(), /*entry=*/0, part.keys, 0);
    write_entries(values_, starts_, p, heads(), /*entry=*/0, part.values, 0);
  }
}

void LayerStorage::rebuild(const std::vector<Part>& parts, const Room& room) {
  ELASTIKV_ASSERT(std::ssize(parts) == parts_, "{} of {} parts are rebuilt", parts.size(), parts_);
  if (is_contiguous()) {
    rebuild_contiguous(parts, room);
    return;
  }
  for (int64_t p = 0; p < parts_; ++p) {
    const auto index = static_cast<size_t>(p);
    const Part& part = parts[index];
    std::vector<int32_t> stay;
    std::vector<bool> in_use(static_cast<size_t>(own_[index].used));
    auto rewritten = part.rewritten.begin();
    for (size_t i = 0; i < part.slots.size(); ++i) {
      if (rewritten != part.rewritten.end() && *rewritten == static_cast<int64_t>(i)) {
        ++rewritten;
        continue;
      }
      stay.push_back(places_[index][static_cast<size_t>(part.slots[i])]);
      if (stay.back() < 0) in_use[entry_at(stay.back())] = true;
    }
    places_[index] = std::move(stay);
    own_[index].free.clear();
    for (size_t i = in_use.size(); i-- > 0;) {
      if (!in_use[i]) own_[index].free.push_back(static_cast<int32_t>(i));
    }
    add_to_lengths(p, std::ssize(part.slots) - length_of(p));
  }
  std::vector<int64_t> needed;
  std::vector<int64_t> most;  // with the room asked for
  for (size_t h = 0; h < lengths_.size(); ++h) {
    const std::vector<int64_t>& rewritten = of_head(parts, static_cast<int64_t>(h)).rewritten;
    needed.push_back(own_entries(h) + std::ssize(rewritten));
    const int64_t more = std::min(room.appended, lengths_[h] + room.longer - needed[h]);
    most.push_back(needed[h] + std::max(int64_t{0}, more));
  }
  // Storage that is a little larger than what is needed stays, so that a policy which rebuilds its
  // cache at each step does not move it at each step.
  if ((sum_of(needed) > 0 && !holds(needed)) ||
      sum_of(capacities_) > sum_of(most) + sum_of(most) / 2)
    reallocate(std::move(most));
  for (int64_t p = 0; p < parts_; ++p) {
    const auto index = static_cast<size_t>(p);
    const Part& part = parts[index];
    const std::vector<int32_t> stay = std::move(places_[index]);
    auto& places = places_[index];
    places.clear();
    auto next = stay.begin();
    std::vector<int64_t> entries;
    for (int64_t i = 0; i < std::ssize(part.slots); ++i) {
      const size_t written = entries.size();
      if (written == part.rewritten.size() || part.rewritten[written] != i) {
        places.push_back(*next++);
        continue;
      }
      entries.push_back(take(p));
      places.push_back(own_place(entries.back()));
    }
    if (!entries.empty()) write_runs(p, entries, part.keys, part.values, /*from_head=*/0);
  }
}

}  // namespace elastikv
