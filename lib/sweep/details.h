#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/sample.h"
#include "sweep/engine.h"
#include "sweep/plan.h"
#include "sweep/progress.h"
#include "sweep/record_writer.h"
#include "sweep/sweep_data.h"

namespace elastikv {

/// What samples.jsonl holds: every sample of every data set, in order.
std::string sample_lines(std::span<const CellGroup> groups, const SweepData& data);

/// Whether details of a sample are to be kept where it is one of the first: it can be evaluated
/// (`problem` is empty), it goes on from no earlier turn, and they are not there yet.
bool lacks_detail(const RecordSink& writer, const CellGroup& group, const Sample& sample,
                  const std::string& problem);

/// Keeps details of a group's first samples beside its records.
class GroupDetails final {
 public:
  /// `samples`: of how many. Samples whose details are there already are left alone, and so are
  /// those that cannot be evaluated (`problems` says why, one text per sample, empty for the
  /// others), go on from earlier turns, or are another shard's.
  GroupDetails(const CellGroup& group, const DataSet& data, std::span<const std::string> problems,
               int64_t samples, RecordSink& writer, const std::optional<Shard>& shard = {});

  /// Nothing is left to be looked at.
  bool empty() const { return due_.empty(); }
  /// Looks at the sample, unless it is none of the first ones or was looked at before. A look that
  /// fails costs its details and no more: that is said on the progress' lines.
  void keep(const Sample& sample, SampleEvaluator& evaluator, Progress& progress);
  /// The samples that will not be evaluated because their records are there.
  void keep_all_but(std::span<const Sample* const> open, SampleEvaluator& evaluator,
                    Progress& progress);

 private:
  const CellGroup& group_;
  RecordSink& writer_;
  std::vector<const Sample*> due_;
};

}  // namespace elastikv
