#pragma once

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "strategies/compaction.h"
#include "strategies/key_similarity.h"
#include "strategies/merge_options.h"

namespace elastikv {

/// Summed in double, so that equal cosines are their own mean.
float mean_cosine(const MostSimilar& nearest);

/// Merges of those sources that are at least as similar as `threshold`; anchors are indices into
/// the targets. A source weighs exp(cosine) against an anchor's e.
Merges similar_enough(const std::vector<int64_t>& sources, const MostSimilar& nearest,
                      float threshold);

/// merge_threshold while generating: what a step evicts is compared by the keys in the cache, and
/// the threshold of its group follows as the moving average
///   threshold <- decay x threshold + (1 - decay) x mean cosine of the step
/// before it decides. A group that the prompt gave no threshold takes the first step's mean.
class ThresholdSteps final : public StepCompaction {
 public:
  using Thresholds = std::map<std::pair<int64_t, int64_t>, float>;  ///< by layer and group

  ThresholdSteps(bool all_anchors, double decay, MergeOptions options, Thresholds prompt)
      : all_anchors_(all_anchors),
        decay_(static_cast<float>(decay)),
        options_(std::move(options)),
        thresholds_(std::move(prompt)) {}

  std::optional<NearestQuestion> ask(const StepCompactionInput& input) const override;
  StepMerge merge(const StepCompactionInput& input) override;
  std::unique_ptr<StepCompaction> copy() const override {
    return std::make_unique<ThresholdSteps>(*this);
  }

 private:
  /// Ranks that evicted entries may join.
  std::vector<int64_t> anchors_of(const StepCompactionInput& input) const;

  bool all_anchors_;
  float decay_;
  MergeOptions options_;
  Thresholds thresholds_;
};

}  // namespace elastikv
