#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace elastikv {

/// The place of an entry of a layer's own, see EntryView.
inline int32_t own_place(int64_t entry) { return ~static_cast<int32_t>(entry); }

/// The own entry of a place.
inline size_t entry_at(int32_t place) {
  const int64_t wide = place;
  return static_cast<size_t>(~wide);
}

inline int64_t sum_of(const std::vector<int64_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), int64_t{0});
}

}  // namespace elastikv
