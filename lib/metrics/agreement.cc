#include "metrics/agreement.h"

#include <algorithm>

namespace elastikv {

Agreement compare_tokens(std::span<const int64_t> reference, std::span<const int64_t> candidate) {
  const size_t shorter = std::min(reference.size(), candidate.size());
  const size_t longer = std::max(reference.size(), candidate.size());
  Agreement result;
  result.reference_tokens = static_cast<int64_t>(reference.size());
  result.candidate_tokens = static_cast<int64_t>(candidate.size());
  const auto end = reference.begin() + static_cast<std::ptrdiff_t>(shorter);
  result.first_divergence =
      std::mismatch(reference.begin(), end, candidate.begin()).first - reference.begin();
  for (size_t i = 0; i < shorter; ++i)
    result.matching_tokens += reference[i] == candidate[i] ? 1 : 0;
  result.identical = result.matching_tokens == static_cast<int64_t>(longer);
  result.match_rate =
      longer == 0 ? 1 : static_cast<double>(result.matching_tokens) / static_cast<double>(longer);
  return result;
}

}  // namespace elastikv
