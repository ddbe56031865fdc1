#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/dataset.h"
#include "metrics/metric_choice.h"
#include "sweep/cell.h"
#include "sweep/exclusions.h"
#include "sweep/set_options.h"

namespace elastikv {

struct BootstrapChoice {
  int64_t iterations = 1000;
  uint64_t seed = 12345;
};

/// A sweep as its YAML file describes it, every default filled in. All paths are relative to the
/// current directory, not to the file, so that a sweep can be copied anywhere.
struct SweepConfig {
  std::string name;                 // default: the file's stem
  std::vector<ModelChoice> models;  // one per dtype
  std::vector<DataOptions> data;    // named
  /// Each at the moments that its entry lists, or else at those of the sweep.
  std::vector<StrategyChoice> strategies;
  std::vector<std::string> plugins;  // files whose components the strategies may name
  std::vector<CompressAt> compress_at{CompressAt::kPromptEnd};
  std::vector<BudgetChoice> budgets;  // fractions ascending as listed, then token counts
  std::vector<Exclusion> exclude;     // cells that are left out
  MetricChoice metrics;
  int64_t max_new_tokens = 128;
  /// Texts are generated and nothing is measured; `metrics` are all off then.
  bool predict_only = false;
  bool cells_together = true;  // false: each cell prefills and decodes by itself, to time it
  ContextSharing sharing = ContextSharing::kExact;
  BootstrapChoice bootstrap;
  /// Of so many first samples of every model and data set, details are kept (SampleDetail).
  int64_t detail_samples = 2;
  /// Strategies that the others are compared with at the same budget, sample by sample; default:
  /// "elastic" where the sweep has it.
  std::vector<std::string> compare_with;
  uint64_t seed = 0;
  std::filesystem::path output;  // default: results/NAME

  EvaluationSettings evaluation() const;
  /// Every setting as JSON text with keys in a fixed order: what sweep.json keeps. It has the form
  /// of a sweep file, so parse_sweep reads it.
  std::string json() const;
  /// Content hash of the settings that can change a record. Left out are the name, the output
  /// folder, the bootstrap, the details, what is compared and which samples are used (limit,
  /// offset, sample_ids), so that a sweep may be resumed with more samples.
  std::string records_hash() const;
  /// " TAG=VALUE" of each setting that has a tag and differs from its default: what a record's key
  /// says of the settings that came after the first records (KeyTraits::tag).
  std::string record_tags() const;
};

/// The keys in which two sweeps, as json() writes them, differ so that their records do: "data,
/// metrics".
std::string differing_settings(const std::string& ours, const std::string& theirs);

/// Settings from the command line, which win over the file's.
struct SweepOverrides {
  SetOptions set;
  std::optional<int64_t> limit;       // of every data set
  std::optional<std::string> device;  // of every model
  std::optional<std::string> dtype;   // of every model; a comma list makes one model per dtype
  std::optional<std::filesystem::path> output;
  std::vector<std::string> plugins;  // beside the file's
  bool record_problems = false;      // OnProblem::kRecord for every data set
  bool predict_only = false;         // switches the file's metrics off
};

/// Reads a sweep. Error naming file, line and key for anything that is unknown, of the wrong kind
/// or out of range. Looks at no other file, and loads no plugin. Tells on standard error of keys
/// under earlier names.
SweepConfig read_sweep(const std::filesystem::path& file, const SweepOverrides& overrides = {});
/// The same from text, of which nothing is told; `origin` stands for the file's name.
SweepConfig parse_sweep(std::string_view text, const std::string& origin,
                        const SweepOverrides& overrides = {});

}  // namespace elastikv
