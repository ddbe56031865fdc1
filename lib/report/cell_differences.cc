#include "report/cell_differences.h"

namespace elastikv {
namespace {

/// Differences that are resampled together: their values take some 50 kB each at 1,000 samples.
constexpr size_t kTogether = 64;

}  // namespace

std::vector<std::optional<PairedDifference>> CellDifferences::of(const Measure& measure,
                                                                 std::span<const CellPair> pairs) {
  std::vector<std::optional<PairedDifference>*> waiting;
  std::vector<PairedValues> values;
  const auto make = [&] {
    const std::vector<PairedDifference> made = paired_differences(values, bootstrap_);
    for (size_t i = 0; i < made.size(); ++i) *waiting[i] = made[i];
    waiting.clear();
    values.clear();
  };
  std::vector<const std::optional<PairedDifference>*> found;
  for (const CellPair& pair : pairs) {
    const auto [place, added] = made_.try_emplace(Key{measure.place, pair.a, pair.b});
    found.push_back(&place->second);
    if (!added) continue;
    std::optional<PairedValues> paired = measure.pairs(*pair.a, *pair.b);
    if (!paired) continue;
    waiting.push_back(&place->second);
    values.push_back(std::move(*paired));
    if (values.size() == kTogether) make();
  }
  make();
  std::vector<std::optional<PairedDifference>> result;
  result.reserve(found.size());
  for (const auto* difference : found) result.push_back(*difference);
  return result;
}

}  // namespace elastikv
