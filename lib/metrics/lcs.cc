#include "metrics/lcs.h"

#include <algorithm>

namespace elastikv {
namespace {

/// Fills the table row by row (lengths for prefixes of i and j tokens) and shows each cell with
/// differing tokens as visit(i, j, length above, length to the left), i and j from 1.
template <typename Visit>
size_t fill(std::span<const int32_t> reference, std::span<const int32_t> candidate, Visit visit) {
  std::vector<uint32_t> row(candidate.size() + 1, 0);
  for (size_t i = 1; i <= reference.size(); ++i) {
    uint32_t diagonal = 0;
    for (size_t j = 1; j <= candidate.size(); ++j) {
      const uint32_t above = row[j];
      if (reference[i - 1] == candidate[j - 1]) {
        row[j] = diagonal + 1;
      } else {
        visit(i, j, above, row[j - 1]);
        row[j] = std::max(above, row[j - 1]);
      }
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace

size_t lcs_length(std::span<const int32_t> reference, std::span<const int32_t> candidate) {
  return fill(reference, candidate, [](size_t, size_t, uint32_t, uint32_t) {});
}

std::vector<size_t> lcs_positions(std::span<const int32_t> reference,
                                  std::span<const int32_t> candidate, LcsTie tie) {
  const size_t width = candidate.size() + 1;
  std::vector<bool> drops_candidate((reference.size() + 1) * width);
  size_t left_to_find =
      fill(reference, candidate, [&](size_t i, size_t j, uint32_t above, uint32_t left) {
        drops_candidate[i * width + j] =
            tie == LcsTie::kDropReference ? left > above : left >= above;
      });
  std::vector<size_t> positions(left_to_find);
  size_t i = reference.size();
  size_t j = candidate.size();
  while (left_to_find > 0) {
    if (reference[i - 1] == candidate[j - 1]) {
      --i;
      --j;
      positions[--left_to_find] = i;
    } else if (drops_candidate[i * width + j]) {
      --j;
    } else {
      --i;
    }
  }
  return positions;
}

}  // namespace elastikv
