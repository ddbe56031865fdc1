#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "datasets/dataset.h"
#include "sweep/engine.h"
#include "sweep/group_recorder.h"
#include "sweep/plan.h"
#include "sweep/preparation.h"
#include "sweep/record_writer.h"
#include "sweep/records.h"
#include "sweep/runner.h"

namespace elastikv {

// What processes that run a sweep have in common, whether there is one of them or several.

/// One group's samples and which of them are still to do.
struct GroupWork {
  const CellGroup& group;
  const DataSet& set;
  std::vector<std::string> problems;  // by sample; empty: none
  std::vector<std::string> contexts;  // SampleCheck::contexts
  std::vector<double> costs;          // by sample, against each other's; empty: not known
  GroupRecorder recorder;
  std::optional<Shard> shard = {};
  std::deque<size_t> open = {};  // places in set.samples

  /// Whether the sample at a place in set.samples is this run's.
  bool ours(size_t place) const { return !shard || shard->holds(place); }
  int64_t samples() const;
};

/// A sample needs no work: every cell has a record of it that did not fail, or one that says why it
/// cannot be tried, which still holds (`problem`).
bool settled(const RecordTable& stored, const CellGroup& group, const Sample& sample,
             const std::string& problem);

/// Holds what a resumed sweep would add beside what is there: the same samples, engines and keys.
/// Of a model without open samples the weights are not read: its records are compared with the
/// engine that the folder names. Error when it is another measurement.
void require_same_measurement(const RecordWriter& writer, std::vector<GroupWork>& work,
                              const Engines& engines, const std::filesystem::path& folder);

/// What every strategy is, by its label.
std::map<std::string, std::string> strategy_hashes(const std::vector<CellGroup>& groups,
                                                   const Engines& engines);

/// What the samples of a group cost against each other and against other groups': the products
/// that prompts, answers and new tokens take; 0 for samples that cannot be evaluated. Empty where
/// their sizes are not known.
std::vector<double> costs_of(const PreparedGroup& prepared, const EvaluationSettings& settings);

/// Counts the cells that failed by the last record of each sample.
class FailureCount {
 public:
  void add(const Record& record);
  void report(SweepOutcome& outcome) const;

 private:
  std::map<std::string, std::set<std::string>> failed_;
  std::map<std::pair<std::string, std::string>, std::string> reasons_;
};

}  // namespace elastikv
