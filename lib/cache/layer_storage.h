#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <ATen/core/Tensor.h>

#include "cache/cache_shape.h"
#include "kernels/device_slots.h"
#include "kernels/entry_view.h"

namespace elastikv {

/// By how much a layer may grow, so that its storage is allocated once.
struct Room {
  int64_t longer = 0;  ///< entries that a head may hold beyond those there
  /// Entries that are going to be appended, or become own ones, those that go again included.
  int64_t appended = 0;
};

/// Turns keys [heads, slots, head_dim] of tokens [slots] back to no rotation.
using TurnBack =
    std::function<at::Tensor(const at::Tensor& keys, const std::vector<int64_t>& tokens)>;

/// One layer's entries that several sequences read and none changes: those of a prompt.
struct SharedEntries {
  at::Tensor keys;                           ///< [entries, head_dim]
  at::Tensor values;                         ///< [entries, head_dim]
  std::vector<int64_t> starts;               ///< [kv_heads]
  std::vector<std::vector<int64_t>> tokens;  ///< [parts][slots]: what the slots stand for

  /// The same with un-rotated keys and these values; made once, for all that ask.
  std::shared_ptr<const SharedEntries> unrotated(const TurnBack& turn_back) const;

 private:
  mutable std::mutex making_;
  mutable std::shared_ptr<const SharedEntries> unrotated_;
};

/// What became of a layer's slots since somebody began to follow them.
struct SlotJournal {
  bool complete = false;  ///< else slots or storage are others, and all is to be looked at anew
  std::vector<std::vector<SlotChange>> changes{};  ///< [parts], of a complete one
};

/// Where the keys and values of one layer of one sequence lie. Slots are numbered by what they are
/// called from outside; a part is a set of heads that share all numbers, one of all heads or one
/// for each. A layer begins contiguous: slot i is entry i of its head's range, and what is removed
/// or gathered moves entries. Once its storage is shared with a fork, the first change of either
/// makes it a list of places: entries that are there stay where they are and are only referred to,
/// new and changed ones lie in storage of the layer's own. So a fork that keeps some of a prompt's
/// entries takes no memory for them, and removing one moves nothing.
class LayerStorage {
 public:
  explicit LayerStorage(const CacheShape& shape);

  EntryView view() const;
  /// Slots of each head, [kv_heads].
  const std::vector<int64_t>& lengths() const { return lengths_; }
  /// Of all heads together.
  int64_t slots() const;
  int64_t parts() const { return parts_; }
  /// Heads of a part: all of them, or one.
  int64_t heads() const { return parts_ == 1 ? shape_.kv_heads : 1; }
  /// Bytes of the storage that is not another one's; of a contiguous one, all.
  int64_t bytes() const;

  /// The same without what is shared with a fork and will not be copied.
  int64_t own_bytes() const { return is_contiguous() && as_shared_ != nullptr ? 0 : bytes(); }

  /// A storage with the same content. `tokens` [parts][slots]: what the slots stand for.
  LayerStorage fork(const std::vector<std::vector<int64_t>>& tokens) const;
  /// From now on each head is a part.
  void split();
  /// Takes tensors [kv_heads, n, head_dim] as the content of an empty layer, without copying.
  void adopt(const at::Tensor& keys, const at::Tensor& values);
  void reserve(const Room& room);
  /// Adds entries [kv_heads, n, head_dim] behind the last slots.
  void append(const at::Tensor& keys, const at::Tensor& values, const Room& room);
  /// Adds one entry of each head from row `row` of [rows, kv_heads, head_dim].
  void append_row(const at::Tensor& keys, const at::Tensor& values, int64_t row, const Room& room);
  /// Adds entries of each head whose content somebody else writes, where the new slots say.
  void append_unwritten(int64_t added, const Room& room);
  /// Removes a slot: the last one takes its number.
  void remove(int64_t part, int64_t slot);
  /// Replaces entries in their slots by [heads, slots, head_dim].
  void write(int64_t part, const std::vector<int64_t>& slots, const at::Tensor& keys,
             const at::Tensor& values);
  /// The place of a slot: an entry of the prompt's, or ~ one of the layer's own.
  int32_t place(int64_t part, int64_t slot) const;
  /// Makes room for own entries of some slots of each part, [parts][...]; may move entries.
  void make_room_for(const std::vector<std::vector<int64_t>>& slots);
  /// Gives slots own entries, whose content is to be written, after make_room_for.
  void claim(int64_t part, const std::vector<int64_t>& slots);
  /// Takes the rotation off all keys. `tokens` as in fork.
  void unrotate(const std::vector<std::vector<int64_t>>& tokens, const TurnBack& turn_back);

  /// What is to become of a part: the slots that stay in their new order, and new content for some.
  struct Part {
    std::vector<int64_t> slots;      // [new length]: old numbers
    std::vector<int64_t> rewritten;  // ascending new numbers whose content is given
    at::Tensor keys;                 // [heads, rewritten, head_dim]
    at::Tensor values;
  };
  /// The new numbers whose content rebuild must be given: those `changed`, and where entries can't
  /// stay where they are, all. Everything that reads old content has to be done before rebuild.
  std::vector<int64_t> to_rewrite(int64_t part, const std::vector<int64_t>& slots,
                                  const std::vector<bool>& changed) const;
  void rebuild(const std::vector<Part>& parts, const Room& room);
  /// To be called before to_rewrite: a contiguous storage that is shared becomes a list of places.
  void begin_change();
  bool is_contiguous() const { return prompt_ == nullptr; }

  /// What became of the slots since begin_journal.
  const SlotJournal& journal() const { return journal_; }
  void begin_journal();
  /// [kv_heads, length, head_dim] of heads that are equally long; a view where that can be.
  at::Tensor all_keys() const { return all(/*keys=*/true); }
  at::Tensor all_values() const { return all(/*keys=*/false); }
  /// A part's keys and values by slot where storage is contiguous: views [heads, length, head_dim].
  at::Tensor contiguous_keys(int64_t part) const;
  at::Tensor contiguous_values(int64_t part) const;

 private:
  /// Own entries of a part that are in use or may be again.
  struct OwnSlots {
    int64_t used = 0;           // entries from here on were never in use
    std::vector<int32_t> free;  // of those before
  };

  /// Takes note of a change of a part's slots, or of one that cannot be told.
  void tell(int64_t part, SlotChange change);
  void cannot_tell() { journal_ = {}; }
  /// A new slot of a part; returns its entry.
  int64_t add_slot(int64_t part);
  at::Tensor all(bool keys) const;
  int64_t length_of(int64_t part) const { return lengths_[static_cast<size_t>(part)]; }
  void add_to_lengths(int64_t part, int64_t added);
  void allocate(std::vector<int64_t> capacities);
  /// New storage with the given capacities; entries in use are moved.
  void reallocate(std::vector<int64_t> capacities);
  /// Makes the storage its own, with room for `added` entries more in every head.
  void own(int64_t added, const Room& room);
  bool has_room(int64_t added) const;
  /// Own entries of a head in use.
  int64_t own_entries(size_t head) const;
  /// Whether the storage is the layer's own and as large as that, [kv_heads].
  bool holds(const std::vector<int64_t>& entries) const;
  /// Own entries of each head that `room` asks for, once `added` are there beside those in use.
  std::vector<int64_t> wanted(int64_t added, const Room& room) const;
  /// An own entry for a new place of a part.
  int32_t take(int64_t part);
  /// Writes [any, entries, head_dim], heads `from_head` ... of it, to own entries of a part.
  void write_runs(int64_t part, const std::vector<int64_t>& entries, const at::Tensor& keys,
                  const at::Tensor& values, int64_t from_head);
  void rebuild_contiguous(const std::vector<Part>& parts, const Room& room);

  CacheShape shape_;
  int64_t parts_ = 1;
  at::Tensor keys_;                  // [entries, head_dim], own unless shared_
  at::Tensor values_;                // [entries, head_dim]
  std::vector<int64_t> starts_;      // [kv_heads]
  std::vector<int64_t> capacities_;  // [kv_heads]
  std::vector<int64_t> lengths_;     // [kv_heads]
  mutable bool shared_ = false;      // storage is also a fork's
  mutable std::shared_ptr<const SharedEntries> as_shared_;  // of a contiguous one that has forks
  // Once there are places:
  std::shared_ptr<const SharedEntries> prompt_;
  std::vector<std::vector<int32_t>> places_;  // [parts][length], see EntryView
  std::vector<OwnSlots> own_;                 // [parts]
  SlotJournal journal_;
};

}  // namespace elastikv
