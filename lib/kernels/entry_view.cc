#include "kernels/entry_view.h"

#include <cstring>
#include <numeric>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include "base/error.h"

namespace elastikv {
namespace {

/// Either the keys or the values.
struct Side {
  const at::Tensor& own;
  const at::Tensor& prompt;
  const char* (SlotAddresses::*address)(int64_t) const;
};

Side keys_side(const EntryView& entries) {
  return {entries.keys, entries.prompt_keys, &SlotAddresses::key};
}
Side values_side(const EntryView& entries) {
  return {entries.values, entries.prompt_values, &SlotAddresses::value};
}

int64_t place_of(const EntryView& entries, int64_t head, int64_t slot) {
  return of_head(*entries.places, head)[static_cast<size_t>(slot)];
}

/// Some slots of one head, [slots, head_dim].
at::Tensor gathered(const EntryView& entries, const Side& side, int64_t head,
                    const std::vector<int64_t>& slots) {
  const auto h = static_cast<size_t>(head);
  std::vector<int64_t> own;
  std::vector<int64_t> of_prompt;
  std::vector<int64_t> order;  // into the own ones, then those of the prompt
  const auto is_own = [&](int64_t slot) {
    return entries.places == nullptr || place_of(entries, head, slot) < 0;
  };
  for (const int64_t slot : slots) {
    if (entries.places == nullptr) {
      own.push_back((*entries.starts)[h] + slot);
      continue;
    }
    const int64_t place = place_of(entries, head, slot);
    if (place < 0) {
      own.push_back((*entries.starts)[h] + ~place);
    } else {
      of_prompt.push_back((*entries.prompt_starts)[h] + place);
    }
  }
  order.reserve(slots.size());
  const auto select = [](const at::Tensor& storage, const std::vector<int64_t>& indices) {
    return storage.index_select(0, at::tensor(indices, at::kLong).to(storage.device()));
  };
  if (own.empty()) return select(side.prompt, of_prompt);
  if (of_prompt.empty()) return select(side.own, own);
  int64_t next_own = 0;
  auto next_of_prompt = static_cast<int64_t>(own.size());
  for (const int64_t slot : slots) order.push_back(is_own(slot) ? next_own++ : next_of_prompt++);
  return select(at::cat({select(side.own, own), select(side.prompt, of_prompt)}), order);
}

at::Tensor heads_of(const EntryView& entries, const Side& side, int64_t head, int64_t heads,
                    const std::vector<int64_t>& slots) {
  const at::Tensor& any = side.own.defined() ? side.own : side.prompt;
  if (!any.is_cpu()) {
    std::vector<at::Tensor> parts;
    for (int64_t h = 0; h < heads; ++h) parts.push_back(gathered(entries, side, head + h, slots));
    return at::stack(parts);
  }
  // By memcpy: a call of ATen would cost more than the bytes of a few slots.
  at::Tensor result =
      at::empty({heads, static_cast<int64_t>(slots.size()), any.size(1)}, any.options());
  const size_t bytes = static_cast<size_t>(any.size(1)) * any.element_size();
  auto* to = static_cast<char*>(result.data_ptr());
  for (int64_t h = 0; h < heads; ++h) {
    const SlotAddresses addresses(entries, head + h);
    for (const int64_t slot : slots) {
      std::memcpy(to, (addresses.*side.address)(slot), bytes);
      to += bytes;
    }
  }
  return result;
}

at::Tensor head_of(const EntryView& entries, const Side& side, int64_t head) {
  ELASTIKV_ASSERT(head >= 0 && static_cast<size_t>(head) < entries.lengths->size(), "head {} of {}",
                  head, entries.lengths->size());
  const auto h = static_cast<size_t>(head);
  const int64_t length = (*entries.lengths)[h];
  if (entries.places == nullptr) {
    ELASTIKV_ASSERT(side.own.defined(), "a layer without entries");
    return side.own.narrow(0, (*entries.starts)[h], length);
  }
  std::vector<int64_t> slots(static_cast<size_t>(length));
  std::iota(slots.begin(), slots.end(), 0);
  return heads_of(entries, side, head, /*heads=*/1, slots)[0];
}

}  // namespace

at::Tensor keys_of(const EntryView& entries, int64_t head) {
  return head_of(entries, keys_side(entries), head);
}

at::Tensor values_of(const EntryView& entries, int64_t head) {
  return head_of(entries, values_side(entries), head);
}

at::Tensor keys_of(const EntryView& entries, int64_t head, int64_t heads,
                   const std::vector<int64_t>& slots) {
  return heads_of(entries, keys_side(entries), head, heads, slots);
}

at::Tensor values_of(const EntryView& entries, int64_t head, int64_t heads,
                     const std::vector<int64_t>& slots) {
  return heads_of(entries, values_side(entries), head, heads, slots);
}

char* entry_address(const at::Tensor& storage, int64_t entry) {
  if (!storage.defined()) return nullptr;
  return static_cast<char*>(storage.data_ptr()) +
         entry * storage.size(1) * static_cast<int64_t>(storage.element_size());
}

SlotAddresses::SlotAddresses(const EntryView& entries, int64_t head) {
  const auto h = static_cast<size_t>(head);
  const auto from = [this, h](const at::Tensor& storage, const std::vector<int64_t>& starts) {
    if (!storage.defined()) return static_cast<const char*>(nullptr);
    bytes_ = storage.size(1) * static_cast<int64_t>(storage.element_size());
    return static_cast<const char*>(storage.const_data_ptr()) + starts[h] * bytes_;
  };
  keys_ = from(entries.keys, *entries.starts);
  values_ = from(entries.values, *entries.starts);
  if (entries.places == nullptr) return;
  prompt_keys_ = from(entries.prompt_keys, *entries.prompt_starts);
  prompt_values_ = from(entries.prompt_values, *entries.prompt_starts);
  places_ = of_head(*entries.places, head).data();
}

}  // namespace elastikv
