#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "datasets/sample.h"
#include "metrics/metric_set.h"
#include "sweep/cell_batches.h"
#include "sweep/config.h"
#include "sweep/engine.h"
#include "sweep/plan.h"
#include "sweep/records.h"

namespace elastikv {

/// The first line of a message: records and tables hold errors in one line.
std::string one_line(std::string text);

/// Makes the records of one group: what a sample gave in every cell, compared with the full cache
/// or the answer, each with the key of all that could have changed it.
class GroupRecorder final {
 public:
  /// `revisions`: as text, of the parts of the program that the group's records depend on.
  GroupRecorder(const SweepConfig& config, const CellGroup& group, const Engines& engines,
                std::string revisions, std::string commit);

  /// The engine that the records come from; to be set before any key is asked for.
  void set_engine(EngineIdentity identity) { identity_.engine = std::move(identity); }
  /// Of a cell, by its place in the group, for a sample.
  std::string key(size_t cell, const Sample& sample) const;

  /// What became of a sample: one record per cell.
  struct Evaluation {
    std::vector<Record> records;
    int64_t failures = 0;  // as RunOptions::max_failures counts them
  };
  /// Whatever goes wrong with a sample is in its records; what ends the run is thrown: Interrupted
  /// and DeviceLost. All calls get the same evaluator.
  Evaluation evaluate(const Sample& sample, SampleEvaluator& evaluator);
  /// The same of samples that share a context, as many of the first ones as run together; at least
  /// one. Where any is at fault, each is evaluated by itself.
  std::vector<Evaluation> evaluate(std::span<const Sample* const> samples,
                                   SampleEvaluator& evaluator);
  /// Calls from here on may get another one.
  void forget_evaluator() { batches_.reset(); }
  /// Of a sample that is not to be tried, and why.
  Evaluation refuse(const Sample& sample, const std::string& problem) const;

 private:
  CellBatches& batches(SampleEvaluator& evaluator);
  /// `not_tried`: cells of it that failed without being tried.
  Evaluation evaluation_of(const Sample& sample, SampleOutcome outcome, int64_t not_tried) const;
  /// Of a sample on which the program itself failed.
  Evaluation bug(const Sample& sample, const std::string& what) const;
  std::vector<Record> records_of(const Sample& sample, SampleOutcome outcome) const;
  std::vector<Record> failed_records(const Sample& sample, const std::string& why) const;
  void compare(const Sample& sample, std::vector<Record>& records) const;

  const SweepConfig& config_;
  const CellGroup& group_;
  std::string commit_;
  std::optional<CellBatches> batches_;
  MetricSet metrics_;
  std::vector<size_t> of_other_data_;  // scorers that this data set does not ask for
  CellIdentity identity_;
  std::vector<std::string> strategies_;
};

}  // namespace elastikv
