#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace elastikv {

/// Which samples are no independent draws beside each other (questions about one image, windows
/// of one document) and are therefore resampled as one. By default every sample is a cluster of its
/// own.
class Clusters final {
 public:
  Clusters() = default;
  /// One name per sample: samples of equal names form a cluster; a sample without a name is one of
  /// its own.
  explicit Clusters(std::span<const std::string> names);

  /// How many clusters `samples` samples fall into.
  size_t count(size_t samples) const;
  /// Sums over each cluster's samples, clusters in the order of their first samples. One value per
  /// sample.
  std::vector<double> sums(std::span<const double> values) const;
  /// The clusters of some of the samples, by their indices in ascending order.
  Clusters of(std::span<const size_t> samples) const;
  /// Whether any cluster has several samples.
  bool any() const { return !of_.empty(); }

 private:
  std::vector<size_t> of_;  // [samples] cluster's number; empty: each sample is a cluster
  size_t count_ = 0;
};

}  // namespace elastikv
