// What a plan makes of a layer's storage.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "cache/entry_ranges.h"
#include "cache/layer_storage.h"
#include "cache/places.h"

namespace elastikv {

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
  cannot_tell();
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
