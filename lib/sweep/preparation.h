#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "sweep/config.h"
#include "sweep/engine.h"
#include "sweep/plan.h"
#include "sweep/sweep_data.h"

namespace elastikv {

/// A group of cells as far as it is known before weights load.
struct PreparedGroup {
  const CellGroup& group;
  const DataSet* set;  ///< null: not at hand
  /// By sample: why it cannot be evaluated by the group's model; empty: it can.
  std::vector<std::string> problems = {};
  /// Of the samples without a problem; none where the model is not at hand.
  std::vector<SampleSize> sizes = {};
  /// SampleCheck::contexts.
  std::vector<std::string> contexts = {};
  /// Why the group does not fit into the device's memory, and where it is asked for; empty: it
  /// fits, or its model or data set are not at hand.
  std::string memory = {};

  /// How many samples have no problem.
  int64_t usable() const;
};

/// What `sweep` and `plan` look at before weights load. Both make it, so that the one refuses what
/// the other refuses, with the same words.
class Preparation final {
 public:
  /// What of a group is not at hand, for a plan by published sizes.
  struct Missing {
    bool data = false;
    bool model = false;    ///< the checkpoint, or its configuration and tokenizer
    bool weights = false;  ///< of a checkpoint that has the rest
  };
  using Look = std::function<Missing(const CellGroup&)>;

  /// Chooses the samples (`sample_ids` as in choose_samples; empty: all), checks every model and
  /// strategy, reads the data sets and checks their samples. `look`: what to do without; empty:
  /// nothing, so that what is missing is an Error. Error for everything that refuses a sweep,
  /// except for memory that does not suffice, which is told in PreparedGroup::memory.
  Preparation(const SweepConfig& config, const std::vector<std::string>& sample_ids,
              const Engines& engines, const Look& look = {});
  Preparation(const Preparation&) = delete;
  Preparation& operator=(const Preparation&) = delete;

  /// Of the chosen samples.
  const SweepConfig& config() const { return choice_ ? choice_->config : config_; }
  const std::optional<SampleChoice>& choice() const { return choice_; }
  const std::vector<CellGroup>& groups() const { return groups_; }
  /// Those that are at hand.
  const SweepData& data() const { return *data_; }
  /// One for each of groups().
  const std::vector<PreparedGroup>& prepared() const { return prepared_; }

 private:
  const SweepConfig& config_;
  std::optional<SampleChoice> choice_;
  std::vector<CellGroup> groups_;
  std::optional<SweepData> data_;
  std::vector<PreparedGroup> prepared_;
};

}  // namespace elastikv
