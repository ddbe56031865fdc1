#include "metrics/clusters.h"

#include <map>

#include "base/error.h"

namespace elastikv {

Clusters::Clusters(std::span<const std::string> names) {
  std::map<std::string, size_t> known;
  for (const std::string& name : names) {
    const auto [entry, is_new] =
        name.empty() ? std::pair(known.end(), true) : known.try_emplace(name, count_);
    of_.push_back(is_new ? count_++ : entry->second);
  }
  if (count_ == names.size()) of_.clear();
}

size_t Clusters::count(size_t samples) const {
  ELASTIKV_ASSERT(!any() || of_.size() == samples, "clusters of {} samples, {} given", of_.size(),
                  samples);
  return any() ? count_ : samples;
}

std::vector<double> Clusters::sums(std::span<const double> values) const {
  std::vector<double> result(count(values.size()), 0.0);
  if (!any()) return {values.begin(), values.end()};
  for (size_t i = 0; i < values.size(); ++i) result[of_[i]] += values[i];
  return result;
}

Clusters Clusters::of(std::span<const size_t> samples) const {
  Clusters some;
  if (!any()) return some;
  std::map<size_t, size_t> renumbered;
  for (const size_t sample : samples) {
    ELASTIKV_ASSERT(sample < of_.size(), "sample {} of {}", sample, of_.size());
    const auto [entry, is_new] = renumbered.try_emplace(of_[sample], some.count_);
    if (is_new) ++some.count_;
    some.of_.push_back(entry->second);
  }
  if (some.count_ == some.of_.size()) some.of_.clear();
  return some;
}

}  // namespace elastikv
