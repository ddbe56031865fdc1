#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace elastikv {

/// Which neighbour the walk back through the table of a longest common subsequence goes to when the
/// last tokens differ. A tie has several longest subsequences; which one is read out changes
/// summary-level ROUGE, so each package's rule is followed.
enum class LcsTie {
  kDropReference,  ///< a tie shortens the reference (rouge_score 0.1.2)
  kDropCandidate,  ///< a tie shortens the candidate (rouge 1.0.1)
};

/// Length of a longest common subsequence, in one row of memory.
size_t lcs_length(std::span<const int32_t> reference, std::span<const int32_t> candidate);

/// Positions in `reference`, ascending, of the longest common subsequence that the tie rule picks.
/// Memory: one bit per pair of tokens.
std::vector<size_t> lcs_positions(std::span<const int32_t> reference,
                                  std::span<const int32_t> candidate, LcsTie tie);

}  // namespace elastikv
