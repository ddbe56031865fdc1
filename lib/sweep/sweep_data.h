#pragma once

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "datasets/dataset.h"
#include "sweep/config.h"
#include "sweep/engine.h"
#include "sweep/plan.h"
#include "sweep/records.h"

namespace elastikv {

/// The data sets of a sweep, read and checked. One that is cut into windows of tokens is another
/// set of samples for every model, so a set belongs to a model and a name.
class SweepData final {
 public:
  /// Reads what the groups need. Error when a data set is not usable, or when two models cut the
  /// same text into different numbers of windows: their tables could not stand side by side.
  SweepData(std::span<const CellGroup> groups, const Engines& engines);

  const DataSet& of(const CellGroup& group) const;
  /// By name: what all models have in common (format, ids of the samples).
  const std::map<std::string, const DataSet*>& by_name() const { return by_name_; }
  /// What is to be known of the data sets, each with its name in front.
  std::vector<std::string> notes() const;

 private:
  const DataSet& read(const DataOptions& options, const ModelChoice& model, const Engines& engines);

  std::map<std::pair<std::string, std::string>, DataSet> sets_;  // by name and model folder
  std::map<std::string, const DataSet*> by_name_;
};

/// A sweep of some samples only.
struct SampleChoice {
  /// Without limits and offsets, with the samples of each data set, and without the data sets that
  /// have none of them.
  SweepConfig config;
  std::vector<std::string> left_out;     // names of those data sets
  std::map<std::string, DataSet> whole;  // by name: every sample of the data sets that are left
};
/// `words`: ids, or comma lists of ids in which "\\," is a comma of an id and "\\\\" a backslash; a
/// word that is a sample's id is taken whole. Error for an id that no data set has, with the
/// nearest one.
SampleChoice choose_samples(const SweepConfig& config, const std::vector<std::string>& words,
                            const Engines& engines);

/// The chosen samples together with those that a folder is about, in their data sets' order.
std::map<std::string, DataSet> widen(const SampleChoice& choice, const SweepHeader& stored,
                                     const SweepData& data);

}  // namespace elastikv
