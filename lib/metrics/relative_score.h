#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>

#include "metrics/intervals.h"

namespace elastikv {

/// How much of the full cache's scores is kept, averaged over tasks: the mean over tasks of
/// (a cell's score) / (the full cache's), which EffiVLM-Bench calls overall performance.
struct RelativeScore {
  double score = 0;
  std::optional<double> standard_error;  // absent where a task has one cluster
  std::optional<Interval> interval;      // 95 %
  int64_t tasks = 0;
};

/// One entry per task: a is the cell's, b the full cache's, of a metric of which more is better.
/// Tasks whose full cache scores 0 have no ratio and are left out; absent where none is left. The
/// error of a ratio of means is the delta method's; tasks are independent, each resampled by itself
/// (with a seed of its own), and the interval is a bootstrap-t one as those of Bootstrap.
std::optional<RelativeScore> relative_score(std::span<const PairedValues> tasks,
                                            const Bootstrap& bootstrap);

/// The same of many cells over the same tasks, whose resamples are drawn once. Not for several
/// threads at once.
class RelativeScores final {
 public:
  explicit RelativeScores(const Bootstrap& bootstrap)
      : replicates_(bootstrap.replicates()), seed_(bootstrap.seed()) {}

  std::optional<RelativeScore> of(std::span<const PairedValues> tasks);

 private:
  int64_t replicates_;
  uint64_t seed_;
  std::deque<Bootstrap> own_;  // of each task, by its place
};

}  // namespace elastikv
