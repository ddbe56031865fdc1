#pragma once

#include <cstdint>
#include <vector>

#include "strategies/component.h"

namespace elastikv {

/// Rows of different lengths as one int64 [G, longest], the shorter ones padded with -1.
at::Tensor padded_rows(const std::vector<std::vector<int64_t>>& rows);
/// The rows again, without the padding.
std::vector<std::vector<int64_t>> unpadded_rows(const at::Tensor& padded);

/// What joins what in one group: source[i] (a slot) merges into the kept slot at index anchor[i].
struct Merges {
  std::vector<int64_t> source;
  std::vector<int64_t> anchor;
  /// The component's own weight of every source, against an anchor's 1; empty when it has none.
  std::vector<float> weight;
};

/// A plan that keeps `kept` and carries out each group's merges, which it orders by anchor: a
/// kernel that adds sources in this order needs no sorting to be deterministic. Groups may have
/// different numbers of merges; with none at all the plan evicts. Rule, key space and merge_keys
/// are those of `options`.
LayerPlan merge_plan(const KeptSlots& kept, std::vector<Merges>& merges, LayerPlan options = {});

/// The slots of 0 ... tokens - 1 that are not in `kept` (ascending).
std::vector<int64_t> dropped_slots(const std::vector<int64_t>& kept, int64_t tokens);

/// Indices first ... last - 1 into `kept` (ascending): the entries that others may merge into.
struct AnchorRange {
  int64_t first = 0;
  int64_t last = 0;

  bool empty() const { return first == last; }
};
/// The kept slots that are not protected, of a prompt of `tokens`; with `all` every kept slot.
AnchorRange anchor_range(const std::vector<int64_t>& kept, int64_t tokens, Protected protect,
                         bool all = false);

}  // namespace elastikv
