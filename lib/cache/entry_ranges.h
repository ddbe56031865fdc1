#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace elastikv {

/// Where the heads of a layer lie in its storage [entries, head_dim]: each has a range.
using Starts = std::vector<int64_t>;

/// Whether `heads` heads from `head` on are equally far from each other.
bool evenly_spaced(const Starts& starts, int64_t head, int64_t heads);

/// Entries `entry` ... entry + entries - 1 of evenly spaced heads: a view [heads, entries,
/// head_dim].
at::Tensor view_of(const at::Tensor& storage, const Starts& starts, int64_t head, int64_t heads,
                   int64_t entry, int64_t entries);

/// Writes entries [any, n, head_dim], heads `from_head` ... of them, into `heads` heads from `head`
/// on, at `entry`. On the CPU by memcpy: at one token a step the overhead of an ATen call would
/// cost more than the bytes.
void write_entries(const at::Tensor& storage, const Starts& starts, int64_t head, int64_t heads,
                   int64_t entry, const at::Tensor& entries, int64_t from_head);

/// Copies entry `from` of `heads` heads from `head` on to entry `to`.
void move_entry(const at::Tensor& storage, const Starts& starts, int64_t head, int64_t heads,
                int64_t from, int64_t to);

}  // namespace elastikv
