#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>

#include "kernels/entry_view.h"

/// The entries of a view that lie in one piece per head, in other places: two of three among those
/// of a prompt, at every other index, the others among the sequence's own, from the back. What is
/// no entry is NaN.
class ScatteredEntries {
 public:
  explicit ScatteredEntries(const elastikv::EntryView& whole) {
    const auto& lengths = *whole.lengths;
    bool even = true;
    for (const int64_t length : lengths) even = even && length == lengths[0];
    places_.resize(even ? 1 : lengths.size());
    int64_t entries = 1;
    for (const int64_t length : lengths) {
      starts_.push_back(entries);
      entries += 2 * length + 3;
    }
    for (at::Tensor* x : {&keys_, &values_, &prompt_keys_, &prompt_values_}) {
      *x = at::full({entries, whole.keys.size(1)}, std::numeric_limits<float>::quiet_NaN(),
                    whole.keys.options());
    }
    for (size_t h = 0; h < lengths.size(); ++h) {
      auto& places = places_[even ? 0 : h];
      places.clear();
      for (int64_t i = 0; i < lengths[h]; ++i) {
        const bool own = i % 3 == 2;
        const int64_t entry = own ? lengths[h] - i : 2 * i + 1;
        places.push_back(static_cast<int32_t>(own ? ~entry : entry));
        const int64_t from = (*whole.starts)[h] + i;
        (own ? keys_ : prompt_keys_)[starts_[h] + entry].copy_(whole.keys[from]);
        (own ? values_ : prompt_values_)[starts_[h] + entry].copy_(whole.values[from]);
      }
    }
  }

  /// Lets a row read these entries; they must outlive it.
  void place(elastikv::EntryView& row) const {
    row.keys = keys_;
    row.values = values_;
    row.starts = &starts_;
    row.prompt_keys = prompt_keys_;
    row.prompt_values = prompt_values_;
    row.prompt_starts = &starts_;
    row.places = &places_;
  }

 private:
  at::Tensor keys_;
  at::Tensor values_;
  at::Tensor prompt_keys_;
  at::Tensor prompt_values_;
  std::vector<int64_t> starts_;
  std::vector<std::vector<int32_t>> places_;
};
