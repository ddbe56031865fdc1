#include "cache/entry_ranges.h"

#include <cstring>

namespace elastikv {

bool evenly_spaced(const Starts& starts, int64_t head, int64_t heads) {
  for (int64_t h = head + 2; h < head + heads; ++h) {
    const auto i = static_cast<size_t>(h);
    if (starts[i] - starts[i - 1] != starts[i - 1] - starts[i - 2]) return false;
  }
  return true;
}

at::Tensor view_of(const at::Tensor& storage, const Starts& starts, int64_t head, int64_t heads,
                   int64_t entry, int64_t entries) {
  const int64_t head_dim = storage.size(1);
  const auto first = static_cast<size_t>(head);
  const int64_t spacing = heads == 1 ? 0 : starts[first + 1] - starts[first];
  return storage.as_strided({heads, entries, head_dim}, {spacing * head_dim, head_dim, 1},
                            storage.storage_offset() + (starts[first] + entry) * head_dim);
}

void write_entries(const at::Tensor& storage, const Starts& starts, int64_t head, int64_t heads,
                   int64_t entry, const at::Tensor& entries, int64_t from_head) {
  const int64_t count = entries.size(1);
  if (!storage.is_cpu() || !entries.is_cpu() || storage.scalar_type() != entries.scalar_type() ||
      entries.stride(2) != 1) {
    const int64_t step = evenly_spaced(starts, head, heads) ? heads : 1;
    for (int64_t h = 0; h < heads; h += step) {
      view_of(storage, starts, head + h, step, entry, count)
          .copy_(entries.narrow(0, from_head + h, step));
    }
    return;
  }
  const size_t element = storage.element_size();
  const size_t row = static_cast<size_t>(storage.size(1)) * element;
  char* to = static_cast<char*>(storage.data_ptr());
  const char* from = static_cast<const char*>(entries.const_data_ptr());
  for (int64_t h = 0; h < heads; ++h) {
    const int64_t start = starts[static_cast<size_t>(head + h)] + entry;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t source = (from_head + h) * entries.stride(0) + i * entries.stride(1);
      std::memcpy(to + static_cast<size_t>(start + i) * row,
                  from + static_cast<size_t>(source) * element, row);
    }
  }
}

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

}  // namespace elastikv
