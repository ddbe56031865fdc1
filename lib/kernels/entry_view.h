#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace elastikv {

/// Where the keys and values of one layer of one sequence lie: what the attention kernels read of a
/// cache. Slot i of head h is entry starts[h] + i of `keys` and `values`, unless there are
/// `places`: then it is entry prompt_starts[h] + p of the prompt's for a place p >= 0, and entry
/// starts[h] + ~p of the sequence's own for p < 0. The prompt's entries are one tensor for all
/// sequences that begin with the prompt, whichever of them each has kept.
struct EntryView {
  at::Tensor keys;    ///< [entries, head_dim]; may be undefined where all slots are the prompt's
  at::Tensor values;  ///< [entries, head_dim]
  const std::vector<int64_t>* starts = nullptr;         ///< [kv_heads]: first entry of each head
  const std::vector<int64_t>* lengths = nullptr;        ///< [kv_heads]: slots in use of each head
  at::Tensor prompt_keys;                               ///< [entries, head_dim], with `places`
  at::Tensor prompt_values;                             ///< [entries, head_dim]
  const std::vector<int64_t>* prompt_starts = nullptr;  ///< [kv_heads]
  /// Per KV head [length], or null: slots lie one after another. One entry serves all heads.
  const std::vector<std::vector<int32_t>>* places = nullptr;
  /// Per KV head [length] that is added to the scaled logits, or null: nothing is added. One entry
  /// serves all heads.
  const std::vector<std::vector<float>>* logit_bias = nullptr;
};

/// What is given per KV head, or once for all of them.
template <typename T>
const T& of_head(const std::vector<T>& per_head, int64_t head) {
  return per_head[per_head.size() == 1 ? 0 : static_cast<size_t>(head)];
}

/// Where entry `entry` of a storage [entries, head_dim] lies, or null of an undefined one.
char* entry_address(const at::Tensor& storage, int64_t entry);

/// One head's keys or values by slot, [length, head_dim]: a view where they lie one after another,
/// a copy where they have places. Any device and dtype.
at::Tensor keys_of(const EntryView& entries, int64_t head);
at::Tensor values_of(const EntryView& entries, int64_t head);

/// The same for some slots of several heads alike: a copy, [heads, slots, head_dim].
at::Tensor keys_of(const EntryView& entries, int64_t head, int64_t heads,
                   const std::vector<int64_t>& slots);
at::Tensor values_of(const EntryView& entries, int64_t head, int64_t heads,
                     const std::vector<int64_t>& slots);

/// The addresses of slots of one head on the CPU, for kernels that walk over them.
class SlotAddresses {
 public:
  SlotAddresses(const EntryView& entries, int64_t head);

  const char* key(int64_t slot) const { return at(slot, prompt_keys_, keys_); }
  const char* value(int64_t slot) const { return at(slot, prompt_values_, values_); }

 private:
  const char* at(int64_t slot, const char* of_prompt, const char* own) const {
    if (places_ == nullptr) return own + slot * bytes_;
    const int64_t place = places_[slot];
    return place >= 0 ? of_prompt + place * bytes_ : own + ~place * bytes_;
  }

  const int32_t* places_ = nullptr;
  int64_t bytes_ = 0;  // of an entry
  const char* keys_ = nullptr;
  const char* values_ = nullptr;
  const char* prompt_keys_ = nullptr;
  const char* prompt_values_ = nullptr;
};

}  // namespace elastikv
