#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace elastikv {

/// How many slots a row keeps; `sinks` first and `recent` last ones among them, whatever their
/// scores.
struct KeptCounts {
  int64_t slots = 0;
  int64_t sinks = 0;
  int64_t recent = 0;
};

/// The dropped slots of each row and where they go.
struct NearestAnchors {
  at::Tensor source;  ///< int64 [rows, most sources], ascending; -1 pads at the end
  at::Tensor anchor;  ///< int64, same shape: index into the row of kept slots; ascending, -1 pads
};

/// The slots that stay, per row ascending: int64 [rows, most slots of a row], -1 pads at the end.
/// Those protected, and of the others those with the largest scores, of equals the earlier. scores:
/// f32 [rows, tokens], finite; one entry of `rows` for each. On a GPU nothing waits for the device.
at::Tensor top_slots(const at::Tensor& scores, const std::vector<KeptCounts>& rows);

/// For every slot that does not stay the kept one nearest by position, of two equally near ones the
/// earlier, leaving out those protected (arXiv 2407.18121, section 3.2). Rows that keep protected
/// slots only have no anchors: all -1. kept: as from top_slots, `rows` likewise. Anchors of a row
/// ascend, as gather_and_merge wants them.
NearestAnchors nearest_anchors(const at::Tensor& kept, int64_t tokens,
                               const std::vector<KeptCounts>& rows);

/// The most slots that a row keeps; InternalError for counts that do not fit `row_count` rows of
/// `tokens`.
int64_t check_kept_counts(const std::vector<KeptCounts>& rows, int64_t row_count, int64_t tokens);

namespace reference {

/// Plain loops on the CPU.
at::Tensor top_slots(const at::Tensor& scores, const std::vector<KeptCounts>& rows);
NearestAnchors nearest_anchors(const at::Tensor& kept, int64_t tokens,
                               const std::vector<KeptCounts>& rows);

}  // namespace reference

namespace cuda {

/// Radix selection in one block per row, and a binary search per slot.
at::Tensor top_slots(const at::Tensor& scores, const std::vector<KeptCounts>& rows);
NearestAnchors nearest_anchors(const at::Tensor& kept, int64_t tokens,
                               const std::vector<KeptCounts>& rows);

}  // namespace cuda
}  // namespace elastikv
