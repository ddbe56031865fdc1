#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/error.h"

namespace elastikv {

/// Numbers of tokens, [layers][heads], in one piece: a report reads hundreds of thousands of these.
class LayerCounts final {
 public:
  static constexpr int64_t kMost = std::numeric_limits<int32_t>::max();

  LayerCounts() = default;
  explicit LayerCounts(const std::vector<std::vector<int64_t>>& layers) {
    for (const std::vector<int64_t>& layer : layers) add_layer(layer);
  }

  /// Each 0 to kMost.
  void add_layer(std::span<const int64_t> heads) {
    for (const int64_t count : heads) {
      ELASTIKV_ASSERT(count >= 0 && count <= kMost, "{} tokens", count);
      counts_.push_back(static_cast<int32_t>(count));
    }
    ends_.push_back(static_cast<uint32_t>(counts_.size()));
  }

  size_t layers() const { return ends_.size(); }
  std::span<const int32_t> layer(size_t index) const {
    const size_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::span(counts_).subspan(begin, ends_[index] - begin);
  }
  /// Those of all layers, one layer after the other.
  std::span<const int32_t> all() const { return counts_; }

  friend bool operator==(const LayerCounts&, const LayerCounts&) = default;

 private:
  std::vector<int32_t> counts_;
  std::vector<uint32_t> ends_;  // [layers] of each in counts_
};

}  // namespace elastikv
